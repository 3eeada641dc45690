"""Zero rates from par yields: the bootstrap that turns the published Treasury curve into the curve the engine discounts on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PAR_TENORS: Final = ("3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")
PAR_YEARS: Final = np.array([0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0])
PAR_ERROR_LIMIT: Final = 1e-10
"""Largest distance of a par bond's price from 100 after the bootstrap, per 100 of face."""
_NEWTON_STEPS: Final = 30

ByDateNode = NDArray[np.float64]
"""[D, N] one row a day, one column for each tenor of PAR_TENORS."""


def bootstrap_zero_rates(par_yields: ByDateNode) -> ByDateNode:
    """Return continuously compounded zero rates at the par tenors, as fractions.

    Between nodes the zero rate is linear in time and before the first it is flat, as in the engine. Up to half a year a par yield is
    a simple bond-equivalent yield, 1 / (1 + y T); beyond, the coupon of a semi-annual bond worth 100. Nodes are solved from short to
    long by Newton's method, all days at once.

    Args:
        par_yields: [D, N] par yields as fractions, without gaps.
    """
    rates = np.zeros_like(par_yields)
    for node, years in enumerate(PAR_YEARS):
        if years <= 0.5:
            rates[:, node] = np.log1p(par_yields[:, node] * years) / years
        else:
            _solve_node(rates, par_yields[:, node], node)
    return rates


def par_bond_prices(rates: ByDateNode, par_yields: ByDateNode) -> ByDateNode:
    """Return the price per 100 of face of the par instrument at each tenor: 100 where the curve fits."""
    prices = [_price(rates, par_yields[:, node], node)[0] for node in range(len(PAR_YEARS))]
    return np.column_stack(prices)


def _solve_node(rates: ByDateNode, coupon: NDArray[np.float64], node: int) -> None:
    rates[:, node] = rates[:, node - 1]
    for _ in range(_NEWTON_STEPS):
        price, slope = _price(rates, coupon, node)
        rates[:, node] -= (price - 100.0) / slope
        if np.abs(price - 100.0).max(initial=0.0) < PAR_ERROR_LIMIT / 10:
            return


def _price(rates: ByDateNode, coupon: NDArray[np.float64], node: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Price of the par instrument of a node, and its slope in the node's own rate."""
    years = PAR_YEARS[node]
    if years <= 0.5:
        factor = np.exp(-rates[:, node] * years)
        return 100.0 * (1.0 + coupon * years) * factor, -years * 100.0 * (1.0 + coupon * years) * factor
    times = np.arange(1, round(years * 2) + 1) * 0.5
    share = _interpolation_weights(times)[:, : node + 1]  # [T, n]; later nodes have no weight up to this maturity
    factors = np.exp(-(rates[:, : node + 1] @ share.T) * times)
    flows = np.repeat(50.0 * coupon[:, None], len(times), axis=1)
    flows[:, -1] += 100.0
    return (flows * factors).sum(axis=1), -(flows * factors * times * share[:, node]).sum(axis=1)


def _interpolation_weights(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """[T, N] weight of each node in the rate at each time: linear between nodes, flat outside."""
    unit = np.eye(len(PAR_YEARS))
    return np.column_stack([np.interp(times, PAR_YEARS, unit[node]) for node in range(len(PAR_YEARS))])
