import numpy as np
import pytest

from crossmargin.engine.tail_mean import tail_mean, tail_means, tail_weights, worst_of_rows

EQUAL = np.full(4, 0.25)


def test_last_scenario_counts_with_what_is_left_of_the_tail():
    pnl = np.array([1.0, -8.0, -4.0, 3.0])
    assert tail_mean(pnl, EQUAL, 0.375) == pytest.approx((0.25 * 8 + 0.125 * 4) / 0.375, rel=1e-15)


def test_gains_in_the_tail_need_no_margin():
    assert tail_mean(np.array([1.0, 2.0, 3.0, 4.0]), EQUAL, 0.5) == 0.0


def test_a_tail_that_is_partly_a_gain_is_not_floored_scenario_by_scenario():
    assert tail_mean(np.array([-3.0, 1.0, 2.0, 4.0]), EQUAL, 0.5) == 1.0


def test_heavy_scenarios_fill_the_tail_alone():
    weights = np.array([0.1, 0.6, 0.3])
    assert tail_mean(np.array([-1.0, -5.0, 2.0]), weights, 0.5) == pytest.approx(5.0, rel=1e-15)


def test_a_scenario_without_weight_never_counts():
    assert tail_mean(np.array([-100.0, -1.0, 0.0]), np.array([0.0, 0.5, 0.5]), 0.5) == 1.0


@pytest.mark.parametrize("alpha", [1e-6, 0.999999])
def test_both_ends_of_the_tail_fraction(alpha):
    pnl = np.array([-4.0, -2.0, 0.0, 2.0])
    # A vanishing tail is the worst scenario; a tail of nearly everything is nearly the mean.
    expected = 4.0 if alpha < 0.5 else 1.0
    assert tail_mean(pnl, EQUAL, alpha) == pytest.approx(expected, abs=1e-5)


def test_one_scenario_is_its_own_tail():
    assert tail_mean(np.array([-7.0]), np.array([1.0]), 0.025) == pytest.approx(7.0, rel=1e-15)


def test_of_equal_losses_the_earlier_fills_the_tail_first():
    assert tail_weights(np.array([-1.0, -2.0, -2.0, -2.0]), EQUAL, 0.375).tolist() == [0.0, 0.25, 0.125, 0.0]


def test_of_equal_losses_on_a_flat_row_of_many_scenarios_the_first_are_taken():
    weights = np.full(1000, 0.001)
    taken = tail_weights(np.zeros(1000), weights, 0.0255)
    assert np.flatnonzero(taken).tolist() == list(range(26))
    assert taken[25] == pytest.approx(0.0005, rel=1e-9)


def test_tail_weights_fill_the_tail_and_give_the_tail_mean():
    pnl, weights = _random_rows(rows=40, scenarios=1500)
    taken = tail_weights(pnl, weights, 0.025)
    assert (taken >= 0).all()
    assert (taken <= weights).all()
    assert taken.sum(axis=1) == pytest.approx(np.full(40, 0.025), rel=1e-12)
    assert tail_means(pnl, weights, 0.025) == pytest.approx(-(taken * pnl).sum(axis=1) / 0.025, rel=1e-12)


@pytest.mark.parametrize("scenarios", [1, 2, 7, 40, 41, 251, 1500])
def test_selection_agrees_with_a_full_sort_at_any_number_of_scenarios(scenarios):
    pnl, weights = _random_rows(rows=9, scenarios=scenarios)
    order = np.argsort(pnl, axis=1, kind="stable")
    worse = np.cumsum(weights[order], axis=1) - weights[order]
    expected = np.zeros_like(pnl)
    np.put_along_axis(expected, order, np.clip(0.025 - worse, 0.0, weights[order]), axis=1)
    assert tail_weights(pnl, weights, 0.025) == pytest.approx(expected, abs=1e-15)


def test_a_row_does_not_depend_on_its_neighbours():
    pnl, weights = _random_rows(rows=70, scenarios=300)
    alone = [tail_mean(row, weights, 0.025) for row in pnl]
    assert tail_means(pnl, weights, 0.025).tolist() == alone
    assert tail_weights(pnl, weights, 0.025)[41].tolist() == tail_weights(pnl[41], weights, 0.025).tolist()


def test_no_rows_have_no_tails():
    assert tail_means(np.zeros((0, 4)), EQUAL, 0.5).shape == (0,)


def _random_rows(*, rows, scenarios, seed=20260302):
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    weights = random.uniform(0.2, 1.8, scenarios)
    # Rounded, so that there are ties.
    return np.round(random.standard_t(3, (rows, scenarios)), 1), weights / weights.sum()


def test_the_worst_scenarios_of_rows_are_their_tails_from_the_worst():
    """Also in rows of ties, in flat rows, and with scenarios that have no weight."""
    random = np.random.default_rng(7)
    pnl = np.round(random.standard_t(3, (12, 300)) * np.array([0, 1, 2, 50])[random.integers(0, 4, (12, 1))])
    weights = random.choice([0.0, 0.5, 1.0], 300)
    weights /= weights.sum()
    worst, taken = worst_of_rows(pnl, weights, 0.1), tail_weights(pnl, weights, 0.1)
    for row in range(12):
        order = np.argsort(pnl[row], kind="stable")
        expected = np.clip(0.1 - (np.cumsum(weights[order]) - weights[order]), 0.0, weights[order])
        held = worst.weight[row] > 0
        assert worst.scenario[row][held].tolist() == order[expected > 0].tolist()
        assert worst.weight[row][held] == pytest.approx(expected[expected > 0], rel=1e-9)
        assert taken[row][order] == pytest.approx(expected, rel=1e-9)


def test_a_flat_row_beside_others_is_not_looked_through_whole():
    worst = worst_of_rows(np.zeros((3, 1000)), np.full(1000, 0.001), 0.0255)
    assert worst.scenario.tolist() == [list(range(26))] * 3
