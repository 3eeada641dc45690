"""One instrument of every kind, for tests that walk all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    Cash,
    CashFlow,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    DayCount,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
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


def note(**terms) -> FloatingRateNote:
    given = {
        "spread_rate": D("0.0025"), "fixed_rate": D("0.0431"), "rate_fixed_on": date(2026, 2, 16), "coupons_per_year": 4,
        "day_count": DayCount.ACT_360, "business_days": BusinessDayRule.MODIFIED_FOLLOWING,
        "issue_date": date(2024, 2, 15), "maturity_date": date(2029, 2, 15),
    }  # fmt: skip
    return FloatingRateNote(settlement=USD, **(given | terms))


def swap(**terms) -> InterestRateSwap:
    given = {
        "fixed_rate": D("-0.0375"), "payments_per_year": 1, "day_count": DayCount.ACT_360, "business_days": BusinessDayRule.UNADJUSTED,
        "start_date": date(2025, 6, 1), "maturity_date": date(2035, 6, 1), "accrued_fraction": D("0.031"),
        "accrued_until": date(2026, 3, 1),
    }  # fmt: skip
    return InterestRateSwap(settlement=USD, **(given | terms))


def bond_future(**terms) -> BondFuture:
    given = {"multiplier": D(1000), "delivery_date": date(2026, 6, 30), "conversion_factor": D("0.8125"), "deliverable": bond()}
    return BondFuture(settlement=USD, **(given | terms))


def ndf(**terms) -> NonDeliverableForward:
    given = {"contract_rate": D("1.10"), "fixing_date": date(2026, 8, 28), "settlement_date": date(2026, 9, 1), "settlement": USD}
    return NonDeliverableForward(bought=EUR, sold=USD, **(given | terms))


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
MARGINED_OPTION = instrument("BTC-MARGINED-CALL", option(premium=PremiumStyle.MARGINED, settlement=USD))
FUTURE_OPTION = instrument("BTC-FUT-CALL", option(premium=PremiumStyle.CASH_PAID, settlement=USD, future_expiry=EXPIRY))
AMERICAN_OPTION = instrument("BTC-AMERICAN", AmericanOption(BTC, USD, D(10), OptionRight.PUT, D(60_000), EXPIRY))
FX_OPTION = instrument("EURUSD-CALL", FxOption(EUR, USD, OptionRight.CALL, D("1.12"), EXPIRY))
NDF = instrument("EURUSD-NDF", ndf())
BOND_FUTURE = instrument("UST-FUT", bond_future())
NOTE = instrument("FRN", note(), places=2, collateral_class="IG_BOND")
SWAP = instrument("SOFR-SWAP", swap())
FLOWS = instrument("BESPOKE", CashFlows(USD, (CashFlow(EUR, D(-5), date(2026, 9, 1)), CashFlow(USD, D("5.5"), date(2026, 9, 1)))))
FX_FORWARD = instrument("EURUSD-FWD", FxForward(EUR, USD, D("1.10"), date(2026, 9, 1)))
BILL = instrument("UST-BILL", Bill(USD, date(2026, 9, 1)), places=2, collateral_class="BILL")
BOND = instrument("UST-BOND", bond(), places=2, collateral_class="TREASURY")

ASSETS = (CASH, EURO, STABLECOIN, COIN)
INVERSE = (INVERSE_PERPETUAL, INVERSE_FUTURE)
MARGINED = (PERPETUAL, FUTURE, *INVERSE, BOND_FUTURE, MARGINED_OPTION)
CONTRACTS = (*MARGINED, CASH_OPTION, FUTURE_OPTION, AMERICAN_OPTION)
"""Kinds with a multiplier."""
OPTIONS = (CASH_OPTION, COIN_OPTION, MARGINED_OPTION, FUTURE_OPTION, AMERICAN_OPTION, FX_OPTION)
BONDS = (BILL, BOND, NOTE)
AT_PRESENT_VALUE = (FX_FORWARD, NDF, SWAP, FLOWS)
EVERY_KIND = (*ASSETS, *(each for each in MARGINED if each is not MARGINED_OPTION), *OPTIONS, *BONDS, *AT_PRESENT_VALUE)


def name_of(subject: object) -> str:
    return str(getattr(subject, "instrument_id", subject))
