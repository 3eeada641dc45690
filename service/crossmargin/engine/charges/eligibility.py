"""Collateral that counts for nothing whatever the haircut schedule says: lost pegs, and the operator's own issue."""

from __future__ import annotations

import numpy as np

from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import price_factor


def ineligible_holdings(arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> frozenset[int]:
    """Return the places along axis H of stablecoins below the ineligible price or depegged for too long, and of the own issue's assets."""
    is_lost = (market.peg_price[arrays.row] < rates.ineligible_price) | market.has_run_out[arrays.row]
    return frozenset(np.flatnonzero(is_lost).tolist()) | frozenset(_own_issue(arrays, rates))


def has_lost_peg(row: int, market: RevaluedMarket, rates: ChargeRates) -> bool:
    """Return whether the instrument at `row` along axis I is a stablecoin below the ineligible price, or depegged for too long."""
    return bool(market.peg_price[row] < rates.ineligible_price or market.has_run_out[row])


def _own_issue(arrays: PortfolioArrays, rates: ChargeRates) -> list[int]:
    if not rates.own_issue_curves:
        return []
    factors = [price_factor(instrument) if instrument.is_asset else None for instrument in arrays.instruments]
    return [place for place, factor in enumerate(factors) if factor is not None and factor.curve in rates.own_issue_curves]
