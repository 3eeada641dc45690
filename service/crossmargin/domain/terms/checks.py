"""What terms of every family check of themselves."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import check_ledger_decimal

_CURVE_NAME: Final = re.compile(r"[A-Z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def require(claim: bool, otherwise: str) -> None:  # noqa: FBT001 - a claim and its sentence
    """Raise INVALID_INSTRUMENT with the sentence if the claim is false."""
    if not claim:
        raise DomainError(Reason.INVALID_INSTRUMENT, otherwise)


def require_positive(what: str, value: Decimal) -> None:
    """Raise INVALID_DECIMAL for a number the ledger cannot hold, INVALID_INSTRUMENT for one at or below zero."""
    check_ledger_decimal(value, what=what)
    require(value > 0, f"{what} was {value}; expected more than zero")


def require_rate(what: str, value: Decimal, *, may_be_negative: bool = True) -> None:
    """Raise INVALID_DECIMAL or INVALID_INSTRUMENT for what is no annual rate: a fraction below 1, a percent mistaken for one."""
    check_ledger_decimal(value, what=what)
    lowest = Decimal(-1) if may_be_negative else Decimal(0)
    fits = value < 1 and (value > lowest or value == 0)
    require(fits, f"{what} was {value}; expected a fraction such as 0.0425")


def require_aware(what: str, moment: datetime) -> None:
    """Raise INVALID_TIMESTAMP for a time without a zone."""
    if moment.tzinfo is None:
        raise DomainError(
            Reason.INVALID_TIMESTAMP,
            f"{what} was {moment.isoformat()} without a time zone; expected one, such as {moment.isoformat()}Z",
            field=what,
        )


def require_curve_name(what: str, name: str | None) -> None:
    """Raise INVALID_INSTRUMENT for what cannot name a curve of risk factors; None names none."""
    require(
        name is None or _CURVE_NAME.fullmatch(name) is not None,
        f"{what} was {name!r}; expected an issuer or a rating such as IG-A: an upper-case letter or a digit, then at most 63 letters, "
        "digits, dots, underscores and hyphens",
    )


def require_payments_per_year(what: str, count: int) -> None:
    """Raise INVALID_INSTRUMENT unless payments come every whole number of months: 1, 2, 4 or 12 a year."""
    require(count in {1, 2, 4, 12}, f"{what} was {count}; expected 1, 2, 4 or 12")
