"""Which collateral might cost an account more than it adds, once charges are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.collateral_split import CollateralSplit, HeldAssets
from crossmargin.engine.collateral_terms import HoldingTerms
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.required_margin import RequiredMargin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_MILLION: Final = 1e6
_NOISE: Final = 1e-12
"""Of the amounts behind a market value: what is over a limit by less is not."""


def least_risked(split: CollateralSplit, movable: NDArray[np.bool_]) -> ByHolding:
    """Return [H] what is risked of each holding, without what is over a limit of those that are `movable` [H].

    In whole millionths, so that not a cent that counts is left out. Without what is over them, limits leave the same to count: what
    counted is within all of them still.
    """
    least = split.risked_fraction.copy()
    over = np.flatnonzero(movable & over_limits(split))
    least[over] = np.ceil((1.0 - split.over_limit[over] / split.market_value[over]) * _MILLION) / _MILLION
    return np.minimum(least, split.risked_fraction)


def slipped_coins(held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> Index:
    """Return the places along axis H of stablecoins left to policy AUTO that bear a depeg charge."""
    collateral = np.array(held.collateral, dtype=np.int64)
    below = market.peg_price[arrays.row[collateral]] < rates.charges.mild_depeg_price  # NaN for what has no peg
    return collateral[np.isnan(arrays.risked_fraction[collateral]) & below & (rates.charges.depeg_haircut_slope > 0.0)]


def over_limits(split: CollateralSplit) -> NDArray[np.bool_]:
    """Return [H] what has some part that counts nothing for being over a limit."""
    is_over: NDArray[np.bool_] = split.is_eligible & (split.over_limit > _NOISE * split.gross_value)
    return is_over


def slow_groups(looked: Sequence[RequiredMargin]) -> frozenset[int]:
    """Return the offset groups that are charged, in some of the splits looked at, for the days that closing them out takes."""
    return frozenset(group for each in looked for group in each.exposures.groups[each.charges.stretch > 0.0].tolist())


def worth_a_search(
    split: CollateralSplit, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates, *, slow: frozenset[int]
) -> Index:
    """Return the places along axis H of collateral whose risked part had better be found by the excess after charges.

    They are holdings left to policy AUTO of which one more dollar, pledged, adds less than the charges on it might take if it is risked,
    or that are in one of the `slow` groups.
    """
    undecided = np.isnan(arrays.risked_fraction)
    alone = split.value_in_equity[list(held.collateral)]
    slopes = held.limited(alone).slope
    found = []
    for holding, terms, slope in zip(held.collateral, held.terms, slopes.tolist(), strict=True):
        if not undecided[holding] or terms.value <= 0:
            continue
        pledged = terms.value * (1.0 - float(split.risked_fraction[holding]))
        adds = slope * terms.pledged_slope(pledged)
        is_slow = not slow.isdisjoint(market.leg_group[_legs(holding, arrays, market)].tolist())
        if is_slow or adds < _charged_at_most(holding, terms, arrays, market, rates):
            found.append(holding)
    return np.array(found, dtype=np.int64)


def _charged_at_most(holding: int, terms: HoldingTerms, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> float:
    """Return what new risk has to cover at most for one more risked dollar through charges, the days to sell apart.

    Spread and minimum rate of every group that the holding is in; basis against contracts, against contracts settled in stablecoins and
    against other stablecoins; all that it loses in joint shocks; and the haircut of a slipped peg.
    """
    charges, legs = rates.charges, _legs(holding, arrays, market)
    exposure = np.abs(market.leg_exposure[legs]) * arrays.quantity[holding] / terms.value
    groups = [charges.groups[market.groups[group]] for group in market.leg_group[legs].tolist()]
    by_group = [0.5 * group.spread_fraction * charges.spread_multiple + group.minimum_rate_fraction for group in groups]
    stablecoins = max((fraction for _, fraction in charges.stablecoin_tiers), default=0.0)
    basis = charges.dated_basis_fraction + 2.0 * stablecoins
    joint = -market.issuer_leg_pnl[:, legs].sum(axis=1) * arrays.quantity[holding] / terms.value
    below = charges.mild_depeg_price - float(market.peg_price[arrays.row[holding]])  # NaN for what has no peg
    slipped = charges.depeg_haircut_slope * below if below > 0.0 else 0.0
    maintenance = float(exposure @ np.array(by_group)) + basis + float(np.maximum(joint, 0.0).sum())
    return rates.initial_margin_multiple * maintenance + slipped


def _legs(holding: int, arrays: PortfolioArrays, market: RevaluedMarket) -> slice:
    row = int(arrays.row[holding])
    return slice(int(market.first_leg[row]), int(market.first_leg[row + 1]))
