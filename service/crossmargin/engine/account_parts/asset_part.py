"""The assets and bonds of an account: few, bound together by limits on what counts, and redone as a whole when one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByGroup
from crossmargin.engine.charges import depeg_charge, ineligible_holdings
from crossmargin.engine.charges.wrong_way import haircut_taken
from crossmargin.engine.collateral_doubts import least_risked
from crossmargin.engine.collateral_search import settled_fractions
from crossmargin.engine.collateral_split import CollateralSplit, held_assets, split_collateral
from crossmargin.engine.margin_bridges import AssetLines, asset_lines
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays, haircut_rates, portfolio_arrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class AssetPart:
    """Assets and bonds, held or owed, along an axis H of their own.

    Attributes:
        arrays, split: As of an account that holds nothing else.
        lines: Of the statement of equity.
        haircut_taken: [J] what haircuts take of each joint shock. depeg: What slipped stablecoins are charged.
    """

    arrays: PortfolioArrays
    split: CollateralSplit
    lines: AssetLines
    haircut_taken: ByGroup
    depeg: float

    @property
    def holdings(self) -> Sequence[Holding]:
        """What is held."""
        return self.arrays.holdings

    def holdings_with(self, changed: Sequence[Holding], names: frozenset[InstrumentId]) -> tuple[Holding, ...]:
        """Return what is held once the instruments `names` are held as in `changed`, or not at all."""
        kept = [holding for holding in self.arrays.holdings if holding.instrument_id not in names]
        return tuple(sorted((*kept, *changed), key=lambda holding: holding.instrument_id))


def asset_part(
    portfolio: Portfolio, holdings: tuple[Holding, ...], market: RevaluedMarket, parameters: RiskParameters, rates: MarginRates
) -> AssetPart | None:
    """Return the assets of an account, or None where their split has to be searched for: that depends on all that is held.

    It is where policy AUTO decides, and where something over a limit might be left out.
    """
    arrays = portfolio_arrays(replace(portfolio, holdings=holdings), market, parameters.default_policy)
    held = held_assets(arrays, market, haircut_rates(parameters), ineligible_holdings(arrays, market, rates.charges))
    fractions = settled_fractions(held, arrays, market)
    if np.isnan(fractions).any():
        return None
    split = split_collateral(held, arrays, fractions)
    if (least_risked(split, arrays.may_leave_out) < split.risked_fraction).any():
        return None
    return AssetPart(
        arrays=arrays,
        split=split,
        lines=asset_lines(split, arrays, market, rates.charges),
        haircut_taken=haircut_taken(arrays, market, split, rates.charges),
        depeg=depeg_charge(arrays, market, split, rates.charges),
    )
