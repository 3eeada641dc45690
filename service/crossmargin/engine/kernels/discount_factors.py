"""Discount factors of many times in every state, on a curve that is linear between its nodes."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByNodeState, ByTime, ByTimeState, Index

_ROWS_IN_CACHE: Final = 128
"""Times worked on at once, so that the rates of all scenarios are still in the cache when they are exponentiated."""


def discount_factors(*, years: ByTime, levels: ByTime, moves: ByNodeState, lower: Index, upper: Index, share: ByTime) -> ByTimeState:
    """Return [T, M] exp(-z(T) T) for T times in years, z continuously compounded.

    `levels` [T] are the rates in the base state; they move as `moves` [N, M] of the nodes `lower` and `upper` [T] on either side of each
    time, of which it lies `share` [T] towards the upper.
    """
    factors = np.empty((len(years), moves.shape[1]))
    ends = np.flatnonzero((np.diff(lower) != 0) | (np.diff(upper) != 0)) + 1
    for first, end in pairwise([0, *ends.tolist(), len(years)]):
        # Between the same two nodes, of which nothing has to be copied for each time.
        for start in range(first, end, _ROWS_IN_CACHE):
            rows = slice(start, min(start + _ROWS_IN_CACHE, end))
            rates = np.multiply(moves[lower[first]], (1.0 - share[rows])[:, np.newaxis], out=factors[rows])
            rates += moves[upper[first]] * share[rows, np.newaxis]
            rates += levels[rows, np.newaxis]
            rates *= -years[rows, np.newaxis]
            np.exp(rates, out=rates)
    return factors
