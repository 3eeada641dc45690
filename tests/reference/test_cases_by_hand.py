"""Cases worked out by hand or by exact fractions, beside those that public sources print: the edges of each formula."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import comb, erfc, log, sqrt

import numpy as np
import pytest

from crossmargin.domain.margin_call import CallTerms, call_amount
from crossmargin.engine.backtest_statistics import independence, proportion_of_failures, zone_limits
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.methodologies.span_grid import SpanGridParameters, risk_arrays, scan_risks
from crossmargin.engine.methodologies.standard_schedule import collected_margin, posted_margin
from crossmargin.engine.methodologies.tims_grid import MoveRange, contract_minimums, tims_requirements, valuation_pnl
from crossmargin.engine.mitigated_exposure import mitigated_exposure
from crossmargin.engine.tail_mean import tail_mean


@pytest.mark.parametrize(
    ("trades", "collected", "posted"),
    [
        # (notional, rate, present value); the other side's present values have the other sign.
        ([], 0, 0),
        ([(100, "0.06", 0)], 6, 6),  # nothing owed either way: the ratio is 1
        ([(100, "0.06", 5)], 6, 6),  # 5 of 5; for the other side nobody owes, so 1
        ([(100, "0.06", -5)], 6, 6),
        ([(100, "0.06", 5), (100, "0.06", -5)], "4.8", "4.8"),  # net 0: 0.4 of 12
        ([(100, "0.06", 5), (-100, "0.06", -5)], "4.8", "4.8"),  # opposite notionals do not offset
        ([(100, "0.06", 3), (100, "0.06", -5)], "4.8", "7.68"),  # 0; 2 of 5
        ([(100, "0.06", 5), (100, "0.06", -3)], "7.68", "4.8"),
        ([(200, "0.01", 8), (50, "0.15", 2), (1000, "0.02", -6)], "18.88", "11.8"),  # gross 29.5; 4 of 10; 0 of 6
        ([(0, "0.15", 7), (100, "0.1", -7)], 4, 4),  # a trade without notional still owes
        ([(100, "0", 7)], 0, 0),
        ([(100, "0.04", "0.01"), (100, "0.04", "-0.0025")], "6.8", "3.2"),  # 0.75: 8 (0.4 + 0.45); 0
    ],
)
def test_the_standard_schedule(trades, collected, posted):
    columns = np.array([[float(each) for each in trade] for trade in trades]).reshape(len(trades), 3).T
    for side, expected in ((collected_margin, collected), (posted_margin, posted)):
        assert side(*columns, gross_fraction=0.4).initial_margin == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("pnl", "weights", "alpha", "expected"),
    [
        ("-4 -2 0 2", "1/4 1/4 1/4 1/4", "1/4", 4),  # alpha is one whole weight
        ("-4 -2 0 2", "1/4 1/4 1/4 1/4", "1/2", 3),  # two whole weights
        ("-4 -2 0 2", "1/4 1/4 1/4 1/4", "1/8", 4),  # half a weight
        ("-4 -2 0 2", "1/4 1/4 1/4 1/4", "3/8", "10/3"),
        ("-4 -2 0 2", "1/4 1/4 1/4 1/4", "3/4", 2),
        ("2 0 -2 -4", "1/10 2/10 3/10 4/10", "1/2", "18/5"),  # unequal weights, in any order
        ("-4 -4 -4 9", "1/4 1/4 1/4 1/4", "1/2", 4),  # ties
        ("-9 5 5 5", "1/100 33/100 33/100 33/100", "1/50", 2),  # half the tail is a gain
        ("-9 30 30 30", "1/100 33/100 33/100 33/100", "1/50", 0),  # the gain outweighs it: never below zero
        ("-100 -1 0 0", "0 1/2 1/4 1/4", "1/4", 1),  # no weight, no say
        ("0 0 0 0", "1/4 1/4 1/4 1/4", "1/10", 0),
        ("-1e12 -1 0 1e12", "1/4 1/4 1/4 1/4", "1/4", "1000000000000"),
    ],
)
def test_the_tail_mean(pnl, weights, alpha, expected):
    values = np.array([float(each) for each in pnl.split()])
    share = np.array([float(Fraction(each)) for each in weights.split()])
    assert tail_mean(values, share, float(Fraction(alpha))) == pytest.approx(float(Fraction(expected)), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("required", "posted", "terms", "direction", "amount"),
    [
        (0, 0, (0, 0, 0), "none", 0),
        (100, 0, (0, 100, 0), "deliver", 100),  # the minimum itself moves
        ("99.99", 0, (0, 100, 0), "none", 0),
        (100, 0, (100, 0, 0), "none", 0),  # all of it is under the threshold
        (150, 0, (100, 50, 20), "deliver", 60),  # 50, rounded up
        (100, 150, (0, 50, 20), "return", 40),  # 50, rounded down
        (100, 115, (0, 10, 20), "none", 0),  # 15 round down to nothing
        (0, 115, (100, 10, 10), "return", 110),  # below the threshold everything goes back
        (50, 20, (100, 0, 0), "return", 20),
        (160, 40, (0, 0, 40), "deliver", 120),  # a multiple stays what it is
        ("160.01", 40, (0, 0, 40), "deliver", 160),
        (105, 0, (0, 0, "0.5"), "deliver", 105),
        ("104.6", 0, (0, 0, "0.5"), "deliver", 105),
    ],
)
def test_the_call_amount(required, posted, terms, direction, amount):
    agreed = CallTerms(*(Decimal(each) for each in terms))
    moved = call_amount(required=Decimal(required), posted=Decimal(posted), terms=agreed)
    assert (moved.direction.value, moved.amount) == (direction, Decimal(amount))


@pytest.mark.parametrize(
    ("exposure", "collateral", "haircuts", "left"),
    [
        (100, 0, (0, 0, 0), 100),
        (0, 100, ("0.1", "0.1", "0.08"), 0),
        (100, 100, (0, 0, 0), 0),
        (100, 100, ("0.02", 0, 0), 2),
        (100, 100, (0, 0, "0.08"), 8),
        (100, 125, (0, "0.2", 0), 0),  # exactly covered
        (100, 124, (0, "0.2", 0), "0.8"),
        (100, 50, ("0.15", "0.15", "0.08"), "76.5"),
        (100, 1000, ("0.25", "0.5", "0.5"), 125),  # haircuts that leave nothing
        (100, 1000, (0, "0.99", 0), 90),
        ("0.01", "0.01", (0, "0.5", 0), "0.005"),
    ],
)
def test_what_is_left_of_an_exposure(exposure, collateral, haircuts, left):
    of_exposure, of_collateral, of_currency = (float(each) for each in haircuts)
    found = mitigated_exposure(
        exposure=float(exposure),
        collateral=float(collateral),
        exposure_haircut_fraction=of_exposure,
        collateral_haircut_fraction=of_collateral,
        currency_mismatch_fraction=of_currency,
    )
    assert found == pytest.approx(float(left), abs=1e-12)


@pytest.mark.parametrize(
    ("observations", "breaches", "fraction"),
    [
        (250, 0, 0.01),
        (250, 250, 0.01),
        (1, 0, 0.5),
        (1, 1, 0.5),
        (100, 1, 0.01),
        (250, 10, 0.025),
        (500, 2, 0.025),
        (1750, 9, 0.01),
        (20, 19, 0.9),
        (1000, 1, 0.0001),
        (60, 3, 0.05),
    ],
)
def test_kupiec(observations, breaches, fraction):
    rate = breaches / observations

    def log_likelihood(probability):
        hit = breaches * log(probability) if breaches else 0.0
        return hit + ((observations - breaches) * log(1 - probability) if observations > breaches else 0.0)

    expected = 2 * (log_likelihood(rate) - log_likelihood(fraction))
    found = proportion_of_failures(observations, breaches, fraction)
    assert found.statistic == pytest.approx(expected, abs=1e-9)
    assert found.p_value == pytest.approx(erfc(sqrt(max(0.0, expected) / 2)), abs=1e-9)


@pytest.mark.parametrize(
    ("observations", "percent"),
    [(1, 1), (10, 1), (60, 5), (100, 1), (250, 1), (250, 5), (500, 1), (520, 1), (750, 2), (1000, 1), (1750, 3)],
)
def test_zones_by_exact_binomial_sums(observations, percent):
    chance, total, cumulative = Fraction(percent, 100), Fraction(0), []
    for count in range(observations + 1):
        total += comb(observations, count) * chance**count * (1 - chance) ** (observations - count)
        cumulative.append(total)
    first_yellow = next(count for count, reached in enumerate(cumulative) if reached >= Fraction(95, 100))
    first_red = next(count for count, reached in enumerate(cumulative) if reached >= Fraction(9999, 10000))
    limits = zone_limits(observations, percent / 100, yellow_from=0.95, red_from=0.9999)
    assert limits.green_max == max(0, first_yellow - 1)
    assert limits.yellow_max == max(limits.green_max, first_red - 1)


@pytest.mark.parametrize("pattern", ["0000", "1111", "01", "10", "0101010101", "0011001100", "0000100000", "1000000001", "0111000000"])
def test_christoffersen(pattern):
    days = [each == "1" for each in pattern]
    pairs = list(pairwise(days))

    def best(counted):
        hits, count = sum(counted), len(counted)
        return sum(log(hits / count) if hit else log(1 - hits / count) for hit in counted) if 0 < hits < count else 0.0

    after = {before: [day for earlier, day in pairs if earlier is before] for before in (True, False)}
    expected = 2 * (best(after[True]) + best(after[False]) - best([day for _, day in pairs]))
    assert independence(np.array(days)).statistic == pytest.approx(max(0.0, expected), abs=1e-9)


@pytest.mark.parametrize(
    ("exposure", "terms", "expected"),
    [
        # terms: daily volume, margin period, base days, share of the volume that is sold
        (0, (1e6, 2, 0.3, 0.2), 0),
        (1e6, (1e6, 2, 0.3, 0.2), 0),  # T = 5: 0.3 + 5/3 is below 2
        (1.02e6, (1e6, 2, 0.3, 0.2), 0),  # T = 5.1: exactly 2
        (-2e6, (1e6, 2, 0.3, 0.2), sqrt((0.3 + 10 / 3) / 2) - 1),  # T = 10; the sign does not matter
        (15e6, (1e6, 5, 0, 1), 0),  # T = 15: exactly 5
        (60e6, (1e6, 5, 0, 1), 1),  # T = 60: 20 days against 5
        (24e6, (1e6, 2, 0, 1), 1),  # 8 against 2
        (54e6, (1e6, 2, 0, 1), 2),  # 18 against 2
        (-54e6, (1e6, 2, 0, 1), 2),
        (3e6, (1e6, 1, 3, 1), 1),  # 3 + 1 against 1
        (1e6, (1e6, 1, 4, 1e9), 1),  # nothing to wait for but the base
    ],
)
def test_the_liquidity_horizon(exposure, terms, expected):
    volume, horizon, base, participation = terms
    stretch = horizon_stretch(
        np.array([exposure]),
        average_daily_volume=np.array([volume]),
        mpor_days=np.array([float(horizon)]),
        base_days=base,
        participation_fraction=participation,
    )
    assert float(stretch[0]) == pytest.approx(expected, abs=1e-9)
    spread = spread_cost(np.array([exposure]), spread_fraction=np.array([0.01]), spread_multiple=3.0)
    assert float(spread[0]) == pytest.approx(0.015 * abs(exposure))


@pytest.mark.parametrize(
    ("held", "extreme", "cover", "expected"),
    [
        # Of a price of 100 with a range of 12: a future, a payoff of max(0, S - 100) and one of max(0, 100 - S); volatility moves nothing.
        ((1, 0, 0), 2, "0.35", 12),
        ((-1, 0, 0), 2, "0.35", 12),
        ((1, 0, 0), 3, "0.35", "12.6"),  # 36 x 0.35 is more than 12
        ((1, 0, 0), 3, 0, 12),
        ((0, 1, 0), 2, "0.35", 0),  # a right costs nothing by itself
        ((0, -1, 0), 2, "0.35", 12),
        ((0, -1, 0), 3, 1, 36),
        ((1, -1, 0), 2, 0, 12),  # covered call: loses on the way down
        ((1, 0, 1), 2, "0.35", 0),  # protective put
        ((1, -1, 1), 2, "0.35", 0),  # conversion
        ((0, -1, -1), 2, "0.35", 12),  # straddle sold
        ((-2, 3, 0), 2, "0.35", 0),  # gains on the way down, and more on the way up
    ],
)
def test_span_scan_risk(held, extreme, cover, expected):
    def revalue(moves, _):
        price = 100 * (1 + moves)
        return np.array([price, np.maximum(0, price - 100), np.maximum(0, 100 - price)])

    arrays = risk_arrays(revalue, SpanGridParameters(0.12, 0.25, float(extreme), float(cover)))
    risk = float(scan_risks((np.array(held, dtype=float) @ arrays)[np.newaxis])[0])
    assert risk == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize(
    ("held", "lowest", "highest", "expected"),
    [
        ((1, 0, 0), "-0.15", "0.15", 15),
        ((-1, 0, 0), "-0.15", "0.15", 15),
        ((-1, 0, 0), "-0.08", "0.06", 6),
        ((1, 0, 0), "-0.08", "0.06", 8),
        ((0, 1, 0), "-0.15", "0.15", "0.375"),  # a right that costs nothing has the minimum
        ((0, -1, 0), "-0.15", "0.15", 15),
        ((1, -1, 0), "-0.15", "0.15", 15),
        ((1, 0, 1), "-0.15", "0.15", "0.375"),
        ((0, -40, 40), "-0.1", "0.1", 400),
        ((0, 1, -1), "-0.1", "0.1", 10),
        ((1, -1, 1), "-0.15", "0.15", "0.75"),  # two contracts, no risk
        ((0, 0, 0), "-0.15", "0.15", 0),
    ],
)
def test_tims_requirement(held, lowest, highest, expected):
    def revalue(moves):
        price = 100 * (1 + moves)
        return np.array([price, np.maximum(0, price - 100), np.maximum(0, 100 - price)])

    pnl = np.array(held, dtype=float) @ valuation_pnl(revalue, MoveRange(float(lowest), float(highest)))
    contracts = np.array(held[1:], dtype=float)
    least = contract_minimums(contracts, np.ones(2), np.zeros(2, dtype=np.int64), group_count=1, contract_minimum=0.375)
    assert float(tims_requirements(pnl[np.newaxis], least)[0]) == pytest.approx(float(expected), abs=1e-9)
