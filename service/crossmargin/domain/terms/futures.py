"""Perpetuals and futures: margined, so that buying one costs nothing and its change in price is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.terms.checks import require, require_aware, require_positive
from crossmargin.domain.terms.rates import FixedRateBond


@unique
class Payoff(Enum):
    """How a contract's profit follows its price."""

    LINEAR = "linear"
    """Profit in the settlement asset is quantity x multiplier x (price - entry)."""
    INVERSE = "inverse"
    """Settled in the coin: quantity x multiplier x (1/entry - 1/price) coins; the multiplier is in the quote currency."""


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual swap on `underlying`: margined, so its value is the change of its mark since it was traded."""

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    payoff: Payoff

    def __post_init__(self) -> None:
        require_positive("multiplier", self.multiplier)


@dataclass(frozen=True, slots=True)
class DatedFuture:
    """A future on `underlying` that ends at `expiry`; margined.

    Attributes:
        price_may_be_negative: True for what may have to be paid for being taken away, such as oil: the price is that of the curve
            `price:UNDERLYING` at the time to expiry and moves by differences, where others follow spot and carry by returns.
    """

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    payoff: Payoff
    expiry: datetime
    price_may_be_negative: bool = False

    def __post_init__(self) -> None:
        require_positive("multiplier", self.multiplier)
        require_aware("expiry", self.expiry)
        require(
            not (self.price_may_be_negative and self.payoff is Payoff.INVERSE),
            "an inverse future pays by 1 / price, which means nothing at zero; expected a linear payoff for a price that may be negative",
        )


@dataclass(frozen=True, slots=True)
class BondFuture:
    """A future on the bond that is cheapest to deliver; margined, its price clean and per 100 of face.

    Whoever is short delivers `deliverable` on `delivery_date` for price x `conversion_factor` plus accrued interest. Which bond is the
    cheapest is the caller's finding: another one is another instrument.

    Attributes:
        multiplier: Money for one point of price: 1000 for a contract of 100,000 face.
    """

    settlement: InstrumentId
    multiplier: Decimal
    delivery_date: date
    conversion_factor: Decimal
    deliverable: FixedRateBond

    def __post_init__(self) -> None:
        require_positive("multiplier", self.multiplier)
        require_positive("conversion_factor", self.conversion_factor)
        require(
            self.deliverable.settlement == self.settlement,
            f"the deliverable bond pays {self.deliverable.settlement}; expected {self.settlement}, in which the future settles",
        )
        require(
            self.deliverable.credit_curve is None,
            f"the deliverable bond has the credit curve {self.deliverable.credit_curve}; expected a government's bond, which has none",
        )
        require(
            self.deliverable.issue_date <= self.delivery_date < self.deliverable.maturity_date,
            f"delivery_date {self.delivery_date} is outside the life of the deliverable bond, {self.deliverable.issue_date} to "
            f"{self.deliverable.maturity_date}",
        )
