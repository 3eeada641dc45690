"""Numbers as they go over the wire: exact, or refused."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TypeAlias

Exact: TypeAlias = Decimal | int | str
"""A number that says exactly what it is."""


def decimal_of(text: str) -> Decimal:
    """Return the number in a field of an answer: `inf` for an infinite utilization, zero for a field that was left empty."""
    return Decimal(text or "0")


def exact_text(value: Exact, *, field: str) -> str:
    """Return the wire text of a number: no exponent, no trailing zeros after the point.

    Raises:
        TypeError: For a float, which is not the number it was written as, and for what is not a number.
        ValueError: For text that spells no finite number.

    >>> exact_text("1250.50", field="price")
    '1250.5'
    """
    if isinstance(value, float):
        raise TypeError(
            f"{field} was the float {value!r}, which is binary and not exactly the number it was written as; "
            f"write Decimal({str(value)!r}) or {str(value)!r}"
        )
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError(f"{field} was a {type(value).__name__}; expected a Decimal, an int or a str")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{field} was {value!r}; expected a decimal number such as '-1250.75'") from None
    if not number.is_finite():
        raise ValueError(f"{field} was {value}; expected a finite number")
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def optional_text(value: Exact | None, *, field: str) -> str:
    """Return the wire text of a number, empty for None; raises as `exact_text`."""
    return "" if value is None else exact_text(value, field=field)
