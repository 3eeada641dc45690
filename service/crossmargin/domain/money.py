"""Exact decimals: how they are read, written and rounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Final

from crossmargin.domain.errors import DomainError, Reason

DECIMAL_GRAMMAR: Final = re.compile(r"-?(0|[1-9]\d{0,19})(\.\d{1,18})?", re.ASCII)
DECIMAL_WORDS: Final = "a plain ASCII decimal with at most 20 digits before and 18 after the point, such as -1250.75"
EXACT: Final = Context(prec=60, traps=[InvalidOperation])
_EXACT_OR_REFUSE: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
CENT: Final = Decimal("0.01")
LEDGER_UNIT: Final = Decimal("1e-18")
LEDGER_LIMIT: Final = Decimal(10) ** 20


def parse_decimal(text: str, *, what: str) -> Decimal:
    """Return the decimal that `text` spells in canonical form.

    Raises:
        DomainError: INVALID_DECIMAL for anything else: NaN, exponents, spaces, other scripts' digits, too many digits.

    >>> parse_decimal("1250.75", what="quantity")
    Decimal('1250.75')
    """
    if not DECIMAL_GRAMMAR.fullmatch(text):
        shown = text[:60]
        raise DomainError(
            Reason.INVALID_DECIMAL,
            f"{what} was {shown!r}; expected {DECIMAL_WORDS}",
            field=what,
            value=shown,
            expected=DECIMAL_WORDS,
        )
    value = Decimal(text)
    return value or Decimal(0)  # "-0" has no meaning in a ledger


def check_ledger_decimal(value: Decimal, *, what: str) -> Decimal:
    """Return `value` if the ledger can hold it exactly: finite, below 1e20 and at most 18 places after the point.

    Raises:
        DomainError: INVALID_DECIMAL otherwise; a ledger amount is never rounded to fit.
    """
    # copy_abs, because abs() rounds to the 28 digits of the default context and a ledger amount may have 38.
    if not value.is_finite() or value.copy_abs() >= LEDGER_LIMIT or value != EXACT.quantize(value, LEDGER_UNIT):
        shown = str(value)[:60]
        raise DomainError(
            Reason.INVALID_DECIMAL,
            f"{what} was {shown}; expected a finite amount below 1e20 with at most 18 places after the point",
            field=what,
            value=shown,
        )
    return value


def check_scale(value: Decimal, *, places: int, what: str) -> Decimal:
    """Return `value` if it has at most `places` digits after the point.

    Raises:
        DomainError: INVALID_DECIMAL otherwise; excess digits are refused, never rounded.
    """
    try:
        value.quantize(Decimal(1).scaleb(-places), context=_EXACT_OR_REFUSE)
    except (Inexact, InvalidOperation):
        raise DomainError(
            Reason.INVALID_DECIMAL,
            f"{what} was {value}; expected at most {places} digits after the point",
            field=what,
            value=value,
            places=places,
        ) from None
    return value


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Return the sum with all its digits; the built-in one keeps only 28 of the 38 that a ledger amount may have."""
    with localcontext(EXACT):
        return sum(values, Decimal(0))


def format_decimal(value: Decimal) -> str:
    """Return the canonical wire text of a finite decimal: no exponent, no trailing zeros after the point.

    >>> format_decimal(Decimal("100.500"))
    '100.5'
    >>> format_decimal(Decimal("1E+3"))
    '1000'
    """
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_up_to_cent(value: Decimal) -> Decimal:
    """Return a requirement, loss or liability rounded against the client: towards plus infinity, to the cent."""
    return value.quantize(CENT, rounding=ROUND_CEILING, context=EXACT)


def round_down_to_cent(value: Decimal) -> Decimal:
    """Return a value of the client's rounded against the client: towards minus infinity, to the cent."""
    return value.quantize(CENT, rounding=ROUND_FLOOR, context=EXACT)
