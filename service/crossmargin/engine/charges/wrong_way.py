"""Wrong-way risk: what an account loses when one issuer fails and everything that hangs on it falls together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByGroup, ByHolding, ByIssuerHolding, Index
from crossmargin.engine.charges.exposures import shared
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.netting import leg_holdings
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class WrongWayCharge:
    """Base currency. `by_issuer` [J]; `contribution` [H] is pro rata to what each holding loses in the issuer's joint shock."""

    by_issuer: ByGroup
    contribution: ByHolding

    @property
    def total(self) -> float:
        """The whole charge."""
        return float(self.by_issuer.sum())


def wrong_way_charge(
    arrays: PortfolioArrays,
    market: RevaluedMarket,
    split: CollateralSplit,
    rates: ChargeRates,
    *,
    groups: Index,
    market_share: ByGroup,
) -> WrongWayCharge:
    """Return, for each issuer group, max(0, joint shock loss - what the market requirement and the haircuts already take).

    The loss is that of every holding, pledged ones too, by full revaluation at the joint shock. The market requirement takes
    `market_share` [U] of the issuer's own offset groups (`groups` being the rows of the touched ones); the haircuts take what of a
    collateral holding counts for nothing anyway, at most what it loses.
    """
    if not rates.issuers:
        return WrongWayCharge(np.zeros(0), np.zeros(len(arrays.row)))
    pnl = _joint_shock_pnl(arrays, market)
    loss = np.maximum(0.0, -pnl)
    named = np.array([[market.groups[group] in issuer for group in groups.tolist()] for issuer in rates.issuers]).reshape(len(pnl), -1)
    held = split.collateral
    haircut = np.minimum(loss[:, held], (split.haircut + split.over_limit)[held]).sum(axis=1)
    charge = np.maximum(0.0, np.maximum(0.0, -pnl.sum(axis=1)) - named @ market_share - haircut)
    return WrongWayCharge(charge, shared(charge, loss))


def _joint_shock_pnl(arrays: PortfolioArrays, market: RevaluedMarket) -> ByIssuerHolding:
    legs = leg_holdings(arrays, arrays.quantity, market)
    profits = market.issuer_leg_pnl[:, legs.leg] * legs.quantity
    return np.stack([np.bincount(legs.holding, weights=row, minlength=len(arrays.row)) for row in profits])
