"""One instrument of every kind, for tests that walk all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    Bill,
    Cash,
    CryptoAsset,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FxForward,
    Instrument,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
    Terms,
)

D = Decimal
EXPIRY = datetime(2026, 9, 25, 8, tzinfo=UTC)
BTC, USD, EUR = InstrumentId("BTC"), InstrumentId("USD"), InstrumentId("EUR")


def instrument(name: str, terms: Terms, *, places: int = 8, collateral_class: str | None = None) -> Instrument:
    return Instrument(InstrumentId(name), terms, places, collateral_class)


def option(*, premium: PremiumStyle, settlement: InstrumentId, **terms) -> EuropeanOption:
    given = {"multiplier": D(10), "right": OptionRight.CALL, "strike": D(60_000), "expiry": EXPIRY} | terms
    return EuropeanOption(underlying=BTC, settlement=settlement, premium=premium, **given)


def bond(**terms) -> FixedRateBond:
    given = {"coupon_rate": D("0.0425"), "coupons_per_year": 2, "issue_date": date(2021, 5, 15), "maturity_date": date(2031, 5, 15)}
    return FixedRateBond(settlement=USD, **(given | terms))


CASH = instrument("USD", Cash("USD"), places=2, collateral_class="USD")
EURO = instrument("EUR", Cash("EUR"), places=2, collateral_class="G10_CASH")
STABLECOIN = instrument("USDC", Stablecoin("USD", "CIRCLE"), places=6)
COIN = instrument("BTC", CryptoAsset(), collateral_class="BTC")
PERPETUAL = instrument("BTC-PERP", Perpetual(BTC, USD, D(10), Payoff.LINEAR))
INVERSE_PERPETUAL = instrument("BTC-INV-PERP", Perpetual(BTC, BTC, D(100), Payoff.INVERSE))
FUTURE = instrument("BTC-FUT", DatedFuture(BTC, USD, D(10), Payoff.LINEAR, EXPIRY))
INVERSE_FUTURE = instrument("BTC-INV-FUT", DatedFuture(BTC, BTC, D(100), Payoff.INVERSE, EXPIRY))
CASH_OPTION = instrument("BTC-CALL", option(premium=PremiumStyle.CASH_PAID, settlement=USD))
COIN_OPTION = instrument("BTC-COIN-CALL", option(premium=PremiumStyle.COIN_SETTLED, settlement=BTC))
FX_FORWARD = instrument("EURUSD-FWD", FxForward(EUR, USD, D("1.10"), date(2026, 9, 1)))
BILL = instrument("UST-BILL", Bill(USD, date(2026, 9, 1)), places=2, collateral_class="BILL")
BOND = instrument("UST-BOND", bond(), places=2, collateral_class="TREASURY")

ASSETS = (CASH, EURO, STABLECOIN, COIN)
MARGINED = (PERPETUAL, INVERSE_PERPETUAL, FUTURE, INVERSE_FUTURE)
INVERSE = (INVERSE_PERPETUAL, INVERSE_FUTURE)
EVERY_KIND = (*ASSETS, *MARGINED, CASH_OPTION, COIN_OPTION, FX_FORWARD, BILL, BOND)


def name_of(subject: object) -> str:
    return str(getattr(subject, "instrument_id", subject))
