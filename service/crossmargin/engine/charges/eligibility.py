"""Collateral that counts for nothing whatever the haircut schedule says: lost pegs, and the operator's own issue."""

from __future__ import annotations

import numpy as np

from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import price_factor


def ineligible_holdings(arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> frozenset[int]:
    """Return the places along axis H of stablecoins below the ineligible price, and of assets of the operator's own issue."""
    lost_peg = np.flatnonzero(market.peg_price[arrays.row] < rates.ineligible_price).tolist()
    return frozenset(lost_peg) | frozenset(_own_issue(arrays, rates))


def _own_issue(arrays: PortfolioArrays, rates: ChargeRates) -> list[int]:
    if not rates.own_issue_curves:
        return []
    factors = [price_factor(instrument) if instrument.is_asset else None for instrument in arrays.instruments]
    return [place for place, factor in enumerate(factors) if factor is not None and factor.curve in rates.own_issue_curves]
