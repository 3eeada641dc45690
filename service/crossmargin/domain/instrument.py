"""What can be held: an instrument, and how its price turns into money. The terms of each kind are in `domain/terms/`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final, TypeAlias

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import EXACT, check_ledger_decimal
from crossmargin.domain.terms.assets import Cash, CryptoAsset, Stablecoin
from crossmargin.domain.terms.checks import require
from crossmargin.domain.terms.futures import BondFuture, DatedFuture, Payoff, Perpetual
from crossmargin.domain.terms.fx import FxForward, FxOption, NonDeliverableForward
from crossmargin.domain.terms.options import AmericanOption, EuropeanOption, OptionRight, PremiumStyle
from crossmargin.domain.terms.rates import (
    Bill,
    BusinessDayRule,
    CashFlow,
    CashFlows,
    DayCount,
    FixedRateBond,
    FloatingRateNote,
    InterestRateSwap,
)

__all__ = [
    "PER_HUNDRED",
    "AmericanOption",
    "AssetTerms",
    "Bill",
    "BondFuture",
    "BondTerms",
    "BusinessDayRule",
    "Cash",
    "CashFlow",
    "CashFlows",
    "CryptoAsset",
    "CurrencyTerms",
    "DatedFuture",
    "DayCount",
    "EuropeanOption",
    "FixedRateBond",
    "FloatingRateNote",
    "FxForward",
    "FxOption",
    "Instrument",
    "InterestRateSwap",
    "MarginedTerms",
    "NonDeliverableForward",
    "OptionRight",
    "OptionTerms",
    "Payoff",
    "Perpetual",
    "PremiumStyle",
    "PresentValueTerms",
    "Stablecoin",
    "Terms",
    "check_trade_price",
    "consideration",
]

Terms: TypeAlias = (
    Cash
    | Stablecoin
    | CryptoAsset
    | Perpetual
    | DatedFuture
    | BondFuture
    | EuropeanOption
    | AmericanOption
    | FxOption
    | FxForward
    | NonDeliverableForward
    | Bill
    | FixedRateBond
    | FloatingRateNote
    | InterestRateSwap
    | CashFlows
)
AssetTerms: Final = (Cash, Stablecoin, CryptoAsset)
MarginedTerms: Final = (Perpetual, DatedFuture, BondFuture)
OptionTerms: Final = (EuropeanOption, AmericanOption, FxOption)
BondTerms: Final = (Bill, FixedRateBond, FloatingRateNote)
CurrencyTerms: Final = (FxForward, NonDeliverableForward, FxOption)
"""Kinds that exchange money for money: all that they refer to is cash."""
PresentValueTerms: Final = (FxForward, NonDeliverableForward, InterestRateSwap, CashFlows)
"""Kinds whose price is a present value per unit and may have either sign."""
PER_HUNDRED: Final = Decimal("0.01")
"""Bond prices are quoted per 100 of face, so face x price x this is money."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that can be held, with what the ledger and the haircut schedule need to know of it.

    Attributes:
        quantity_places: Digits after the point a quantity may have; more are refused, never rounded.
        collateral_class: Row of the haircut schedule this counts under as collateral; None when it is never eligible.
    """

    instrument_id: InstrumentId
    terms: Terms
    quantity_places: int
    collateral_class: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        require(0 <= self.quantity_places <= 18, f"quantity_places was {self.quantity_places}; expected 0 to 18")
        require(len(self.description) <= 200, "description has more than 200 characters")

    @property
    def quantity_unit(self) -> Decimal:
        """The smallest quantity that can be traded."""
        return Decimal(1).scaleb(-self.quantity_places)

    @property
    def is_margined(self) -> bool:
        """True when the contract is settled by its change in price, so that buying it costs nothing up front."""
        is_margined_option = isinstance(self.terms, EuropeanOption) and self.terms.premium is PremiumStyle.MARGINED
        return is_margined_option or isinstance(self.terms, MarginedTerms)

    @property
    def is_asset(self) -> bool:
        """True for money and coins: what other instruments are settled in."""
        return isinstance(self.terms, AssetTerms)

    @property
    def settlement(self) -> InstrumentId:
        """The asset that the price is expressed in; an asset settles in itself."""
        match self.terms:
            case Cash() | Stablecoin() | CryptoAsset():
                return self.instrument_id
            case FxForward(sold=sold):
                return sold
            case terms:
                return terms.settlement

    def references(self) -> frozenset[InstrumentId]:
        """Instruments that must exist before this one makes sense: what it settles in and exchanges."""
        match self.terms:
            case Cash() | Stablecoin() | CryptoAsset():
                return frozenset()
            case FxForward(bought=bought, sold=sold):
                return frozenset({bought, sold})
            case NonDeliverableForward(bought=bought, sold=sold, settlement=settlement):
                return frozenset({bought, sold, settlement})
            case FxOption(currency=currency, settlement=settlement):
                return frozenset({currency, settlement})
            case CashFlows(settlement=settlement, flows=flows):
                return frozenset({settlement, *(flow.asset for flow in flows)})
            case terms:
                return frozenset({terms.settlement})


def consideration(instrument: Instrument, *, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what `quantity` at `price` costs, in units of the settlement asset; negative when the trade brings money in.

    For a margined contract nothing is paid: the same figure is the position's cost, against which its mark is measured. An inverse
    contract costs -quantity x multiplier / price coins, so that value minus cost is quantity x multiplier x (1/entry - 1/mark).

    >>> from datetime import date; from decimal import Decimal as D
    >>> bill = Instrument(InstrumentId("BILL"), Bill(InstrumentId("USD"), date(2027, 3, 1)), 2)
    >>> consideration(bill, quantity=D(1_000_000), price=D("98.5"))
    Decimal('985000.000')
    """
    with localcontext(EXACT):
        match instrument.terms:
            case Cash() | Stablecoin() | CryptoAsset() | FxOption():
                return quantity * price
            case FxForward() | NonDeliverableForward() | InterestRateSwap() | CashFlows():
                return quantity * price
            case Bill() | FixedRateBond() | FloatingRateNote():
                return quantity * price * PER_HUNDRED
            case Perpetual(payoff=Payoff.INVERSE) | DatedFuture(payoff=Payoff.INVERSE):
                return -quantity * instrument.terms.multiplier / price
            case Perpetual() | DatedFuture() | BondFuture() | EuropeanOption() | AmericanOption():
                return quantity * instrument.terms.multiplier * price


def check_trade_price(instrument: Instrument, price: Decimal) -> Decimal:
    """Return `price` if the instrument can trade at it.

    Raises:
        DomainError: INVALID_PRICE for a price the kind cannot have: a bond, coin or contract below or at zero, an option below zero. The
            price of a forward, a swap or a contract of cash flows is a present value per unit and may have either sign, and so may that of
            a future whose terms say so.
    """
    check_ledger_decimal(price, what="price")
    kind = type(instrument.terms).__name__
    if isinstance(instrument.terms, PresentValueTerms) or _price_may_be_negative(instrument):
        return price
    if isinstance(instrument.terms, OptionTerms):
        if price < 0:
            raise _bad_price(instrument, kind, price, "zero or more")
    elif price <= 0:
        raise _bad_price(instrument, kind, price, "more than zero")
    return price


def _price_may_be_negative(instrument: Instrument) -> bool:
    return isinstance(instrument.terms, DatedFuture) and instrument.terms.price_may_be_negative


def _bad_price(instrument: Instrument, kind: str, price: Decimal, expected: str) -> DomainError:
    return DomainError(
        Reason.INVALID_PRICE,
        f"price of {kind} {instrument.instrument_id} was {price}; expected {expected}",
        instrument=instrument.instrument_id,
        value=price,
        expected=expected,
    )
