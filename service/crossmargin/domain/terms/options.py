"""Options: rights to buy or sell an underlying at a strike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.terms.checks import require, require_aware, require_positive


@unique
class OptionRight(Enum):
    """What the holder may do on exercise."""

    CALL = "call"
    PUT = "put"


@unique
class PremiumStyle(Enum):
    """In what an option is quoted and paid."""

    CASH_PAID = "cash paid"
    """Premium and payout in the settlement currency, paid up front; the price is per unit of the underlying."""
    COIN_SETTLED = "coin settled"
    """Premium and payout in the underlying coin; the price is in coins per unit of the underlying."""
    MARGINED = "margined"
    """No premium is paid: the change in price is settled as a future's is, in the settlement currency, until the payout at expiry."""


@dataclass(frozen=True, slots=True)
class EuropeanOption:
    """An option on spot, or on a dated future, exercised at `expiry` only. Paid up it is worth its price; margined, price less cost.

    Attributes:
        underlying: Name of the spot risk factor: of the underlying itself, or of what the future is on.
        future_expiry: When the future that the option is on expires, not before the option does; None for an option on spot.
    """

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    right: OptionRight
    strike: Decimal
    expiry: datetime
    premium: PremiumStyle
    future_expiry: datetime | None = None

    def __post_init__(self) -> None:
        _check_contract(self.multiplier, self.strike, self.expiry)
        is_in_coin = self.premium is PremiumStyle.COIN_SETTLED
        require(
            not is_in_coin or self.settlement == self.underlying,
            f"a coin-settled option on {self.underlying} is settled in {self.underlying}, not in {self.settlement}",
        )
        if self.future_expiry is not None:
            require_aware("future_expiry", self.future_expiry)
            require(not is_in_coin, "an option on a future was coin settled; expected cash paid or margined")
            require(
                self.future_expiry >= self.expiry,
                f"future_expiry {self.future_expiry.isoformat()} is before the option's expiry {self.expiry.isoformat()}",
            )


@dataclass(frozen=True, slots=True)
class AmericanOption:
    """An option on spot that may be exercised at any time up to `expiry`; paid up in the settlement currency."""

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    right: OptionRight
    strike: Decimal
    expiry: datetime

    def __post_init__(self) -> None:
        _check_contract(self.multiplier, self.strike, self.expiry)
        require(
            self.settlement != self.underlying,
            f"an American option on {self.underlying} is settled in {self.underlying}; expected the currency it is quoted in",
        )


def _check_contract(multiplier: Decimal, strike: Decimal, expiry: datetime) -> None:
    require_positive("multiplier", multiplier)
    require_positive("strike", strike)
    require_aware("expiry", expiry)
