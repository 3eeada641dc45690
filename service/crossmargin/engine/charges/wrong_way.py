"""Wrong-way risk: what an account loses when one issuer fails and everything that hangs on it falls together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByGroup, ByHolding, ByIssuerGroup, ByIssuerHolding, Index
from crossmargin.engine.charges.exposures import shared
from crossmargin.engine.charges.market_rates import market_rates
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.netting import legs_of
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class WrongWayCharge:
    """Base currency. `by_issuer` [J]."""

    by_issuer: ByGroup

    @property
    def total(self) -> float:
        """The whole charge."""
        return float(self.by_issuer.sum())


def wrong_way_charge(
    joint: ByIssuerGroup, market: RevaluedMarket, rates: ChargeRates, *, groups: Index, market_share: ByGroup, haircut_taken: ByGroup
) -> WrongWayCharge:
    """Return, for each issuer group, max(0, joint shock loss - what the market requirement and the haircuts already take).

    The loss is that of every holding, pledged ones too, by full revaluation at the joint shock: minus `joint` [J, U] over all groups of
    the market. The market requirement takes `market_share` [U] of the issuer's own offset groups (`groups` being the rows of the touched
    ones); the haircuts take `haircut_taken` [J].
    """
    if not rates.issuers:
        return WrongWayCharge(np.zeros(0))
    named = market_rates(market, rates).is_of_issuer[:, groups]
    return WrongWayCharge(np.maximum(0.0, np.maximum(0.0, -joint.sum(axis=1)) - named @ market_share - haircut_taken))


def haircut_taken(arrays: PortfolioArrays, market: RevaluedMarket, split: CollateralSplit, rates: ChargeRates) -> ByGroup:
    """Return [J] what the haircuts take of a joint shock: what of a collateral holding counts for nothing, at most what it loses."""
    held = np.array(split.collateral, dtype=np.int64)
    if not rates.issuers or not len(held):
        return np.zeros(len(rates.issuers))
    loss = np.maximum(0.0, -_joint_shock_pnl(arrays.row[held], arrays.quantity[held], arrays.cost[held], market))
    taken: ByGroup = np.minimum(loss, (split.haircut + split.over_limit)[held]).sum(axis=1)
    return taken


def wrong_way_contributions(charge: WrongWayCharge, arrays: PortfolioArrays, market: RevaluedMarket) -> ByHolding:
    """Return [H] each issuer's charge pro rata to what the holdings lose in the issuer's joint shock."""
    if not charge.by_issuer.any():
        return np.zeros(len(arrays.row))
    return shared(charge.by_issuer, np.maximum(0.0, -_joint_shock_pnl(arrays.row, arrays.quantity, arrays.cost, market)))


def _joint_shock_pnl(row: Index, quantity: ByHolding, cost: ByHolding, market: RevaluedMarket) -> ByIssuerHolding:
    legs = legs_of(row, quantity, cost, market)
    profits = market.issuer_leg_pnl[:, legs.leg] * legs.quantity
    return np.stack([np.bincount(legs.holding, weights=each, minlength=len(row)) for each in profits])
