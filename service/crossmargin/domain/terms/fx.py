"""Exchanges of two currencies at a later date, agreed or at the holder's choice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.terms.checks import require, require_aware, require_positive
from crossmargin.domain.terms.options import OptionRight


@dataclass(frozen=True, slots=True)
class FxForward:
    """An agreement to receive one unit of `bought` and deliver `contract_rate` units of `sold` on `delivery_date`.

    A quantity of +1,000,000 receives one million of `bought`; a negative quantity delivers it.
    """

    bought: InstrumentId
    sold: InstrumentId
    contract_rate: Decimal
    delivery_date: date

    def __post_init__(self) -> None:
        require_positive("contract_rate", self.contract_rate)
        require(self.bought != self.sold, f"an FX forward exchanges two currencies; both were {self.bought}")


@dataclass(frozen=True, slots=True)
class NonDeliverableForward:
    """An FX forward of which only the difference is paid, in `settlement`, at the rates fixed on `fixing_date`.

    The payment for one unit is 1 `bought` less `contract_rate` `sold`, both turned into `settlement` at the fixing. Once fixed it is a
    known payment on `settlement_date` and is booked as one.
    """

    bought: InstrumentId
    sold: InstrumentId
    settlement: InstrumentId
    contract_rate: Decimal
    fixing_date: date
    settlement_date: date

    def __post_init__(self) -> None:
        require_positive("contract_rate", self.contract_rate)
        require(self.bought != self.sold, f"a non-deliverable forward compares two currencies; both were {self.bought}")
        require(
            self.fixing_date <= self.settlement_date,
            f"settlement_date {self.settlement_date} is before fixing_date {self.fixing_date}",
        )


@dataclass(frozen=True, slots=True)
class FxOption:
    """A right to buy (call) or sell (put) one unit of `currency` for `strike` units of `settlement` at `expiry`; paid up.

    A quantity is an amount of `currency`. Premium and payout are in `settlement`.
    """

    currency: InstrumentId
    settlement: InstrumentId
    right: OptionRight
    strike: Decimal
    expiry: datetime

    def __post_init__(self) -> None:
        require_positive("strike", self.strike)
        require_aware("expiry", self.expiry)
        require(self.currency != self.settlement, f"an FX option exchanges two currencies; both were {self.currency}")
