"""The tail mean: what the worst scenarios cost on average. The one estimator of loss in the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByRow, ByRowScenario, ByScenario, Index

_BLOCKS_PER_TAIL_SCENARIO: Final = 6
_ROWS_AT_ONCE: Final = 80
"""Rows that fit into the second-level cache together with their temporaries: all groups and classes of most accounts. Each pass over some
rows costs as much again as eighty of them, whatever it finds."""


def tail_mean(pnl: ByScenario, weights: ByScenario, alpha: float) -> float:
    """Return the expected shortfall of one profit-and-loss vector: the mean loss in the worst `alpha` of probability, at least 0.

    With x sorted from the worst, ES = max(0, -(1/alpha) [sum_{s<=k} w_s x_s + (alpha - sum_{s<=k} w_s) x_{k+1}]), k the last scenario
    that fits into the tail whole (Acerbi and Tasche 2002, "On the coherence of expected shortfall", definition 2.6).

    Args:
        pnl: [S] profits (+) and losses (-), base currency.
        weights: [S] probabilities; they need not be equal.
        alpha: Probability of the tail, above 0 and below 1.

    >>> tail_mean(np.array([-5.0, -3.0, 1.0, 4.0]), np.full(4, 0.25), 0.5)
    4.0
    """
    return float(tail_means(pnl[np.newaxis], weights, alpha)[0])


def tail_means(pnl: ByRowScenario, weights: ByScenario, alpha: float) -> ByRow:
    """Return the tail mean of every row of `pnl` [R, S]; each is bit for bit what `tail_mean` says of it alone."""
    means: ByRow = np.maximum(0.0, tails_of(pnl, weights, alpha).losses)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """The tails of some rows of profits.

    Attributes:
        losses: [R] mean losses before the floor at zero; each depends on its own row alone, even in the last bit.
        worst: The scenarios in them, a block of rows after the other.
    """

    losses: ByRow
    worst: tuple[WorstScenarios, ...]

    def weights(self, scenario_count: int) -> ByRowScenario:
        """Return [R, S] how much of each scenario's weight lies in the tail of each row."""
        return np.concatenate([dense_weights(each, scenario_count) for each in self.worst])


def tails_of(pnl: ByRowScenario, weights: ByScenario, alpha: float) -> Tails:
    """Return the tails of the rows of `pnl` [R, S]."""
    losses, worst = np.empty(len(pnl)), []
    for start in range(0, max(1, len(pnl)), _ROWS_AT_ONCE):
        block = pnl[start : start + _ROWS_AT_ONCE]
        tail = worst_of_rows(block, weights, alpha)
        row = np.repeat(np.arange(len(block)), tail.scenario.shape[1])
        # Added up one after the other, so that a row's tail mean does not depend on its neighbours even in the last bit.
        value = block[row, tail.scenario.ravel()]
        taken = np.bincount(row, tail.weight.ravel() * value, len(block))
        losses[start : start + _ROWS_AT_ONCE] = -taken / alpha
        worst.append(tail)
    return Tails(losses, tuple(worst))


def tail_weights(pnl: ByRowScenario, weights: ByScenario, alpha: float) -> ByRowScenario:
    """Return how much of each scenario's weight lies in the tail of each row: [R, S], or [S] for one vector.

    Zero or more, at most the scenario's weight, summing to alpha. Before the floor at zero ES = -(1/alpha) sum_s t_s x_s, so t is also
    the gradient that Euler contributions need. Among equal losses the earlier scenario comes first.
    """
    rows = np.atleast_2d(pnl)
    return dense_weights(worst_of_rows(rows, weights, alpha), rows.shape[1]).reshape(pnl.shape)


def tail_means_by_weights(pnl: ByRowScenario, weights: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return [N, R] the tail mean of every row of `pnl` [R, S] under each of N weightings [N, S], as `tail_mean` says of each alone.

    The rows are sorted once for all weightings, which is what makes hundreds of them cheap. Agrees with `tail_means` up to the order in
    which a float sum is taken.
    """
    means = np.empty((len(weights), len(pnl)))
    for row, values in enumerate(pnl):
        order = np.argsort(values, kind="stable")
        count = min(len(values), max(1, int(2 * alpha * len(values))))
        while True:
            own = weights[:, order[:count]]
            total = np.cumsum(own, axis=1)
            if count == len(values) or (total[:, -1] >= alpha).all():
                break
            count = min(len(values), 2 * count)
        taken = np.clip(alpha - (total - own), 0.0, own)
        means[:, row] = np.maximum(0.0, -(taken @ values[order[:count]]) / alpha)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class WorstScenarios:
    """The scenarios in the tail of each row, from the worst: `scenario` [R, W] and how much of its weight lies in the tail.

    A row with a shorter tail is filled up with scenarios that have no weight in it.
    """

    scenario: Index
    weight: ByRowScenario

    def of_row(self, row: int) -> Index:
        """Return the scenarios in the tail of one row."""
        places: Index = self.scenario[row, self.weight[row] > 0.0]
        return places


def dense_weights(tail: WorstScenarios, scenario_count: int) -> ByRowScenario:
    """Return [R, S] how much of each scenario's weight lies in the tail of each row."""
    row, place = np.nonzero(tail.weight)
    taken = np.zeros((len(tail.weight), scenario_count))
    taken[row, tail.scenario[row, place]] = tail.weight[row, place]
    return taken


def worst_of_rows(pnl: ByRowScenario, weights: ByScenario, alpha: float) -> WorstScenarios:
    """Return the tails of the rows of `pnl` [R, S]; among equal losses the earlier scenario comes first."""
    tail_count = _scenarios_in_tail(weights, alpha)
    bound = _upper_bound_of_tail(pnl, tail_count)
    row, scenario, value = _candidates(pnl, bound, tail_count)
    count = np.bincount(row, minlength=len(pnl))
    first, width = np.cumsum(count) - count, int(count.max(initial=1))
    # Flat places in an array of one row for each row of `pnl`, filled up with what is worse than nothing.
    place = np.arange(len(row)) + (np.arange(len(pnl)) * width - first)[row]
    values, candidates, taken = np.full(len(pnl) * width, np.inf), np.zeros(len(pnl) * width, dtype=np.int64), np.zeros(len(pnl) * width)
    values[place], candidates[place], taken[place] = value, scenario, weights[scenario]
    order = np.argsort(values.reshape(-1, width), axis=1, kind="stable")
    order += (np.arange(len(pnl)) * width)[:, np.newaxis]
    weight = taken[order]
    # Added up row by row, so that a row's tail does not depend on its neighbours even in the last bit.
    left = weight - np.cumsum(weight, axis=1)
    left += alpha
    np.maximum(np.minimum(left, weight, out=left), 0.0, out=left)
    reached = int(np.flatnonzero(left.any(axis=0)).max(initial=0)) + 1
    return WorstScenarios(candidates[order[:, :reached]], left[:, :reached])


def tail_places(pnl: ByRowScenario, weights: ByScenario, alpha: float) -> Index:
    """Return the places of the scenarios that have weight in the tail of any row of `pnl` [R, S], ascending."""
    tail = worst_of_rows(pnl, weights, alpha)
    return np.unique(tail.scenario[tail.weight > 0])


def _candidates(pnl: ByRowScenario, bound: ByRowScenario, tail_count: int) -> tuple[Index, Index, ByScenario]:
    """Return row, scenario and profit of all that may lie in the tails, which are at most the `bound` [R, 1] of their rows.

    Of many equal losses at the bound, as in a row that nothing moves, no more are looked at than the tail could hold.
    """
    place = np.flatnonzero(pnl <= bound)
    row, scenario = np.divmod(place, pnl.shape[1])
    value = pnl.ravel()[place]
    equal = value == bound[row, 0]
    if int(equal.sum()) == len(pnl):
        return row, scenario, value
    before = np.cumsum(equal) - equal
    first = np.searchsorted(row, np.arange(len(pnl)))
    wanted = ~equal | (before - before[np.minimum(first, len(row) - 1)][row] < tail_count)
    return row[wanted], scenario[wanted], value[wanted]


def _upper_bound_of_tail(pnl: ByRowScenario, tail_count: int) -> ByRowScenario:
    """Return [R, 1] values that no scenario of the tail exceeds.

    The worst m scenarios hold the tail, m being how many of the lightest ones add up to alpha. Cut the scenarios into blocks: each of the
    m smallest block minima is a scenario, so the m worst scenarios are not above the largest of them. Sorting blocks instead of
    scenarios leaves few candidates at a fraction of the cost.
    """
    scenario_count = pnl.shape[1]
    block_size = max(1, scenario_count // (_BLOCKS_PER_TAIL_SCENARIO * tail_count))
    block_count = scenario_count // block_size
    minima = pnl[:, : block_size * block_count].reshape(len(pnl), block_size, block_count).min(axis=1)
    return np.partition(minima, tail_count - 1, axis=1)[:, tail_count - 1 : tail_count]


def _scenarios_in_tail(weights: ByScenario, alpha: float) -> int:
    """Return how many scenarios hold the tail whichever they are."""
    return min(int(np.searchsorted(np.cumsum(np.sort(weights)), alpha)) + 1, len(weights))
