"""European options on a forward price."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

SMALLEST_TOTAL_VOLATILITY: Final = 1e-100
"""Below any real one, and far enough from zero that log(F / K) over it is finite: the formula is at its limit, intrinsic value."""


def black76(*, forward: ArrayLike, strike: ArrayLike, total_volatility: ArrayLike, sign: ArrayLike) -> NDArray[np.float64]:
    """Return undiscounted option prices, in the unit of the forward, of the arguments' broadcast shape.

    sign (F N(sign d1) - K N(sign d2)), d1 = log(F/K)/w + w/2, d2 = d1 - w, w = total_volatility = sigma sqrt(T) (Black, 1976).
    `sign` is +1 for a call, -1 for a put. With w = 0, at zero volatility or at expiry, this is max(0, sign (F - K)).

    >>> round(float(black76(forward=100.0, strike=100.0, total_volatility=0.2, sign=1.0)), 6)
    7.965567
    """
    forward, strike, sign = np.asarray(forward), np.asarray(strike), np.asarray(sign)
    shape = np.broadcast_shapes(forward.shape, strike.shape, np.shape(total_volatility), sign.shape)
    # Three arrays that are written over, and no more: what has to be fetched from memory takes longer than the formula.
    total, price, paid = np.empty(shape), np.empty(shape), np.empty(shape)
    np.maximum(total_volatility, SMALLEST_TOTAL_VOLATILITY, out=total)
    d1 = np.subtract(np.log(forward), np.log(strike), out=price)
    d1 /= total
    d1 += np.multiply(total, 0.5, out=paid)
    d2 = np.subtract(d1, total, out=paid)
    _times_probability(d1, forward, sign)
    _times_probability(d2, strike, sign)
    price -= paid
    price *= sign
    return price


def _times_probability(d: NDArray[np.float64], amount: NDArray[np.float64], sign: NDArray[np.float64]) -> None:
    """Write amount N(sign d) over `d`."""
    d *= sign
    ndtr(d, out=d)
    d *= amount


def black76_delta(*, forward: ArrayLike, strike: ArrayLike, total_volatility: ArrayLike, sign: ArrayLike) -> NDArray[np.float64]:
    """Return the derivative of the undiscounted price by the forward, sign N(sign d1), of the arguments' broadcast shape.

    >>> round(float(black76_delta(forward=100.0, strike=100.0, total_volatility=0.2, sign=-1.0)), 6)
    -0.460172
    """
    forward, strike, sign = np.asarray(forward), np.asarray(strike), np.asarray(sign)
    total = np.maximum(total_volatility, SMALLEST_TOTAL_VOLATILITY)
    delta: NDArray[np.float64] = sign * ndtr(sign * ((np.log(forward) - np.log(strike)) / total + 0.5 * total))
    return delta


def implied_total_volatility(*, price: ArrayLike, forward: ArrayLike, strike: ArrayLike, sign: ArrayLike) -> NDArray[np.float64]:
    """Return sigma sqrt(T) at which `black76` gives undiscounted `price`, of the arguments' broadcast shape.

    0 for a price outside the no-arbitrage bounds, max(0, sign (F - K)) < price < F for a call or K for a put, where there is none.
    Bisection down to the last bit: the price is monotone in w, so this cannot fail where Newton's method would, at strikes without
    vega.
    """
    price, forward, strike, sign = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (price, forward, strike, sign)))
    low, high = np.zeros(price.shape), np.full(price.shape, _LARGEST_TOTAL_VOLATILITY)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        too_low = black76(forward=forward, strike=strike, total_volatility=middle, sign=sign) < price
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    possible = (price > np.maximum(sign * (forward - strike), 0.0)) & (price < np.where(sign > 0.0, forward, strike))
    return np.where(possible, 0.5 * (low + high), 0.0)


_LARGEST_TOTAL_VOLATILITY: Final = 64.0
"""N(32) is 1 to the last bit: every option is worth its upper bound."""
_HALVINGS: Final = 64
