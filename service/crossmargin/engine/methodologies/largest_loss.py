"""The largest loss over a fixed grid of market moves: what every grid methodology asks for."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByGroup

ByPoint: TypeAlias = NDArray[np.float64]
"""[P] points of a grid of market moves"""
ByGroupPoint: TypeAlias = NDArray[np.float64]
"""[U, P]"""
ByInstrumentPoint: TypeAlias = NDArray[np.float64]
"""[I, P]"""


def largest_losses(pnl: ByGroupPoint) -> ByGroup:
    """Return [U] the largest loss of each group over the points, base currency, at least 0: a group that gains everywhere needs nothing.

    Raises:
        FloatingPointError: When a profit is not a finite number; a requirement must never be lost in a NaN.

    >>> largest_losses(np.array([[4.0, -3.0], [1.0, 2.0]])).tolist()
    [3.0, 0.0]
    """
    if not np.isfinite(pnl).all():
        raise FloatingPointError("a profit on the grid is not finite; check the levels and marks it was valued from")
    # Subtracted from zero, so that no loss is 0 and not -0.
    losses: ByGroup = np.maximum(0.0, 0.0 - pnl.min(axis=-1))
    return losses
