"""How much collateral moves when what is posted is not what is required."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import EXACT, check_ledger_decimal


@unique
class CallDirection(Enum):
    """Which way collateral moves."""

    DELIVER = "deliver"
    """The client delivers to us."""
    RETURN = "return"
    """We return to the client."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CallTerms:
    """What was agreed about transfers. Base currency, zero or more.

    Attributes:
        threshold: Requirement up to which nothing is asked for.
        minimum_transfer_amount: Difference below which nothing moves.
        rounding_unit: Deliveries are rounded up to a multiple of it and returns down; 0 leaves amounts as they are.
    """

    threshold: Decimal
    minimum_transfer_amount: Decimal
    rounding_unit: Decimal

    def __post_init__(self) -> None:
        _check_amount(self.threshold, "threshold")
        _check_amount(self.minimum_transfer_amount, "minimum transfer amount")
        _check_amount(self.rounding_unit, "rounding unit")


@dataclass(frozen=True, slots=True)
class CallAmount:
    """What moves, and which way. Base currency; the amount is zero exactly when the direction is NONE."""

    direction: CallDirection
    amount: Decimal


def call_amount(*, required: Decimal, posted: Decimal, terms: CallTerms) -> CallAmount:
    """Return what moves so that `posted` meets the part of `required` above the threshold, exactly.

    The arithmetic of delivery and return amount of the ISDA Credit Support Annex (1994, New York law, paragraphs 3 and 13): the
    difference itself, not the rounded one, is held against the minimum transfer amount, and moves when it equals or exceeds it.
    Both roundings are against the client. A return that rounds down to nothing is none.

    Raises:
        DomainError: INVALID_DECIMAL or INVALID_ARGUMENT for an amount that is no ledger amount or is negative.

    >>> terms = CallTerms(Decimal(0), Decimal(500_000), Decimal(10_000))
    >>> call_amount(required=Decimal(10_253_400), posted=Decimal(9_400_000), terms=terms)
    CallAmount(direction=<CallDirection.DELIVER: 'deliver'>, amount=Decimal('860000'))
    """
    _check_amount(required, "required margin")
    _check_amount(posted, "posted margin")
    missing = EXACT.subtract(max(Decimal(0), EXACT.subtract(required, terms.threshold)), posted)
    size = missing.copy_abs()
    if not missing or size < terms.minimum_transfer_amount:
        return CallAmount(CallDirection.NONE, Decimal(0))
    if missing > 0:
        return CallAmount(CallDirection.DELIVER, _round_up(size, terms.rounding_unit))
    returned = _round_down(size, terms.rounding_unit)
    return CallAmount(CallDirection.RETURN if returned else CallDirection.NONE, returned)


def _round_up(amount: Decimal, unit: Decimal) -> Decimal:
    lower = _round_down(amount, unit)
    return lower if lower == amount else EXACT.add(lower, unit)


def _round_down(amount: Decimal, unit: Decimal) -> Decimal:
    # The remainder is exact where a quotient may not be.
    return EXACT.subtract(amount, EXACT.remainder(amount, unit)) if unit else amount


def _check_amount(value: Decimal, what: str) -> None:
    if check_ledger_decimal(value, what=what) < 0:
        raise DomainError(Reason.INVALID_ARGUMENT, f"{what} was {value}; expected zero or more", field=what, value=value)
