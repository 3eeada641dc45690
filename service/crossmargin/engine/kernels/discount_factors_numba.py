"""Discount factors on a curve, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByNodeState, ByTime, ByTimeState, Index
from crossmargin.engine.kernels.compiled import compiled
from crossmargin.engine.kernels.elementary_numba import exponential


def discount_factors(*, years: ByTime, levels: ByTime, moves: ByNodeState, lower: Index, upper: Index, share: ByTime) -> ByTimeState:
    """Return the same as the function of this name in numpy: the same rates to the bit, and their exponentials to the last or two."""
    factors = np.empty((len(years), moves.shape[1]))
    _factors(np.stack((years, levels, share)), np.stack((lower, upper)), np.ascontiguousarray(moves), factors)
    return factors


@compiled("void(f8[:, ::1], i8[:, ::1], f8[:, ::1], f8[:, ::1])")
def _factors(times: NDArray[np.float64], nodes: NDArray[np.int64], moves: NDArray[np.float64], factors: NDArray[np.float64]) -> None:
    """Fill [T, M] factors from years, level and share [3, T] and the nodes [2, T] on either side."""
    for t in range(len(factors)):
        low, high, row = moves[nodes[0, t]], moves[nodes[1, t]], factors[t]
        time, level, above = -times[0, t], times[1, t], times[2, t]
        below = 1.0 - above
        for m in range(moves.shape[1]):
            row[m] = exponential((low[m] * below + high[m] * above + level) * time)
