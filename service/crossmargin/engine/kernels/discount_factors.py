"""Discount factors of many times in every state, on a curve that is linear between its nodes."""

from __future__ import annotations

from typing import Final

import numpy as np

from crossmargin.engine.axes import ByNodeState, ByTime, ByTimeState, Index

_ROWS_IN_CACHE: Final = 64
"""Times worked on at once, so that the rates of all scenarios are still in the cache when they are exponentiated."""


def discount_factors(*, years: ByTime, levels: ByTime, moves: ByNodeState, lower: Index, upper: Index, share: ByTime) -> ByTimeState:
    """Return [T, M] exp(-z(T) T) for T times in years, z continuously compounded.

    `levels` [T] are the rates in the base state; they move as `moves` [N, M] of the nodes `lower` and `upper` [T] on either side of each
    time, of which it lies `share` [T] towards the upper.
    """
    factors = np.empty((len(years), moves.shape[1]))
    for start in range(0, len(years), _ROWS_IN_CACHE):
        rows = slice(start, start + _ROWS_IN_CACHE)
        rates = moves[lower[rows]]
        rates *= (1.0 - share[rows])[:, np.newaxis]
        rates += moves[upper[rows]] * share[rows, np.newaxis]
        rates += levels[rows, np.newaxis]
        rates *= -years[rows, np.newaxis]
        np.exp(rates, out=factors[rows])
    return factors
