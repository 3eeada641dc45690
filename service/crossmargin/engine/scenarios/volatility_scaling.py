"""How much calmer or wilder today is than a day of the past: one ratio for each offset group, so that correlations stay."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByScenario, Index
from crossmargin.engine.scenarios.history_arrays import ByDayFactor, Observed


def scaling_ratios(coordinates: ByDayFactor, observed: Observed, start_rows: Index, parameters: RiskParameters) -> ByScenario:
    """Return [S] today's volatility of one offset group over its volatility on each start day, clamped to floor and cap.

    The columns are the group's factors. A daily move is dated at the later of two consecutive observations and divided by the
    factor's own standard deviation about zero; the square of the group's move is the mean over the factors observed that day.
    The variance is exponentially weighted over days with an observation (RiskMetrics, 1996): weekends and holidays, on which a
    carried level does not move, neither dilute nor age it. It begins at the mean of the whole history, which is 1 by
    construction. The variance of a start day knows the moves up to that day's close and nothing after it.

    A group that never moved has ratio 1.
    """
    squares, seen = _group_squares(coordinates, observed)
    if not seen.any():
        return np.ones(len(start_rows))
    variance = _variance_after_each(squares[seen], float(parameters.volatility_decay))
    moves_known = np.cumsum(seen)
    ratios = np.sqrt(variance[-1] / variance[moves_known[start_rows]])
    return np.asarray(np.clip(ratios, float(parameters.scaling_floor), float(parameters.scaling_cap)))


def _group_squares(coordinates: ByDayFactor, observed: Observed) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return [T] mean squared standardised move of the group, and [T] whether any factor moved between observations that day."""
    moves = np.diff(coordinates, axis=0, prepend=coordinates[:1])
    counted = observed & ~np.isnan(moves)
    counted[0] = False  # the first day has no day before it
    squares = np.where(counted, moves, 0.0) ** 2
    long_run = squares.sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    counted &= long_run > 0.0
    standardised = np.where(counted, squares / np.where(long_run > 0.0, long_run, 1.0), 0.0)
    count = counted.sum(axis=1)
    return standardised.sum(axis=1) / np.maximum(count, 1), count > 0


def _variance_after_each(squares: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Return the variance known after 0, 1, 2, ... moves: v_t = decay v_{t-1} + (1 - decay) x_t^2, from the long-run 1."""
    return np.fromiter(accumulate(squares.tolist(), lambda before, square: decay * before + (1.0 - decay) * square, initial=1.0), float)
