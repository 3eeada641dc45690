"""How much of each offset group an account is long or short, holding by holding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByGroup, ByGroupHolding, ByHolding, Index
from crossmargin.engine.netting import LegHoldings
from crossmargin.engine.portfolio_arrays import PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class Exposures:
    """Delta-equivalent exposures of what is in the scenarios, base currency. Axis U runs over the groups that the account touches.

    Attributes:
        groups: [U] rows of the touched groups among the market's, ascending.
        by_holding: [U, H] signed; a contract's cost is exposure to its settlement asset with the opposite sign.
    """

    groups: Index
    by_holding: ByGroupHolding

    @property
    def net(self) -> ByGroup:
        """[U] what is left in each group after longs and shorts offset."""
        net: ByGroup = self.by_holding.sum(axis=1)
        return net

    @property
    def scale(self) -> float:
        """Sum of the absolute amounts: the scale of the float noise of anything computed from them."""
        return float(np.abs(self.by_holding).sum())

    def share(self, amount: ByGroup) -> ByHolding:
        """Return [H] an amount per group, shared among the holdings pro rata to their absolute exposure to that group."""
        return shared(amount, np.abs(self.by_holding))


def exposures_of(legs: LegHoldings, groups: Index, arrays: PortfolioArrays, market: RevaluedMarket) -> Exposures:
    """Return the exposures of an account whose scenarios see `legs`; `groups` are the rows of the groups they touch, ascending."""
    holding_count = len(arrays.row)
    cell = np.searchsorted(groups, market.leg_group[legs.leg]) * holding_count + legs.holding
    amount = legs.quantity * market.leg_exposure[legs.leg]
    flat = np.bincount(cell, weights=amount, minlength=len(groups) * holding_count)
    by_holding: ByGroupHolding = flat.astype(np.float64).reshape(len(groups), holding_count)
    return Exposures(groups, by_holding)


def shared(amount: ByGroup, weight: ByGroupHolding) -> ByHolding:
    """Return [H] each amount [U] shared pro rata to `weight` [U, H], zero or more; an amount without any weight must be zero.

    >>> shared(np.array([6.0, 0.0]), np.array([[1.0, 2.0], [0.0, 0.0]])).tolist()
    [2.0, 4.0]
    """
    total = weight.sum(axis=1)
    per_weight = np.divide(amount, total, out=np.zeros_like(total), where=total > 0)
    by_holding: ByHolding = per_weight @ weight
    return by_holding
