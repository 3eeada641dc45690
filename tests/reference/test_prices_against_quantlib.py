"""QuantLib as an independent oracle: values in the base state and under random shocks of every factor.

QuantLib knows days, not seconds, so the snapshot is of midnight and every date is whole. Discounting there is on a curve of zero rates,
continuously compounded, actual/365, linear between pillars. Its pillars are dates, so nodes of the snapshot are in days.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Bill, EuropeanOption, FixedRateBond, FxForward, Instrument, OptionRight, PremiumStyle
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.builders import an_instrument, cash, coin
from tests.unit.engine.revaluation.markets import parameters, random_scenarios, total_of, unit_value_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its generated module warns about itself on newer Pythons
    import QuantLib as ql  # noqa: N813 - the name its own manual uses

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
TODAY = ql.Date(2, 3, 2026)
DAY_COUNT = ql.Actual365Fixed()
SCENARIOS = 50
INSTRUMENTS = 25
SEEDS = [11, 12]
# Both sides add the same numbers in another order; 1e-8 of a value, and of the notional where a value is a small difference.
TOLERANCE = 1e-8
NODES = ("USD:30D", "USD:365D", "USD:999D", "USD:5Y", "USD:30Y", "EUR:90D", "EUR:730D", "EUR:10Y")
SPOTS = {"spot:BTC": "60000", "fx:EUR": "1.1"}

State = Mapping[str, float]


@pytest.fixture(autouse=True)
def _evaluation_date() -> Iterator[None]:
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = TODAY
    yield
    ql.Settings.instance().evaluationDate = before


def a_market(random: np.random.Generator) -> MarketSnapshot:
    rates = {f"zero:{name}": f"{random.uniform(-0.01, 0.08):.6f}" for name in NODES}
    surfaces = {"vol:BTC:30D": f"{random.uniform(0.2, 1.2):.6f}", "vol:BTC:360D": f"{random.uniform(0.2, 1.2):.6f}"}
    carries = {"basis:BTC:30D": f"{random.uniform(-0.1, 0.2):.6f}", "basis:BTC:360D": f"{random.uniform(-0.1, 0.2):.6f}"}
    levels = SPOTS | rates | surfaces | carries
    return MarketSnapshot(AS_OF, {FactorId.parse(name): Decimal(level) for name, level in levels.items()}, {})


def states(snapshot: MarketSnapshot, drawn: ScenarioSet) -> list[State]:
    """Levels of all factors in the base state and in every scenario, worked out factor by factor."""
    base = {str(factor): float(level) for factor, level in snapshot.levels.items()}
    shocked = [
        {
            str(factor): base[str(factor)] + move
            if factor.kind_code in {"zero", "basis", "spread"}
            else base[str(factor)] * float(np.exp(move))
            for factor, move in zip(drawn.factors, moves, strict=True)
        }
        for moves in drawn.shocks
    ]
    return [base, *shocked]


def revalued(snapshot: MarketSnapshot, drawn: ScenarioSet, held: list[Instrument]) -> RevaluedMarket:
    market = revalue_market([cash("USD"), cash("EUR"), coin("BTC"), *held], snapshot, drawn, parameters())
    assert market.unavailable == {}
    return market


def values_of(market: RevaluedMarket, name: str) -> np.ndarray:
    """Value of one unit in the base state and in every scenario."""
    base = unit_value_of(market, name)
    return np.concatenate([[base], base + total_of(market, name)])


def ql_date(day: date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


def zero_curve(state: State, currency: str) -> ql.YieldTermStructureHandle:
    """Flat from today to the first node and after the last, as our curves are."""
    nodes = sorted((FactorId.parse(name).tenor_years * 365, rate) for name, rate in state.items() if name.startswith(f"zero:{currency}:"))
    pillars = [TODAY] + [TODAY + round(days) for days, _ in nodes] + [TODAY + 40_000]
    rates = [nodes[0][1]] + [rate for _, rate in nodes] + [nodes[-1][1]]
    curve = ql.ZeroCurve(pillars, rates, DAY_COUNT, ql.NullCalendar(), ql.Linear(), ql.Continuous)
    return ql.YieldTermStructureHandle(curve)


def node(state: State, curve: str, years: float) -> float:
    """A level between the nodes of a curve, by numpy's own interpolation."""
    points = sorted((FactorId.parse(name).tenor_years, level) for name, level in state.items() if name.startswith(f"{curve}:"))
    return float(np.interp(years, *zip(*points, strict=True)))


@pytest.mark.parametrize("seed", SEEDS)
def test_bonds(seed):
    random = np.random.default_rng(seed)
    snapshot = a_market(random)
    drawn = random_scenarios(snapshot, SCENARIOS, seed)
    bonds = [random_bond(random, number) for number in range(INSTRUMENTS)]
    market = revalued(snapshot, drawn, bonds)
    curves = {currency: [zero_curve(state, currency) for state in states(snapshot, drawn)] for currency in ("USD", "EUR")}
    rates = {"USD": np.ones(SCENARIOS + 1), "EUR": np.array([state["fx:EUR"] for state in states(snapshot, drawn)])}
    for instrument in bonds:
        currency = instrument.settlement
        handle = ql.RelinkableYieldTermStructureHandle()
        bond = a_quantlib_bond(instrument.terms, handle)
        expected = []
        for curve in curves[currency]:
            handle.linkTo(curve.currentLink())
            expected.append(bond.NPV() / 100)
        np.testing.assert_allclose(values_of(market, instrument.instrument_id), np.array(expected) * rates[currency], rtol=TOLERANCE)


def random_bond(random: np.random.Generator, number: int) -> Instrument:
    """A bond whose issue date is a coupon day, so that its first period is whole; month ends included."""
    per_year = int(random.choice([1, 2, 4, 12]))
    maturity = date(2026, 3, 3) + timedelta(days=int(random.integers(0, 30 * 365)))
    if number % 3 == 0:
        maturity = (maturity.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    periods = int(random.integers(1, 40 * per_year))
    issue = ql_date(maturity) - ql.Period(periods * 12 // per_year, ql.Months)
    terms = FixedRateBond(
        InstrumentId(str(random.choice(["USD", "EUR"]))),
        Decimal(f"{random.uniform(0, 0.12):.5f}"),
        per_year,
        date(issue.year(), issue.month(), issue.dayOfMonth()),
        maturity,
    )
    return an_instrument(f"BOND-{number}", terms)


def a_quantlib_bond(terms: FixedRateBond, handle: ql.YieldTermStructureHandle) -> ql.FixedRateBond:
    schedule = ql.Schedule(
        ql_date(terms.issue_date),
        ql_date(terms.maturity_date),
        ql.Period(12 // terms.coupons_per_year, ql.Months),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        False,
    )
    day_count = ql.ActualActual(ql.ActualActual.ISMA, schedule)
    bond = ql.FixedRateBond(0, 100.0, schedule, [float(terms.coupon_rate)], day_count, ql.Unadjusted)
    bond.setPricingEngine(ql.DiscountingBondEngine(handle))
    return bond


@pytest.mark.parametrize("seed", SEEDS)
def test_bills(seed):
    random = np.random.default_rng(seed)
    snapshot = a_market(random)
    drawn = random_scenarios(snapshot, SCENARIOS, seed)
    days = random.integers(1, 400, size=INSTRUMENTS)
    bills = [an_instrument(f"BILL-{n}", Bill(InstrumentId("USD"), AS_OF.date() + timedelta(int(ahead)))) for n, ahead in enumerate(days)]
    market = revalued(snapshot, drawn, bills)
    curves = [zero_curve(state, "USD") for state in states(snapshot, drawn)]
    for bill in bills:
        expected = [curve.discount(ql_date(bill.terms.maturity_date)) for curve in curves]
        np.testing.assert_allclose(values_of(market, bill.instrument_id), expected, rtol=TOLERANCE)


@pytest.mark.parametrize("seed", SEEDS)
def test_fx_forwards(seed):
    random = np.random.default_rng(seed)
    snapshot = a_market(random)
    drawn = random_scenarios(snapshot, SCENARIOS, seed)
    forwards = [
        an_instrument(
            f"FORWARD-{number}",
            FxForward(
                InstrumentId("EUR"),
                InstrumentId("USD"),
                Decimal(f"{random.uniform(0.9, 1.4):.5f}"),
                AS_OF.date() + timedelta(int(random.integers(0, 3650))),
            ),
        )
        for number in range(INSTRUMENTS)
    ]
    market = revalued(snapshot, drawn, forwards)
    all_states = states(snapshot, drawn)
    curves = [(zero_curve(state, "EUR"), zero_curve(state, "USD")) for state in all_states]
    for forward in forwards:
        day = ql_date(forward.terms.delivery_date)
        expected = [
            state["fx:EUR"] * euro.discount(day) - float(forward.terms.contract_rate) * dollar.discount(day)
            for state, (euro, dollar) in zip(all_states, curves, strict=True)
        ]
        np.testing.assert_allclose(values_of(market, forward.instrument_id), expected, rtol=TOLERANCE, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("premium", list(PremiumStyle))
def test_options_against_quantlib_and_scipy(premium, seed):
    random = np.random.default_rng(seed)
    snapshot = a_market(random)
    drawn = random_scenarios(snapshot, SCENARIOS, seed)
    options = [random_option(random, number, premium) for number in range(INSTRUMENTS)]
    market = revalued(snapshot, drawn, options)
    all_states = states(snapshot, drawn)
    base_vol = [(FactorId.parse(name).tenor_years, level) for name, level in all_states[0].items() if name.startswith("vol:BTC")]
    curves = [zero_curve(state, "USD") for state in all_states]
    for option in options:
        terms = option.terms
        years = (terms.expiry - AS_OF).days / 365
        kind, sign = (ql.Option.Call, 1) if terms.right is OptionRight.CALL else (ql.Option.Put, -1)
        strike = float(terms.strike)
        oracle, formula, size = [], [], []
        for state, curve in zip(all_states, curves, strict=True):
            forward = state["spot:BTC"] * np.exp(node(state, "basis:BTC", years) * years)
            log_move = np.interp(
                years, *zip(*sorted((t, np.log(state[f"vol:BTC:{round(t * 365)}D"] / v)) for t, v in base_vol), strict=True)
            )
            deviation = node(all_states[0], "vol:BTC", years) * np.exp(log_move) * np.sqrt(years)
            in_dollars = curve.discount(years) if premium is PremiumStyle.CASH_PAID else 1.0
            unit = state["spot:BTC"] / forward if premium is PremiumStyle.COIN_SETTLED else in_dollars
            oracle.append(ql.blackFormula(kind, strike, forward, deviation) * unit)
            d1 = np.log(forward / strike) / deviation + deviation / 2
            formula.append(sign * (forward * norm.cdf(sign * d1) - strike * norm.cdf(sign * (d1 - deviation))) * unit)
            size.append(max(forward, strike) * unit)
        # An option far out of the money is a difference of two numbers of the size of the forward.
        found = values_of(market, option.instrument_id)
        np.testing.assert_allclose(found, oracle, rtol=TOLERANCE, atol=1e-14 * max(size))
        np.testing.assert_allclose(found, formula, rtol=TOLERANCE, atol=1e-14 * max(size))


def random_option(random: np.random.Generator, number: int, premium: PremiumStyle) -> Instrument:
    terms = EuropeanOption(
        InstrumentId("BTC"),
        InstrumentId("BTC" if premium is PremiumStyle.COIN_SETTLED else "USD"),
        Decimal(1),
        OptionRight.CALL if random.integers(2) else OptionRight.PUT,
        Decimal(f"{60_000 * np.exp(random.normal(scale=0.5)):.2f}"),
        AS_OF + timedelta(days=int(random.integers(1, 500))),
        premium,
    )
    return an_instrument(f"OPTION-{number}", terms)
