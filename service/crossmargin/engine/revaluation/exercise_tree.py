"""American puts with two exercise boundaries, where an integral over one boundary does not hold: a binomial tree."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByRow
from crossmargin.engine.kernels.black76 import black76

_STEPS: Final = 360
_ROWS_AT_ONCE: Final = 24
"""Rows whose nodes fit into the second-level cache together with their temporaries."""


def tree_premium(  # noqa: PLR0917 - the six parameters of a put, in their usual order
    spot: ByRow, strike: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, years: float
) -> ByRow:
    """Return [R] what the right to exercise early adds to European puts, whatever the signs of rate and income.

    With a rate below zero and an income below that, a put is exercised between two boundaries and not below one: there, giving the asset
    away later costs more than the strike gains by coming later, and below the lower one the asset is worth too little for that (Battauz, De
    Donno and Sbuelz, 2015). The tree moves with the forward, so that its probabilities are ones at any carry and volatility; its last
    step is Black's formula, and two numbers of steps are extrapolated (Broadie and Detemple, 1996). Only the premium is taken from the
    tree, and not the European value.

    >>> premium = tree_premium(*np.array([[100.0], [130.0], [-0.01], [-0.06], [0.1]]), years=1.0)
    >>> round(float(premium[0]), 2)  # all that waiting would cost: exercise now is worth 30, the European put 25.19
    4.81
    """
    premium = np.empty_like(spot)
    puts = _Puts(spot, strike, rate, rate - income, volatility)
    for start in range(0, len(spot), _ROWS_AT_ONCE):
        some = _Puts(*(each[start : start + _ROWS_AT_ONCE] for each in puts))
        extrapolated = 2.0 * _on_tree(some, years, _STEPS) - _on_tree(some, years, _STEPS // 2)
        premium[start : start + _ROWS_AT_ONCE] = np.maximum(0.0, extrapolated)
    return premium


class _Puts(NamedTuple):
    """[R] what the value of each put depends on, time apart; carry is the rate less the income."""

    spot: ByRow
    strike: ByRow
    rate: ByRow
    carry: ByRow
    volatility: ByRow


def _on_tree(puts: _Puts, years: float, steps: int) -> ByRow:
    """Return [R] the American less the European value of puts on one tree."""
    spot, strike, rate, carry, volatility = puts
    step_years = years / steps
    step = volatility * np.sqrt(step_years)
    discount = np.exp(-rate * step_years)
    up = (discount / (1.0 + np.exp(step)))[:, np.newaxis]
    down = (discount / (1.0 + np.exp(-step)))[:, np.newaxis]
    drift = carry * step_years
    places = 2.0 * np.arange(steps) - (steps - 1)
    at = spot[:, np.newaxis] * np.exp((drift * (steps - 1))[:, np.newaxis] + step[:, np.newaxis] * places)
    held = strike[:, np.newaxis]
    european: NDArray[np.float64] = discount[:, np.newaxis] * black76(
        forward=at * np.exp(drift)[:, np.newaxis], strike=held, total_volatility=step[:, np.newaxis], sign=-1.0
    )
    premium: NDArray[np.float64] = np.maximum(0.0, held - at - european)
    back = np.exp(step - drift)[:, np.newaxis]
    for _ in range(steps - 1):
        at = at[:, :-1] * back
        european = up * european[:, 1:] + down * european[:, :-1]
        premium = np.maximum(up * premium[:, 1:] + down * premium[:, :-1], held - at - european)
    at_start: ByRow = premium[:, 0]
    return at_start
