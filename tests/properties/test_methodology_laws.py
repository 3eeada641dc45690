"""Laws of the methodologies beside the expected shortfall: size, signs, order, netting, bounds; and of the backtest statistics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.engine.backtest_statistics import (
    independence,
    largest_rise,
    peak_to_trough,
    proportion_of_failures,
    shortfall_and_frequency,
    shortfall_given_breach,
    traffic_light,
    zone_limits,
)
from crossmargin.engine.kernels.black76 import black76
from crossmargin.engine.methodologies.ratio import RatioParameters, RatioRate, check_bucket, ratio_margin
from crossmargin.engine.methodologies.span_grid import risk_arrays, scan_risks
from crossmargin.engine.methodologies.standard_schedule import collected_margin, posted_margin, schedule_rates
from crossmargin.engine.methodologies.tims_grid import MoveRange, contract_minimums, tims_requirements, valuation_moves, valuation_pnl
from crossmargin.engine.mitigated_exposure import mitigated_exposure
from tests.unit.engine.methodologies.shipped_parameters import SPAN_GRID, STANDARD_SCHEDULE, TIMS_GRID

EXACT = 1e-9  # relative to the sizes involved: thousands of times what the additions of one book lose

factors = st.floats(0.01, 100)
sizes = st.floats(0, 1e6)
amounts = st.floats(-1e6, 1e6)
quantities = arrays.arrays(np.float64, 4, elements=st.floats(-1000, 1000))
trades = st.lists(
    st.tuples(st.sampled_from(sorted(STANDARD_SCHEDULE.bands)), st.floats(0, 30), amounts, amounts.map(lambda value: round(value, 2))),
    min_size=1,
    max_size=8,
)
fractions = st.floats(0, 1)
days = arrays.arrays(np.bool_, st.integers(2, 60))


# The schedule


def _collected(book, side=collected_margin, *, scale=1.0):
    asset_class, years, notional, present_value = zip(*book, strict=True)
    rate = schedule_rates(asset_class, np.array(years), STANDARD_SCHEDULE)
    return side(scale * np.array(notional), rate, scale * np.array(present_value), gross_fraction=STANDARD_SCHEDULE.gross_fraction)


@given(trades)
def test_netting_leaves_40_to_100_percent_of_the_gross_margin(book):
    for margin in (_collected(book), _collected(book, posted_margin)):
        assert 0.0 <= margin.net_to_gross_ratio <= 1.0
        assert 0.4 * margin.gross * (1 - EXACT) <= margin.initial_margin <= margin.gross * (1 + EXACT)


@given(trades, factors)
def test_a_netting_set_of_twice_the_size_collects_twice_the_margin(book, factor):
    margin = _collected(book)
    # A ratio near zero is what the additions of its numerator leave, relative to what was added up.
    assert _collected(book, scale=factor).initial_margin == pytest.approx(factor * margin.initial_margin, rel=1e-6, abs=1e-6)


@given(trades)
def test_what_we_post_is_what_the_other_side_collects(book):
    mirrored = [(name, years, -notional, -present_value) for name, years, notional, present_value in book]
    assert _collected(book, posted_margin) == _collected(mirrored)
    assert _collected(mirrored, posted_margin) == _collected(book)


@given(trades, st.randoms(use_true_random=False))
def test_the_order_of_trades_changes_nothing(book, random):
    shuffled = list(book)
    random.shuffle(shuffled)
    assert _collected(shuffled).gross == pytest.approx(_collected(book).gross, rel=EXACT)
    assert _collected(shuffled).initial_margin == pytest.approx(_collected(book).initial_margin, rel=1e-6, abs=1e-6)


@given(trades, trades)
def test_the_gross_margin_of_two_netting_sets_adds_up(book, other):
    assert _collected(book + other).gross == pytest.approx(_collected(book).gross + _collected(other).gross, rel=EXACT, abs=EXACT)


# The grids

STRIKES = np.array([[90.0], [100.0], [110.0]])


def _units(price_move, volatility_move):
    """A future and three options on it: [4, P]."""
    forward = 100.0 * (1 + price_move)
    options = black76(forward=forward, strike=STRIKES, total_volatility=0.2 * (1 + volatility_move), sign=np.array([[-1.0], [1.0], [1.0]]))
    return np.concatenate((forward[np.newaxis], options))


SPAN_ARRAYS = risk_arrays(_units, SPAN_GRID)
TIMS_ARRAYS = valuation_pnl(lambda move: _units(move, 0.0), TIMS_GRID.range_of("OTHER"))


def _scan_risk(held, unit_pnl=SPAN_ARRAYS):
    return float(scan_risks((held @ unit_pnl)[np.newaxis])[0])


def _tims(held):
    contracts = held[1:]
    minimum = contract_minimums(contracts, np.ones(3), np.zeros(3, np.int64), group_count=1, contract_minimum=TIMS_GRID.contract_minimum)
    return float(tims_requirements((held @ TIMS_ARRAYS)[np.newaxis], minimum)[0])


REQUIREMENTS = pytest.mark.parametrize("requirement", [_scan_risk, _tims])


def _noise(*books):
    return EXACT * (1 + sum(np.abs(held).sum() for held in books)) * 100


@REQUIREMENTS
@given(held=quantities, factor=factors)
def test_a_book_of_twice_the_size_needs_twice_the_grid_margin(requirement, held, factor):
    assert requirement(factor * held) == pytest.approx(factor * requirement(held), abs=_noise(held, factor * held))


@REQUIREMENTS
@given(held=quantities, other=quantities)
def test_two_books_need_no_more_together_than_apart(requirement, held, other):
    assert requirement(held + other) <= requirement(held) + requirement(other) + _noise(held, other)


@REQUIREMENTS
@given(held=quantities)
def test_a_book_and_its_mirror_never_both_need_nothing_where_one_moves(requirement, held):
    largest_move = np.abs(held @ (SPAN_ARRAYS if requirement is _scan_risk else TIMS_ARRAYS)).max()
    assert max(requirement(held), requirement(-held)) >= largest_move - _noise(held)


@given(quantities, st.permutations(range(4)))
def test_the_order_of_instruments_changes_nothing(held, order):
    assert _scan_risk(held[order], SPAN_ARRAYS[order]) == pytest.approx(_scan_risk(held), abs=_noise(held))


@given(amounts, st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45)).map(sorted))
def test_a_linear_book_is_symmetric_and_needs_more_in_a_wider_scan_range(quantity, ranges):
    def risk(held, price_scan_fraction):
        parameters = replace(SPAN_GRID, price_scan_fraction=price_scan_fraction)
        return float(scan_risks(held * risk_arrays(lambda price, volatility: (price + 0.0 * volatility)[np.newaxis], parameters))[0])

    narrow, wide = ranges
    assert risk(quantity, narrow) <= risk(quantity, wide)
    assert risk(quantity, wide) == pytest.approx(risk(-quantity, wide))
    assert risk(quantity, wide) == pytest.approx(abs(quantity) * wide)


@given(quantities, st.tuples(fractions, fractions).map(sorted))
def test_more_cover_of_the_extreme_moves_needs_no_less(held, covers):
    low, high = (_scan_risk(held, risk_arrays(_units, replace(SPAN_GRID, cover_fraction=cover))) for cover in covers)
    assert low <= high


@given(st.floats(-0.9, -0.001), st.floats(0.001, 5.0))
def test_the_ten_moves_ascend_from_end_to_end_and_leave_out_zero(lowest, highest):
    moves = valuation_moves(MoveRange(lowest, highest))
    assert (moves[0], moves[-1], len(moves)) == (lowest, highest, 10)
    assert (np.diff(moves) > 0).all()
    assert np.diff(moves[:5]) == pytest.approx(np.full(4, -lowest / 5))
    assert np.diff(moves[5:]) == pytest.approx(np.full(4, highest / 5))
    assert moves[4] < 0 < moves[5]


@given(quantities)
def test_the_requirement_is_never_below_loss_or_minimum(held):
    assert _tims(held) >= 0.375 * np.abs(held[1:]).sum() * (1 - EXACT)
    assert _tims(held) >= -(held @ TIMS_ARRAYS).min()


# Fixed rates and buckets


@given(quantities, factors)
def test_fixed_rates_scale_and_see_no_sign(held, factor):
    names = [InstrumentId(name) for name in "ABCD"]
    parameters = RatioParameters({name: RatioRate(0.1 * rank, 0.05 * rank) for rank, name in enumerate(names, start=1)})
    margin = ratio_margin(names, held, parameters)
    assert ratio_margin(names, -held, parameters) == margin
    assert ratio_margin(names, factor * held, parameters).initial == pytest.approx(factor * margin.initial, abs=_noise(held, factor * held))
    assert margin.maintenance <= margin.initial
    assert margin.initial >= abs(held @ np.array([0.1, 0.2, 0.3, 0.4])) - _noise(held)


@given(sizes, amounts, sizes)
def test_every_loss_in_a_bucket_is_the_clients_or_the_brokers(collateral, pnl, requirement):
    check = check_bucket(collateral=collateral, pnl=pnl, requirement=requirement)
    assert 0.0 <= check.client_loss <= collateral
    assert check.client_loss + check.gap_loss == pytest.approx(max(0.0, -pnl), abs=EXACT * (1 + collateral))
    assert check.is_covered == (check.equity >= requirement)


@given(sizes, sizes, st.tuples(fractions, fractions), st.tuples(fractions, fractions).map(sorted))
def test_collateral_lowers_an_exposure_and_haircuts_raise_it(exposure, collateral, haircuts, mismatches):
    exposure_haircut, haircut = haircuts
    low, high = mismatches

    def left(collateral, mismatch):
        return mitigated_exposure(
            exposure=exposure,
            collateral=collateral,
            exposure_haircut_fraction=exposure_haircut,
            collateral_haircut_fraction=0.5 * haircut,
            currency_mismatch_fraction=0.5 * mismatch,
        )

    assert 0.0 <= left(collateral, low) <= left(collateral, high) <= left(0.0, high)


# Backtest statistics


@given(st.integers(1, 2000), st.data())
def test_kupiec_is_zero_at_the_expected_rate_and_grows_away_from_it(observations, data):
    expected = data.draw(st.integers(1, max(1, observations - 1)))
    fraction = expected / max(2, observations)
    counts = [*range(observations + 1)]
    statistics = np.array(
        [proportion_of_failures(observations, breaches, fraction).statistic for breaches in counts[:: max(1, len(counts) // 40)]]
    )
    nearest = int(np.argmin(statistics))
    assert (statistics >= 0).all()
    assert (np.diff(statistics[: nearest + 1]) <= 1e-9).all()
    assert (np.diff(statistics[nearest:]) >= -1e-9).all()
    if observations >= 2:
        assert proportion_of_failures(observations, expected, fraction).statistic == pytest.approx(0.0, abs=1e-9 * observations)


@given(days)
def test_independence_is_blind_to_whether_breach_or_calm_is_counted(breached):
    assert independence(breached).statistic >= 0.0
    assert independence(~breached).statistic == pytest.approx(independence(breached).statistic, abs=1e-9)
    if breached[0] == breached[-1]:  # as many changes to breach as to calm, in either direction of time
        assert independence(breached[::-1]).statistic == pytest.approx(independence(breached).statistic, abs=1e-9)


@given(st.integers(1, 1500), st.floats(0.001, 0.5))
def test_zones_are_in_order_and_more_breaches_are_never_better(observations, fraction):
    limits = zone_limits(observations, fraction, yellow_from=0.95, red_from=0.9999)
    assert 0 <= limits.green_max <= limits.yellow_max <= observations
    order = [traffic_light(observations, n, fraction, yellow_from=0.95, red_from=0.9999).name for n in range(min(40, observations) + 1)]
    assert order == sorted(order, key=["GREEN", "YELLOW", "RED"].index)


@given(arrays.arrays(np.float64, 30, elements=st.floats(-100, 100)), factors, st.randoms(use_true_random=False))
def test_shortfall_statistics_know_neither_unit_nor_order(pnl, factor, random):
    value_at_risk, expected_shortfall, order = np.linspace(1, 5, 30), np.linspace(2, 6, 30), list(range(30))
    random.shuffle(order)
    for statistic in (shortfall_given_breach, lambda *given: shortfall_and_frequency(*given, alpha=0.1)):
        # A power of two scales without rounding, so that no loss crosses its value at risk.
        scale = 2.0 ** round(np.log2(factor))
        expected = pytest.approx(statistic(pnl, value_at_risk, expected_shortfall), rel=1e-9, abs=1e-9, nan_ok=True)
        assert statistic(scale * pnl, scale * value_at_risk, scale * expected_shortfall) == expected
        assert statistic(pnl[order], value_at_risk[order], expected_shortfall[order]) == expected


@given(arrays.arrays(np.float64, st.integers(21, 60), elements=st.floats(0.5, 100)), factors)
def test_procyclicality_knows_no_unit_and_a_rise_is_at_most_peak_to_trough(requirement, factor):
    assert peak_to_trough(factor * requirement) == pytest.approx(peak_to_trough(requirement))
    for length in (1, 5, 20):
        assert largest_rise(factor * requirement, length) == pytest.approx(largest_rise(requirement, length), abs=EXACT)
        assert 0.0 <= largest_rise(requirement, length) <= (peak_to_trough(requirement) - 1.0) * (1 + EXACT) + EXACT
