"""Prices of a chain of options in every state: European options of one underlying and expiry."""

from __future__ import annotations

import numpy as np

from crossmargin.engine.axes import ByInstrument, ByInstrumentState, ByState
from crossmargin.engine.kernels.black76 import black76


def option_prices(
    *,
    forward: ByState,
    unit: ByState,
    ratio: ByState,
    strike: ByInstrument,
    sign: ByInstrument,
    own: ByInstrument,
    mark: ByInstrument,
) -> ByInstrumentState:
    """Return [I, M] prices, in the unit of `unit` [M], what one unit of undiscounted price is worth.

    `own` [I] is sigma sqrt(T) in the base state, which `ratio` [M] multiplies; `sign` is +1 for a call and -1 for a put; `mark` is NaN
    where there is none.
    """
    total = own[:, np.newaxis] * ratio
    undiscounted = black76(forward=forward, strike=strike[:, np.newaxis], total_volatility=total, sign=sign[:, np.newaxis])
    return meeting_marks(undiscounted * unit, mark)


def meeting_marks(prices: ByInstrumentState, marks: ByInstrument) -> ByInstrumentState:
    """Return [I, M] prices that are the marks in the base state, and nowhere below zero: a holder has no obligation.

    Whatever of a mark no volatility explains, when it lies outside the no-arbitrage bounds, is held fixed as a price.
    """
    unexplained = np.where(np.isnan(marks), 0.0, marks - prices[:, 0])
    met: ByInstrumentState = np.maximum(prices + unexplained[:, np.newaxis], 0.0)
    return met
