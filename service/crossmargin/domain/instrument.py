"""What can be held: the terms of each kind of instrument, and how its price turns into money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, localcontext
from enum import Enum, unique
from typing import Final, TypeAlias

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import EXACT, check_ledger_decimal


@unique
class Payoff(Enum):
    """How a contract's profit follows its price."""

    LINEAR = "linear"
    """Profit in the settlement asset is quantity x multiplier x (price - entry)."""
    INVERSE = "inverse"
    """Settled in the coin: quantity x multiplier x (1/entry - 1/price) coins; the multiplier is in the quote currency."""


@unique
class OptionRight(Enum):
    """What the holder may do at expiry."""

    CALL = "call"
    PUT = "put"


@unique
class PremiumStyle(Enum):
    """In what an option is quoted and paid."""

    CASH_PAID = "cash paid"
    """Premium and payout in the settlement currency, paid up front; the price is per unit of the underlying."""
    COIN_SETTLED = "coin settled"
    """Premium and payout in the underlying coin; the price is in coins per unit of the underlying."""


@dataclass(frozen=True, slots=True)
class Cash:
    """Money in a currency, named by its ISO 4217 code. One unit is one unit of the currency."""

    currency: str

    def __post_init__(self) -> None:
        _require(
            len(self.currency) == 3 and self.currency.isascii() and self.currency.isalpha() and self.currency.isupper(),
            f"currency was {self.currency[:20]!r}; expected an ISO 4217 code such as USD",
        )


@dataclass(frozen=True, slots=True)
class Stablecoin:
    """A token that is meant to be worth one unit of a currency. It has a price like anything else."""

    pegged_to: str
    issuer: str


@dataclass(frozen=True, slots=True)
class CryptoAsset:
    """A coin or token held outright. Its risk factor is the spot price under its own instrument id."""


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual swap on `underlying`: margined, so its value is the change of its mark since it was traded."""

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    payoff: Payoff

    def __post_init__(self) -> None:
        _require_positive("multiplier", self.multiplier)


@dataclass(frozen=True, slots=True)
class DatedFuture:
    """A future on `underlying` that ends at `expiry`; margined."""

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    payoff: Payoff
    expiry: datetime

    def __post_init__(self) -> None:
        _require_positive("multiplier", self.multiplier)
        _require_aware("expiry", self.expiry)


@dataclass(frozen=True, slots=True)
class EuropeanOption:
    """An option on `underlying`, exercised at `expiry` only; paid up, so it is worth its price."""

    underlying: InstrumentId
    settlement: InstrumentId
    multiplier: Decimal
    right: OptionRight
    strike: Decimal
    expiry: datetime
    premium: PremiumStyle

    def __post_init__(self) -> None:
        _require_positive("multiplier", self.multiplier)
        _require_positive("strike", self.strike)
        _require_aware("expiry", self.expiry)
        _require(
            self.premium is PremiumStyle.CASH_PAID or self.settlement == self.underlying,
            f"a coin-settled option on {self.underlying} is settled in {self.underlying}, not in {self.settlement}",
        )


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
        _require_positive("contract_rate", self.contract_rate)
        _require(self.bought != self.sold, f"an FX forward exchanges two currencies; both were {self.bought}")


@dataclass(frozen=True, slots=True)
class Bill:
    """A zero-coupon obligation. A quantity is a face amount in the settlement currency; the price is per 100 of face."""

    settlement: InstrumentId
    maturity_date: date


@dataclass(frozen=True, slots=True)
class FixedRateBond:
    """A bond with level coupons. A quantity is a face amount; the price is dirty, per 100 of face.

    Coupons fall on `maturity_date` and every 12 / `coupons_per_year` months before it, back to `issue_date`, unadjusted; each pays
    coupon_rate / coupons_per_year.
    """

    settlement: InstrumentId
    coupon_rate: Decimal
    coupons_per_year: int
    issue_date: date
    maturity_date: date

    def __post_init__(self) -> None:
        check_ledger_decimal(self.coupon_rate, what="coupon_rate")
        _require(
            Decimal(0) <= self.coupon_rate < Decimal(1),
            f"coupon_rate was {self.coupon_rate}; expected a fraction such as 0.0425",
        )
        _require(
            self.coupons_per_year in (1, 2, 4, 12),
            f"coupons_per_year was {self.coupons_per_year}; expected 1, 2, 4 or 12",
        )
        _require(
            self.issue_date < self.maturity_date,
            f"issue_date {self.issue_date} is not before maturity_date {self.maturity_date}",
        )


Terms: TypeAlias = Cash | Stablecoin | CryptoAsset | Perpetual | DatedFuture | EuropeanOption | FxForward | Bill | FixedRateBond
AssetTerms: Final = (Cash, Stablecoin, CryptoAsset)
MarginedTerms: Final = (Perpetual, DatedFuture)
BondTerms: Final = (Bill, FixedRateBond)
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
        _require(0 <= self.quantity_places <= 18, f"quantity_places was {self.quantity_places}; expected 0 to 18")
        _require(len(self.description) <= 200, "description has more than 200 characters")

    @property
    def is_margined(self) -> bool:
        """True when the contract is settled by its change in price, so that buying it costs nothing up front."""
        return isinstance(self.terms, MarginedTerms)

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
            case terms:
                return frozenset({terms.settlement})


def consideration(instrument: Instrument, *, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what `quantity` at `price` costs, in units of the settlement asset; negative when the trade brings money in.

    For a margined contract nothing is paid: the same figure is the position's cost, against which its mark is measured. An inverse
    contract costs -quantity x multiplier / price coins, so that value minus cost is quantity x multiplier x (1/entry - 1/mark).

    >>> from decimal import Decimal as D
    >>> bill = Instrument(InstrumentId("BILL"), Bill(InstrumentId("USD"), date(2027, 3, 1)), 2)
    >>> consideration(bill, quantity=D(1_000_000), price=D("98.5"))
    Decimal('985000.000')
    """
    with localcontext(EXACT):
        match instrument.terms:
            case Cash() | Stablecoin() | CryptoAsset() | FxForward():
                return quantity * price
            case Bill() | FixedRateBond():
                return quantity * price * PER_HUNDRED
            case Perpetual(payoff=Payoff.INVERSE) | DatedFuture(payoff=Payoff.INVERSE):
                return -quantity * instrument.terms.multiplier / price
            case Perpetual() | DatedFuture() | EuropeanOption():
                return quantity * instrument.terms.multiplier * price


def check_trade_price(instrument: Instrument, price: Decimal) -> Decimal:
    """Return `price` if the instrument can trade at it.

    Raises:
        DomainError: INVALID_PRICE for a price the kind cannot have: a bond, coin or contract below or at zero, an option below zero. An
            FX forward's price is its present value per unit bought and may have either sign.
    """
    check_ledger_decimal(price, what="price")
    kind = type(instrument.terms).__name__
    match instrument.terms:
        case FxForward():
            return price
        case EuropeanOption():
            if price < 0:
                raise _bad_price(instrument, kind, price, "zero or more")
        case _:
            if price <= 0:
                raise _bad_price(instrument, kind, price, "more than zero")
    return price


def _bad_price(instrument: Instrument, kind: str, price: Decimal, expected: str) -> DomainError:
    return DomainError(
        Reason.INVALID_PRICE,
        f"price of {kind} {instrument.instrument_id} was {price}; expected {expected}",
        instrument=instrument.instrument_id,
        value=price,
        expected=expected,
    )


def _require(claim: bool, otherwise: str) -> None:  # noqa: FBT001 - a claim and its sentence
    if not claim:
        raise DomainError(Reason.INVALID_INSTRUMENT, otherwise)


def _require_positive(what: str, value: Decimal) -> None:
    check_ledger_decimal(value, what=what)
    _require(value > 0, f"{what} was {value}; expected more than zero")


def _require_aware(what: str, moment: datetime) -> None:
    if moment.tzinfo is None:
        raise DomainError(
            Reason.INVALID_TIMESTAMP,
            f"{what} was {moment.isoformat()} without a time zone; expected one, such as {moment.isoformat()}Z",
            field=what,
        )
