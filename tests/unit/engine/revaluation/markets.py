"""A small market to revalue: every kind of instrument, snapshots of all their factors, and scenarios spelled out by factor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    CashFlow,
    CashFlows,
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
)
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.builders import an_instrument, cash, coin, risk_parameters, stablecoin

AS_OF = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
EXPIRY = AS_OF + timedelta(days=73)  # a fifth of a year
Number = Decimal | int | float | str

LEVELS: Mapping[str, str] = {
    "spot:BTC": "60000",
    "spot:ETH": "3000",
    "spot:USDC": "0.999",
    "fx:EUR": "1.1",
    "fx:GBP": "1.3",
    "basis:BTC:1M": "0.05",
    "basis:BTC:6M": "0.08",
    "vol:BTC:1M": "0.55",
    "vol:BTC:6M": "0.65",
    "vol:ETH:1M": "0.7",
    "vol:EUR:1M": "0.08",
    "vol:EUR:1Y": "0.09",
    "vol:EURGBP:6M": "0.06",
    "zero:USD:1M": "0.041",
    "zero:USD:1Y": "0.039",
    "zero:USD:5Y": "0.04",
    "zero:USD:30Y": "0.046",
    "zero:EUR:3M": "0.02",
    "zero:EUR:10Y": "0.028",
    "zero:GBP:1Y": "0.037",
    "spread:IG-A:1Y": "0.006",
    "spread:IG-A:10Y": "0.011",
    "price:WTI:1M": "-5",
    "price:WTI:6M": "25",
}


def a_group(group_id: str, asset_class: str, curves: Sequence[str], *, days: int = 2, clock: str = "calendar") -> dict[str, object]:
    return {"group_id": group_id, "asset_class": asset_class, "mpor_days": days, "mpor_clock": clock, "curves": list(curves)}


GROUPS = [
    a_group("BTC", "CRYPTO", ["spot:BTC", "vol:BTC", "basis:BTC"]),
    a_group("ETH", "CRYPTO", ["spot:ETH", "vol:ETH", "basis:ETH"]),
    a_group("USDC", "STABLECOIN", ["spot:USDC"], days=3),
    a_group("EUR", "FX", ["fx:EUR", "vol:EUR", "vol:EURGBP"], clock="business"),
    a_group("GBP", "FX", ["fx:GBP"], clock="business"),
    a_group("USD-RATES", "FIXED_INCOME", ["zero:USD"], days=5, clock="business"),
    a_group("EUR-RATES", "FIXED_INCOME", ["zero:EUR"], days=5, clock="business"),
    a_group("IG-A", "CREDIT", ["spread:IG-A"], days=5, clock="business"),
    a_group("WTI", "COMMODITY", ["price:WTI"], clock="business"),
    a_group("GBP-RATES", "FIXED_INCOME", ["zero:GBP"], days=5, clock="business"),
]


def parameters(**overrides: object) -> RiskParameters:
    return risk_parameters(**({"offset_groups": GROUPS} | overrides))


def a_snapshot(
    levels: Mapping[str, Number] | None = None,
    *,
    marks: Mapping[str, Number] | None = None,
    without: Collection[str] = (),
    as_of: datetime = AS_OF,
) -> MarketSnapshot:
    """The levels above with some replaced or added, less all factors whose name starts with one of `without`."""
    kept = {name: level for name, level in (dict(LEVELS) | dict(levels or {})).items() if not name.startswith(tuple(without))}
    return MarketSnapshot(
        as_of,
        {FactorId.parse(name): Decimal(str(level)) for name, level in kept.items()},
        {InstrumentId(name): Decimal(str(mark)) for name, mark in (marks or {}).items()},
    )


def scenarios(
    snapshot: MarketSnapshot, *moves: Mapping[str, float], unavailable: Mapping[FactorId, DomainError] | None = None
) -> ScenarioSet:
    """One scenario for each mapping of factor to shock; what a mapping does not name stands still."""
    factors = tuple(sorted(factor for factor in snapshot.levels if factor not in (unavailable or {})))
    return scenario_set(factors, np.array([[move.get(str(factor), 0.0) for factor in factors] for move in moves]), unavailable)


def random_scenarios(snapshot: MarketSnapshot, count: int, seed: int) -> ScenarioSet:
    """Joint moves of all factors at once: some 10% for prices and volatilities, 1% for rates and carry, 0.5% for spreads, 10 USD of oil."""
    factors = tuple(sorted(snapshot.levels))
    scale = np.array([{"zero": 0.01, "basis": 0.01, "spread": 0.005, "price": 10.0}.get(factor.kind_code, 0.1) for factor in factors])
    return scenario_set(factors, np.random.default_rng(seed).normal(size=(count, len(factors))) * scale)


def scenario_set(
    factors: tuple[FactorId, ...], shocks: np.ndarray, unavailable: Mapping[FactorId, DomainError] | None = None
) -> ScenarioSet:
    count = len(shocks)
    return ScenarioSet(
        factors=factors,
        shocks=shocks.reshape(count, len(factors)),
        weights=np.full(count, 1.0 / count),
        names=tuple(f"move {place}" for place in range(count)),
        ordinary_count=count,
        proxied={},
        unavailable=dict(unavailable or {}),
    )


def revalue(
    instruments: Collection[Instrument], snapshot: MarketSnapshot, *moves: Mapping[str, float], **overrides: object
) -> RevaluedMarket:
    return revalue_market(instruments, snapshot, scenarios(snapshot, *moves), parameters(**overrides))


def legs_of(market: RevaluedMarket, name: str) -> dict[str, np.ndarray]:
    """Profit in every scenario of one unit of an instrument, by offset group."""
    row = market.row_of[InstrumentId(name)]
    return {
        market.groups[group]: pnl
        for owner, group, pnl in zip(market.leg_instrument, market.leg_group, market.leg_pnl, strict=True)
        if owner == row
    }


def total_of(market: RevaluedMarket, name: str) -> np.ndarray:
    return sum(legs_of(market, name).values(), np.zeros(len(market.scenarios.names)))


def unit_value_of(market: RevaluedMarket, name: str) -> float:
    return float(market.unit_value[market.row_of[InstrumentId(name)]])


# Instruments

ASSETS = (cash("USD"), cash("EUR"), cash("GBP"), coin("BTC"), coin("ETH"), stablecoin("USDC"))


def a_perpetual(name: str = "PERP", *, settlement: str = "USD", payoff: Payoff = Payoff.LINEAR, multiplier: Number = 1) -> Instrument:
    return an_instrument(name, Perpetual(InstrumentId("BTC"), InstrumentId(settlement), Decimal(multiplier), payoff))


def a_future(
    name: str = "FUTURE",
    *,
    settlement: str = "USD",
    payoff: Payoff = Payoff.LINEAR,
    multiplier: Number = 1,
    expiry: datetime = EXPIRY,
    underlying: str = "BTC",
) -> Instrument:
    return an_instrument(name, DatedFuture(InstrumentId(underlying), InstrumentId(settlement), Decimal(multiplier), payoff, expiry))


def an_option(
    name: str = "OPTION",
    *,
    right: OptionRight = OptionRight.CALL,
    strike: Number = 60_000,
    premium: PremiumStyle = PremiumStyle.CASH_PAID,
    settlement: str | None = None,
    multiplier: Number = 1,
    expiry: datetime = EXPIRY,
    underlying: str = "BTC",
    future_expiry: datetime | None = None,
) -> Instrument:
    paid_in = InstrumentId(settlement or (underlying if premium is PremiumStyle.COIN_SETTLED else "USD"))
    terms = EuropeanOption(InstrumentId(underlying), paid_in, Decimal(multiplier), right, Decimal(strike), expiry, premium, future_expiry)
    return an_instrument(name, terms)


def an_american_option(
    name: str = "AMERICAN",
    *,
    right: OptionRight = OptionRight.PUT,
    strike: Number = 60_000,
    settlement: str = "USD",
    multiplier: Number = 1,
    expiry: datetime = EXPIRY,
    underlying: str = "BTC",
) -> Instrument:
    terms = AmericanOption(InstrumentId(underlying), InstrumentId(settlement), Decimal(multiplier), right, Decimal(strike), expiry)
    return an_instrument(name, terms)


def an_fx_option(
    name: str = "FX-OPTION",
    *,
    currency: str = "EUR",
    settlement: str = "USD",
    right: OptionRight = OptionRight.CALL,
    strike: Number = "1.1",
    expiry: datetime = EXPIRY,
) -> Instrument:
    return an_instrument(name, FxOption(InstrumentId(currency), InstrumentId(settlement), right, Decimal(strike), expiry))


def a_forward(
    name: str = "FORWARD", *, bought: str = "EUR", sold: str = "USD", rate: Number = "1.12", delivery: date = date(2026, 9, 1)
) -> Instrument:
    return an_instrument(name, FxForward(InstrumentId(bought), InstrumentId(sold), Decimal(rate), delivery))


def an_ndf(
    name: str = "NDF",
    *,
    bought: str = "EUR",
    sold: str = "USD",
    settlement: str = "USD",
    rate: Number = "1.12",
    fixing: date = date(2026, 8, 28),
    payment: date = date(2026, 9, 1),
) -> Instrument:
    terms = NonDeliverableForward(InstrumentId(bought), InstrumentId(sold), InstrumentId(settlement), Decimal(rate), fixing, payment)
    return an_instrument(name, terms)


def some_cash_flows(name: str = "FLOWS", *flows: tuple[str, Number, date], settlement: str = "USD") -> Instrument:
    terms = CashFlows(InstrumentId(settlement), tuple(CashFlow(InstrumentId(asset), Decimal(amount), day) for asset, amount, day in flows))
    return an_instrument(name, terms)


def a_delivery_future(name: str = "OIL", *, expiry: datetime = EXPIRY, multiplier: Number = 1000) -> Instrument:
    terms = DatedFuture(InstrumentId("WTI"), InstrumentId("USD"), Decimal(multiplier), Payoff.LINEAR, expiry, price_may_be_negative=True)
    return an_instrument(name, terms)


def a_bill(name: str = "BILL", *, settlement: str = "USD", maturity: date = date(2026, 9, 1), credit: str | None = None) -> Instrument:
    return an_instrument(name, Bill(InstrumentId(settlement), maturity, credit))


def a_bond(
    name: str = "BOND",
    *,
    settlement: str = "USD",
    coupon: Number = "0.0425",
    per_year: int = 2,
    issued: date = date(2024, 5, 15),
    maturity: date = date(2034, 5, 15),
    credit: str | None = None,
) -> Instrument:
    return an_instrument(name, FixedRateBond(InstrumentId(settlement), Decimal(coupon), per_year, issued, maturity, credit))


def a_note(
    name: str = "NOTE",
    *,
    settlement: str = "USD",
    spread: Number = "0.002",
    fixed: Number = "0.045",
    fixed_on: date = date(2026, 2, 15),
    per_year: int = 4,
    day_count: DayCount = DayCount.ACT_360,
    rule: BusinessDayRule = BusinessDayRule.UNADJUSTED,
    issued: date = date(2024, 5, 15),
    maturity: date = date(2029, 5, 15),
    credit: str | None = None,
) -> Instrument:
    terms = FloatingRateNote(
        InstrumentId(settlement), Decimal(spread), Decimal(fixed), fixed_on, per_year, day_count, rule, issued, maturity, credit
    )
    return an_instrument(name, terms)


def a_swap(
    name: str = "SWAP",
    *,
    settlement: str = "USD",
    fixed: Number = "0.035",
    per_year: int = 1,
    day_count: DayCount = DayCount.ACT_360,
    rule: BusinessDayRule = BusinessDayRule.UNADJUSTED,
    start: date = date(2025, 9, 15),
    maturity: date = date(2035, 9, 15),
    accrued: Number = "0.0195",
    accrued_until: date = date(2026, 3, 2),
) -> Instrument:
    terms = InterestRateSwap(
        InstrumentId(settlement), Decimal(fixed), per_year, day_count, rule, start, maturity, Decimal(accrued), accrued_until
    )
    return an_instrument(name, terms)


def a_bond_future(
    name: str = "BOND-FUTURE",
    *,
    deliverable: Instrument | None = None,
    delivery: date = date(2026, 6, 30),
    factor: Number = "0.85",
    multiplier: Number = 1000,
) -> Instrument:
    bond = (deliverable or a_bond()).terms
    return an_instrument(name, BondFuture(bond.settlement, Decimal(multiplier), delivery, Decimal(factor), bond))


def one_of_each_kind() -> tuple[Instrument, ...]:
    """Assets, and every contract in every settlement that takes another path through the code."""
    return (
        *ASSETS,
        a_perpetual("PERP-LINEAR-USD"),
        a_perpetual("PERP-LINEAR-USDC", settlement="USDC", multiplier="0.01"),
        a_perpetual("PERP-INVERSE", settlement="BTC", payoff=Payoff.INVERSE, multiplier=100),
        a_future("FUTURE-LINEAR-EUR", settlement="EUR"),
        a_future("FUTURE-INVERSE", settlement="BTC", payoff=Payoff.INVERSE, multiplier=100),
        an_option("CALL-CASH", multiplier=10),
        an_option("PUT-CASH-EUR", right=OptionRight.PUT, strike=50_000, settlement="EUR"),
        an_option("CALL-COIN", premium=PremiumStyle.COIN_SETTLED),
        an_option("PUT-COIN-ETH", right=OptionRight.PUT, strike=3500, premium=PremiumStyle.COIN_SETTLED, underlying="ETH"),
        a_forward("EURUSD"),
        a_forward("EURGBP", sold="GBP", rate="0.85"),
        a_bill("BILL-USD"),
        a_bill("BILL-EUR", settlement="EUR"),
        a_bond("BOND-USD"),
        a_bond("BOND-EUR", settlement="EUR", per_year=1, coupon="0.025"),
        an_option("CALL-MARGINED", premium=PremiumStyle.MARGINED),
        an_option("PUT-ON-FUTURE", right=OptionRight.PUT, future_expiry=EXPIRY + timedelta(days=30)),
        an_american_option("AMERICAN-PUT", multiplier="0.1"),
        an_american_option("AMERICAN-CALL-EUR", right=OptionRight.CALL, settlement="EUR", underlying="ETH", strike=3000),
        an_fx_option("EURUSD-CALL"),
        an_fx_option("EURGBP-PUT", settlement="GBP", right=OptionRight.PUT, strike="0.86"),
        an_ndf("NDF-USD"),
        an_ndf("NDF-GBP", settlement="GBP"),
        some_cash_flows("BESPOKE", ("EUR", 100, date(2026, 9, 1)), ("GBP", -90, date(2028, 9, 1)), ("EUR", 5, date(2027, 9, 1))),
        a_note("NOTE-USD"),
        a_note("NOTE-EUR", settlement="EUR", issued=date(2026, 9, 15), fixed_on=date(2026, 9, 15), maturity=date(2031, 9, 15)),
        a_swap("SWAP-USD"),
        a_swap("SWAP-EUR", settlement="EUR", start=date(2026, 9, 15), accrued=0, accrued_until=date(2026, 9, 15)),
        a_bond_future("BOND-FUTURE-USD"),
        a_delivery_future("OIL-FRONT", expiry=AS_OF + timedelta(days=20)),
        a_delivery_future("OIL-BACK", expiry=AS_OF + timedelta(days=150)),
        a_bill("BILL-CREDIT", credit="IG-A"),
        a_bond("BOND-CREDIT", credit="IG-A", coupon="0.05"),
        a_note("NOTE-CREDIT", credit="IG-A"),
    )


MARKS: Mapping[str, str] = {
    "PERP-LINEAR-USD": "60120",
    "PERP-LINEAR-USDC": "60150",
    "PERP-INVERSE": "59900",
    "FUTURE-LINEAR-EUR": "61500",
    "FUTURE-INVERSE": "60700",
    "CALL-CASH": "7100.5",
    "PUT-CASH-EUR": "2345.6",
    "CALL-COIN": "0.1105",
    "PUT-COIN-ETH": "0.245",
    "EURUSD": "-0.0123",
    "EURGBP": "0.0045",
    "BILL-USD": "97.9",
    "BILL-EUR": "98.6",
    "BOND-USD": "103.25",
    "BOND-EUR": "81.5",
    "CALL-MARGINED": "6900.5",
    "PUT-ON-FUTURE": "5500.25",
    "AMERICAN-PUT": "6000.5",
    "AMERICAN-CALL-EUR": "333.25",
    "EURUSD-CALL": "0.0175",
    "EURGBP-PUT": "0.0215",
    "NDF-USD": "-0.0123",
    "NDF-GBP": "0.0045",
    "BESPOKE": "1.25",
    "NOTE-USD": "97.5",
    "NOTE-EUR": "99.25",
    "SWAP-USD": "0.0345",
    "SWAP-EUR": "-0.0625",
    "BOND-FUTURE-USD": "119.5",
    "OIL-FRONT": "-7.25",
    "OIL-BACK": "21.5",
    "BILL-CREDIT": "97.25",
    "BOND-CREDIT": "104.5",
    "NOTE-CREDIT": "96.5",
}
