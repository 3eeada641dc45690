"""How much the tail mean rests on: counts, weights, the bootstrap and the step when a scenario leaves the window."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorId
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import margin_figures
from crossmargin.engine.scenario_diagnostics import (
    CONFIDENCE,
    OLDEST_DAYS,
    REPLICATE_COUNT,
    block_days_of,
    requirement_interval,
    requirement_without_oldest,
    scenario_report,
    tail_report,
)
from crossmargin.engine.tail_mean import tail_mean
from tests.builders import Revalued, a_portfolio, a_revalued_market, a_scenario_set, perpetual, risk_parameters

ALPHA = 0.025


def measured(pnl, *, stress_count=0, weights=None, tail="0.025"):
    """Figures of one contract with these profits, its scenarios and rates."""
    market = a_revalued_market(
        Revalued(perpetual("BTC-PERP"), 1000.0, {"BTC": list(pnl)}), groups={"BTC": "CRYPTO"}, weights=weights, stress_count=stress_count
    )
    parameters = risk_parameters(tail_fraction=tail)
    rates = margin_rates(parameters, AccountMode.CROSS)
    arrays = portfolio_arrays(a_portfolio({"BTC-PERP": (1, 1000)}), market)
    return margin_figures(arrays, market, rates, haircut_rates(parameters)), market.scenarios, rates


def test_equal_scenarios_in_the_tail_count_in_full_and_a_part_of_one_for_less():
    report = tail_report(*measured(-np.arange(200.0)))
    assert (report.scenario_count, report.effective_count) == (5, 5)
    report = tail_report(*measured(-np.arange(100.0)))
    assert report.scenario_count == 3
    assert float(report.effective_count) == pytest.approx(2.5**2 / (1 + 1 + 0.25), abs=1e-6)


def test_the_stress_in_the_tail_and_among_the_worst_is_counted():
    weights = np.concatenate([np.full(90, 0.75 / 90), np.full(10, 0.025)])
    pnl = np.concatenate([-np.arange(90.0), [-1000.0] + [0.0] * 9])
    report = tail_report(*measured(pnl, stress_count=10, weights=weights))
    assert (report.scenario_count, report.stress_weight_fraction, float(report.stress_share_of_worst)) == (1, 1, 0.1)


def a_walk(count, seed=1):
    return np.random.default_rng(seed).standard_t(3, size=count)


def test_the_interval_has_the_requirement_inside_and_is_the_same_for_the_same_generator():
    figures, scenarios, rates = measured(a_walk(1000))
    one, again, other = (
        requirement_interval(figures, scenarios, rates, block_days=2, random=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one == again
    assert (one.low, one.high) != (other.low, other.high)
    assert float(one.low) < figures.market_requirement < float(one.high)
    assert (one.replicate_count, one.block_days, float(one.confidence)) == (REPLICATE_COUNT, 2, CONFIDENCE)


def test_the_interval_is_as_wide_as_the_tail_mean_is_uncertain():
    """Independent draws, blocks of one: the spread of the replicates is that of the tail mean over fresh samples of the same size."""
    fresh = [tail_mean(a_walk(1000, seed), np.full(1000, 1e-3), ALPHA) for seed in range(400)]
    widths = []
    for seed in range(5):
        figures, scenarios, rates = measured(a_walk(1000, seed))
        interval = requirement_interval(figures, scenarios, rates, block_days=1, random=np.random.default_rng(0))
        widths.append(float(interval.high - interval.low))
    low, high = np.quantile(fresh, [0.05, 0.95])
    # Heavy tails: the width itself varies by a third from sample to sample.
    assert 0.5 < np.median(widths) / (high - low) < 1.5


def test_windows_that_overlap_need_blocks_to_show_how_little_they_say():
    """Ten-day sums of independent days share nine days with their neighbours: drawn one by one they look ten times as many as they are."""
    days = np.random.default_rng(3).normal(size=1010)
    overlapping = np.convolve(days, np.ones(10), mode="valid")[:1000]
    figures, scenarios, rates = measured(overlapping)
    one_by_one, in_blocks = (
        requirement_interval(figures, scenarios, rates, block_days=days, random=np.random.default_rng(0)) for days in (1, 10)
    )
    assert in_blocks.high - in_blocks.low > 1.5 * float(one_by_one.high - one_by_one.low)


def test_stress_scenarios_are_in_every_replicate():
    """With all of the tail in one stress scenario there is nothing to be unsure of."""
    weights = np.concatenate([np.full(90, 0.75 / 90), [0.25]])
    figures, scenarios, rates = measured(np.append(a_walk(90), -1000.0), stress_count=1, weights=weights)
    interval = requirement_interval(figures, scenarios, rates, block_days=2, random=np.random.default_rng(0))
    assert (interval.low, interval.high) == (1000, 1000)


def test_one_scenario_that_leaves_takes_a_bounded_and_explained_step():
    """Its own share of the tail: at most w / alpha of the distance from its loss to the best loss of the tail."""
    for seed in range(30):
        pnl = a_walk(400, seed)
        if seed % 2:
            pnl[0] = -25.0  # the worst of all is the next to leave
        figures, scenarios, rates = measured(pnl)
        before, after = figures.market_requirement, requirement_without_oldest(figures.netted, scenarios, rates, 1)
        losses = np.sort(-pnl)[::-1]
        weight, edge = 1 / 400, losses[math.ceil(ALPHA * 400)]
        assert before - after <= weight / ALPHA * max(0.0, -pnl[0] - edge) + 1e-9
        assert after - before <= (before - edge) / 399 + 1e-9
        if seed % 2:
            assert before - after > 0.5 * weight / ALPHA * (25.0 - edge)


def test_a_scenario_outside_the_tail_leaves_with_hardly_a_step():
    pnl = a_walk(400)
    pnl[:OLDEST_DAYS] = 5.0
    report = tail_report(*measured(pnl))
    assert report.oldest_days == OLDEST_DAYS
    assert report.oldest_contribution <= 0


def test_the_oldest_scenarios_are_reported_with_what_they_hold_up():
    pnl = np.full(400, 1.0)
    pnl[:10] = -100.0
    report = tail_report(*measured(pnl))
    assert float(report.oldest_contribution) == pytest.approx(100.0)


def test_what_leaves_gives_its_weight_to_the_ordinary_ones_that_stay():
    weights = np.concatenate([np.full(90, 0.75 / 90), np.full(10, 0.025)])
    pnl = np.concatenate([a_walk(90), np.full(10, 0.0)])
    figures, scenarios, rates = measured(pnl, stress_count=10, weights=weights)
    left = np.concatenate([np.full(60, 0.75 / 60), np.full(10, 0.025)])
    assert requirement_without_oldest(figures.netted, scenarios, rates, 30) == pytest.approx(tail_mean(pnl[30:], left, ALPHA))


def test_blocks_are_as_long_as_the_longest_margin_period_in_calendar_days():
    parameters = risk_parameters()  # BTC and ETH two calendar days, EURUSD two business days, USD-RATES five
    for names, days in ((["BTC"], 2), (["BTC", "EURUSD"], 3), (["BTC", "USD-RATES"], 7), ([], 1)):
        assert block_days_of({OffsetGroupId(name) for name in names}, parameters) == days


def test_the_report_counts_what_there_is_and_what_stands_in():
    btc, usdc = FactorId.parse("spot:BTC"), FactorId.parse("spot:USDC")
    scenarios = replace(
        a_scenario_set(110, stress_count=10), window_counts={"Far": 0, "Near": 7}, stand_ins={btc: {"Near": "x"}, usdc: {"Near": "y"}}
    )
    report = scenario_report({btc}, scenarios, block_days=7)
    assert (report.ordinary_count, report.independent_count, report.event_count) == (100, 14, 3)
    assert report.window_counts == {"Far": 0, "Near": 7}
    assert report.stand_ins == {btc: {"Near": "x"}}
