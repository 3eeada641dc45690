"""One ratio of volatilities for each offset group and start day."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.history_arrays import history_arrays
from crossmargin.engine.scenarios.volatility_scaling import scaling_ratios
from tests.unit.engine.scenarios.histories import MONDAY, UNSCALED, a_history, a_walk, factor, parameters

WIDE = {"scaling_floor": "0.000001", "scaling_cap": "1000000"}
BTC, ETH, VOL, EUR = factor("spot:BTC"), factor("spot:ETH"), factor("vol:BTC:1M"), factor("fx:EUR")


def ratios(columns, **overrides):
    """Ratios of a group made of all the columns, on every day."""
    history = a_history(columns)
    arrays = history_arrays(history, sorted(history.levels), maximum_carry_days=7)
    return scaling_ratios(arrays.coordinates, arrays.observed, np.arange(len(arrays.days)), parameters(**(WIDE | overrides)))


def path(moves):
    return [f"{level:.12f}" for level in 100 * np.exp(np.cumsum([0.0, *moves]))]


def test_the_variance_is_an_exponentially_weighted_mean_from_the_long_run():
    moves = np.array([0.01, -0.02, 0.03, 0.01])
    squares = moves**2 / np.mean(moves**2)
    variance = [1.0]
    for square in squares:
        variance.append(0.9 * variance[-1] + 0.1 * square)
    expected = np.sqrt(variance[-1] / np.array(variance))
    np.testing.assert_allclose(ratios({"spot:BTC": path(moves)}, volatility_decay="0.9"), expected, rtol=1e-9)


def test_the_decay_moves_the_ratio():
    moves = [0.01, -0.02, 0.03, 0.01]
    assert not np.allclose(ratios({"spot:BTC": path(moves)}), ratios({"spot:BTC": path(moves)}, volatility_decay="0.9"))


def test_calm_today_after_a_wild_past_meets_the_floor_and_the_reverse_the_cap():
    wild, calm = [0.1, -0.1] * 100, [0.001, -0.001] * 300
    clamped = {"scaling_floor": "0.8", "scaling_cap": "2.5"}
    falling, rising = path(wild + calm), path(calm + wild)
    assert ratios({"spot:BTC": falling})[150] < 0.8
    assert ratios({"spot:BTC": falling}, **clamped)[150] == 0.8
    assert ratios({"spot:BTC": rising})[500] > 2.5
    assert ratios({"spot:BTC": rising}, **clamped)[500] == 2.5


def test_a_start_day_does_not_know_the_move_that_begins_on_it():
    moves = [0.01, -0.01] * 100
    moves[120] = 0.5  # from day 120 to day 121
    found = ratios({"spot:BTC": path(moves)})
    assert abs(found[120] / found[119] - 1) < 0.02
    assert found[121] < 0.5 * found[120]


def test_weekends_neither_dilute_nor_age_the_variance():
    moves = np.random.default_rng(3).normal(scale=0.01, size=99)
    on_weekdays = iter(path(moves))
    days = [MONDAY + timedelta(days=day) for day in range(140)]
    with_weekends = [next(on_weekdays) if day.weekday() < 5 else None for day in days]
    weekdays = [place for place, day in enumerate(days) if day.weekday() < 5]
    np.testing.assert_allclose(ratios({"fx:EUR": with_weekends})[weekdays], ratios({"fx:EUR": path(moves)}), rtol=1e-12)
    fridays = [place for place, day in enumerate(days) if day.weekday() == 4]
    found = ratios({"fx:EUR": with_weekends})
    np.testing.assert_array_equal(found[[day + 1 for day in fridays]], found[fridays])


def test_a_group_that_never_moved_has_ratio_one():
    assert ratios({"spot:BTC": [5] * 10}).tolist() == [1.0] * 10
    assert ratios({"spot:BTC": [5]}).tolist() == [1.0]


def test_a_factor_that_never_moved_leaves_the_rest_of_its_group_alone():
    moves = [0.01, -0.02, 0.03]
    both = ratios({"spot:BTC": path(moves), "vol:BTC:1M": [1, 1, 1, 1]})
    np.testing.assert_array_equal(both, ratios({"spot:BTC": path(moves)}))


def test_each_factor_counts_by_its_own_standard_deviation():
    quiet, loud = np.array([0.001, -0.002, 0.001]), np.array([0.5, 0.4, -0.1])
    joint = ratios({"spot:BTC": path(quiet), "vol:BTC:1M": path(loud)}, volatility_decay="0.9")
    squares = (quiet**2 / np.mean(quiet**2) + loud**2 / np.mean(loud**2)) / 2
    variance = [1.0]
    for square in squares:
        variance.append(0.9 * variance[-1] + 0.1 * square)
    np.testing.assert_allclose(joint, np.sqrt(variance[-1] / np.array(variance)), rtol=1e-9)


def test_a_move_across_a_gap_too_long_to_carry_is_no_daily_move():
    moves = [0.01, -0.02]
    gap = [*path(moves), *[None] * 9, "500", "500.5"]
    jumpless = ratios({"spot:BTC": gap})
    assert jumpless[-1] == 1.0
    assert jumpless[0] < 1.5  # the fivefold jump would have made it some 40 times the long-run volatility


def test_all_factors_of_a_group_share_the_ratio_so_that_correlations_stay():
    history = a_history({"spot:BTC": a_walk(400, 1), "vol:BTC:1M": a_walk(400, 2, step=0.05), "spot:ETH": a_walk(400, 3)})
    plain = build_scenario_set(history, [BTC, VOL, ETH], parameters(**UNSCALED))
    scaled = build_scenario_set(history, [BTC, VOL, ETH], parameters(**WIDE))
    ratio = scaled.shocks / plain.shocks
    btc, eth, vol = (scaled.column_of[each] for each in (BTC, ETH, VOL))
    np.testing.assert_allclose(ratio[:, btc], ratio[:, vol], rtol=1e-12)
    assert np.abs(ratio[:, btc] - ratio[:, eth]).max() > 0.01


def test_a_groups_ratio_does_not_depend_on_which_of_its_factors_are_asked_for():
    history = a_history({"spot:BTC": a_walk(400, 1), "vol:BTC:1M": a_walk(400, 2, step=0.05)})
    alone = build_scenario_set(history, [BTC], parameters(**WIDE))
    together = build_scenario_set(history, [BTC, VOL], parameters(**WIDE))
    assert alone.shocks[:, 0].tobytes() == together.shocks[:, together.column_of[BTC]].tobytes()


@pytest.mark.parametrize("decay", ["0.9", "0.99"])
def test_today_measured_against_today_is_one(decay):
    assert ratios({"spot:BTC": a_walk(200, 5)}, volatility_decay=decay)[-1] == 1.0
