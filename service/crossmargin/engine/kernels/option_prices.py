"""Prices of a chain of options in every state: European options of one underlying and expiry."""

from __future__ import annotations

from typing import Final

import numpy as np

from crossmargin.engine.axes import ByInstrument, ByInstrumentState, ByState
from crossmargin.engine.kernels.black76 import black76

_OPTIONS_IN_CACHE: Final = 16
"""Options worked on at once, so that what a price is made of is still in the cache for the next step. No price depends on how many."""


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
    prices = np.empty((len(strike), len(forward)))
    for start in range(0, len(strike), _OPTIONS_IN_CACHE):
        some = slice(start, start + _OPTIONS_IN_CACHE)
        total = own[some, np.newaxis] * ratio
        undiscounted = black76(forward=forward, strike=strike[some, np.newaxis], total_volatility=total, sign=sign[some, np.newaxis])
        undiscounted *= unit
        prices[some] = meeting_marks(undiscounted, mark[some])
    return prices


def meeting_marks(prices: ByInstrumentState, marks: ByInstrument) -> ByInstrumentState:
    """Return [I, M] prices that are the marks in the base state, and nowhere below zero: a holder has no obligation.

    Whatever of a mark no volatility explains, when it lies outside the no-arbitrage bounds, is held fixed as a price.
    """
    unexplained = np.where(np.isnan(marks), 0.0, marks - prices[:, 0])
    met: ByInstrumentState = np.maximum(prices + unexplained[:, np.newaxis], 0.0)
    return met
