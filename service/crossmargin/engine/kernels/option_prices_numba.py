"""Prices of a chain of options, compiled."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByInstrument, ByInstrumentState, ByState
from crossmargin.engine.kernels.black76 import SMALLEST_TOTAL_VOLATILITY
from crossmargin.engine.kernels.compiled import compiled
from crossmargin.engine.kernels.elementary_numba import MILLS_CENTRE, MILLS_MOST, exponential, mills

_DENSITY_AT_ZERO: Final = 1.0 / math.sqrt(2.0 * math.pi)


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
    """Return the same as the function of this name in numpy, to 1e-12 of forward or strike, whichever is larger.

    F n(d1) = K n(d2), so one exponential is enough for a price; both tails are it times their Mills ratios.
    """
    prices = np.empty((len(strike), len(forward)))
    _prices(np.stack((np.log(forward), forward, unit, ratio)), np.stack((np.log(strike), strike, sign, own, mark)), prices)
    return prices


@compiled("void(f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def _prices(states: NDArray[np.float64], options: NDArray[np.float64], prices: NDArray[np.float64]) -> None:
    """Fill [I, M] prices from what the options [5, I] and the states [4, M] are."""
    log_forward, forward, unit, ratio = states[0], states[1], states[2], states[3]
    log_strike, strike, sign, own, mark = options[0], options[1], options[2], options[3], options[4]
    for i in range(len(strike)):
        log_k, k, s, volatility, row = log_strike[i], strike[i], sign[i], own[i], prices[i]
        for m in range(len(forward)):
            total = volatility * ratio[m]
            total = max(total, SMALLEST_TOTAL_VOLATILITY)
            d1 = (log_forward[m] - log_k) / total + 0.5 * total
            d2 = d1 - total
            # Of two numbers the one that may be NaN comes first: it stays NaN then.
            a1, a2 = abs(d1), abs(d2)
            a1 = (min(a1, MILLS_MOST)) + MILLS_CENTRE
            a2 = (min(a2, MILLS_MOST)) + MILLS_CENTRE
            inverse = 1.0 / (a1 * a2)
            f = forward[m]
            density = f * (_DENSITY_AT_ZERO * exponential(-0.5 * d1 * d1))
            tail1, tail2 = density * mills(inverse * a2), density * mills(inverse * a1)
            received = tail1 if s * d1 < 0.0 else f - tail1
            paid = tail2 if s * d2 < 0.0 else k - tail2
            row[m] = s * (received - paid) * unit[m]
        unexplained = 0.0 if math.isnan(mark[i]) else mark[i] - row[0]
        for m in range(len(forward)):
            price = row[m] + unexplained
            row[m] = max(price, 0.0)
