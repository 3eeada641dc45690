"""A Black-76 of the validation's own, one option at a time, to hold the engine's against."""

from __future__ import annotations

import math

from crossmargin.domain.instrument import OptionRight

_LARGEST_VOLATILITY = 50.0
_BISECTIONS = 200


def coin_price(right: OptionRight, *, forward: float, strike: float, years: float, volatility: float) -> float:
    """Return the undiscounted price of a European option in units of the underlying: Black (1976) divided by the forward."""
    total = volatility * math.sqrt(years)
    if total <= 0.0:
        return bounds(right, forward=forward, strike=strike)[0]
    upper = math.log(forward / strike) / total + total / 2.0
    lower = upper - total
    if right is OptionRight.CALL:
        return _normal(upper) - strike / forward * _normal(lower)
    return strike / forward * _normal(-lower) - _normal(-upper)


def bounds(right: OptionRight, *, forward: float, strike: float) -> tuple[float, float]:
    """Return the prices in coins between which a volatility exists: what it is worth without and with infinite volatility."""
    moneyness = strike / forward
    return (max(0.0, 1.0 - moneyness), 1.0) if right is OptionRight.CALL else (max(0.0, moneyness - 1.0), moneyness)


def implied_volatility(right: OptionRight, price: float, *, forward: float, strike: float, years: float) -> float | None:
    """Return the volatility at which `coin_price` is `price`, by bisection; None for a price outside the bounds."""
    worthless, unlimited = bounds(right, forward=forward, strike=strike)
    if not worthless < price < unlimited:
        return None
    low, high = 0.0, _LARGEST_VOLATILITY
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if coin_price(right, forward=forward, strike=strike, years=years, volatility=middle) < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))
