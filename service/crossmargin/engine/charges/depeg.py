"""Stablecoins that have slipped: a steeper haircut for new risk, so that a mild depeg stops it and liquidates nobody."""

from __future__ import annotations

from typing import Final

import numpy as np

from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

DEPEG: Final = "depeg"


def depeg_charge(arrays: PortfolioArrays, market: RevaluedMarket, split: CollateralSplit, rates: ChargeRates) -> float:
    """Return slope x (mild price - price) of what each held stablecoin below the mild price counts for before its haircut.

    At most what it counts for. Base currency; added to the initial margin only.
    """
    held = np.array(split.collateral, dtype=np.int64)
    price = market.peg_price[arrays.row[held]]
    extra_fraction = rates.depeg_haircut_slope * np.maximum(0.0, rates.mild_depeg_price - np.where(np.isnan(price), np.inf, price))
    counted = split.value_in_equity[held]
    return float(np.minimum(extra_fraction * (counted + split.haircut[held]), counted).sum())
