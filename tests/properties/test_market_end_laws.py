"""A bad quote is a range: nowhere inside it is an account better or worse off than its margin says, and without doubt the ends are one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import OptionRight
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.engine.market_ends import margin_with_ends
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from tests.builders import a_haircut_row, a_portfolio, cash, coin, stablecoin
from tests.unit.engine.revaluation.markets import a_bond, a_perpetual, a_snapshot, an_option, parameters, random_scenarios

SEEN = datetime(2026, 3, 2, 8, tzinfo=UTC)
HAIRCUTS = [
    a_haircut_row("USD"),
    a_haircut_row("BTC", residual="0.02", flat="0.2"),
    a_haircut_row("ETH", residual="0.03", flat="0.25", share_limit="0.4"),
    a_haircut_row("G10-CASH", has_fx_mismatch=True),
    a_haircut_row("GOVERNMENT", residual="0.0025", flat="0.02"),
    a_haircut_row("STABLE", residual="0.005", flat="0.02"),
]
RULES = parameters(tail_fraction="0.1", haircut_schedule=HAIRCUTS)
MARK = InstrumentId("BTC-PERP")
BOOK = (
    cash("USD"),
    cash("EUR", collateral_class="G10-CASH"),
    coin("BTC"),
    coin("ETH", collateral_class="ETH"),
    stablecoin("USDC", collateral_class="STABLE"),
    a_perpetual("BTC-PERP"),
    an_option("CALL", strike=80_000),
    an_option("PUT", right=OptionRight.PUT, strike=45_000),
    replace(a_bond("BOND"), collateral_class="GOVERNMENT"),
)
BASE = replace(a_snapshot(), marks={MARK: Decimal(60100)})
SCENARIOS = random_scenarios(BASE, 60, 7)
CENT = Decimal("0.01")
MILLIONTH = Decimal("0.000001")

SIZES = {
    "USD": (-400_000, 900_000),
    "EUR": (-300_000, 300_000),
    "BTC": (-10, 10),
    "ETH": (-100, 100),
    "USDC": (-200_000, 200_000),
    "BTC-PERP": (-10, 10),
    "CALL": (-10, 10),
    "PUT": (-10, 10),
    "BOND": (-300_000, 300_000),
}
RANGES = {
    "spot:BTC": ("0.7", "1.25"),
    "spot:ETH": ("0.8", "1.3"),
    "spot:USDC": ("0.9", "1.01"),
    "fx:EUR": ("0.95", "1.04"),
    "vol:BTC:1M": ("0.6", "1.9"),
    "zero:USD:1Y": ("0.5", "1.6"),
    "zero:USD:5Y": ("0.6", "1.4"),
    "BTC-PERP": ("0.8", "1.1"),
}


@st.composite
def books(draw):
    names = draw(st.sets(st.sampled_from(sorted(SIZES)), min_size=1, max_size=6))
    held = {name: draw(st.integers(*SIZES[name])) for name in sorted(names)}
    held = {name: quantity for name, quantity in held.items() if quantity}
    return a_portfolio({"USD": 250_000} | held)


@st.composite
def doubts(draw, most):
    names = draw(st.sets(st.sampled_from(sorted(RANGES)), min_size=1, max_size=most))
    return tuple(sorted(names))


def ends_of(name):
    level = BASE.marks[MARK] if name == MARK else BASE.levels[FactorId.parse(name)]
    low, high = (Decimal(part) * level for part in RANGES[name])
    return level, Quality(Verdict.STALE, SEEN, min(low, level), max(high, level))


def with_values(values):
    levels = {FactorId.parse(name): value for name, value in values.items() if name != MARK}
    marks = {MARK: values[MARK]} if MARK in values else {}
    return MarketSnapshot(BASE.as_of, {**BASE.levels, **levels}, {**BASE.marks, **marks})


def doubted_snapshot(names):
    qualities = {name: ends_of(name)[1] for name in names}
    levels = {FactorId.parse(name): quality for name, quality in qualities.items() if name != MARK}
    marks = {MARK: qualities[MARK]} if MARK in qualities else {}
    return MarketSnapshot(BASE.as_of, BASE.levels, BASE.marks, levels, marks)


def margin_at(book, snapshot):
    return margin_with_ends(book, snapshot, revalue_market(BOOK, snapshot, SCENARIOS, RULES), RULES)


def infinite(utilization):
    return Decimal("Infinity") if utilization is None else utilization


@settings(max_examples=60, deadline=None)
@given(books(), doubts(most=5), st.lists(st.integers(0, 8), min_size=40, max_size=40))
def test_nowhere_inside_the_ranges_is_an_account_better_or_worse_off_than_its_ends(book, names, steps):
    result = margin_at(book, doubted_snapshot(names))
    quality = result.quality
    exposed = [] if quality is None else [each.subject for each in quality.doubted]
    for point in range(5):
        values = {}
        for place, name in enumerate(names):
            _, known = ends_of(name)
            values[name] = (known.low + (known.high - known.low) * steps[point * 8 + place] / 8).quantize(Decimal("1e-12"))
            values[name] = min(max(values[name], known.low), known.high)
        snapshot = with_values(values)
        there = compute_margin(book, revalue_market(BOOK, snapshot, SCENARIOS, RULES), RULES)
        if quality is None:
            assert (there.equity, there.requirement) == (result.equity, result.requirement), (names, values)
            continue
        assert quality.excess_to_initial_low - CENT <= there.excess_to_initial <= quality.excess_to_initial_high + CENT, (exposed, values)
        low, high = infinite(quality.utilization_low), infinite(quality.utilization_high)
        assert low - MILLIONTH <= infinite(there.utilization) <= high + MILLIONTH, (exposed, values)


@settings(max_examples=25, deadline=None)
@given(books(), doubts(most=3))
def test_the_levels_themselves_lie_between_the_ends_and_are_not_moved_by_doubt(book, names):
    plain, result = margin_at(book, BASE), margin_at(book, doubted_snapshot(names))
    assert (result.equity, result.requirement, result.utilization) == (plain.equity, plain.requirement, plain.utilization)
    low, high = result.utilization_range
    assert infinite(low) <= infinite(plain.utilization) <= infinite(high)
    assert result.least_excess_to_initial <= plain.excess_to_initial


@settings(max_examples=25, deadline=None)
@given(books())
def test_with_everything_valid_the_ends_are_one(book):
    result = margin_at(book, BASE)
    assert result.quality is None
    assert result.utilization_range == (result.utilization, result.utilization)
    assert result.least_excess_to_initial == result.excess_to_initial
