"""How much of each offset group an account is long or short, holding by holding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crossmargin.engine.axes import ByCell, ByGroup, ByGroupHolding, ByHolding, Index
from crossmargin.engine.distinct import distinct
from crossmargin.engine.netting import LegHoldings
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, eq=False)
class Exposures:
    """Delta-equivalent exposures of what is in the scenarios, base currency. Axis U runs over the groups that the account touches.

    Every sum over the holdings of a group is taken in their order and sees that group alone, so that it has the same bits in whatever
    company the group is.

    Attributes:
        groups: [U] rows of the touched groups among the market's, ascending.
        group: [X] row of each cell along U. holding: [X] along H. Ascending by both.
        amount: [X] signed; a contract's cost is exposure to its settlement asset with the opposite sign.
        holding_count: Length of axis H.
    """

    groups: Index
    group: Index
    holding: Index
    amount: ByCell
    holding_count: int

    @cached_property
    def net(self) -> ByGroup:
        """[U] what is left in each group after longs and shorts offset."""
        return self.summed(self.amount)

    @cached_property
    def gross(self) -> ByGroup:
        """[U] what there is in each group before they do."""
        return self.summed(np.abs(self.amount))

    @property
    def scale(self) -> float:
        """Sum of the absolute amounts: the scale of the float noise of anything computed from them."""
        return float(self.gross.sum())

    @cached_property
    def by_holding(self) -> ByGroupHolding:
        """[U, H] the cells, and zero where there is none."""
        return self.dense(self.amount)

    def summed(self, value: ByCell) -> ByGroup:
        """Return [U] values of the cells [X] added up in each group."""
        return np.bincount(self.group, weights=value, minlength=len(self.groups)).astype(np.float64)

    def dense(self, value: ByCell) -> ByGroupHolding:
        """Return [U, H] values of the cells [X], and zero where there is none."""
        dense = np.zeros((len(self.groups), self.holding_count))
        dense[self.group, self.holding] = value
        return dense

    def share(self, amount: ByGroup) -> ByHolding:
        """Return [H] an amount per group, shared among the holdings pro rata to their absolute exposure to that group."""
        return shared(amount, self._absolute) if amount.any() else np.zeros(self.holding_count)

    @cached_property
    def _absolute(self) -> ByGroupHolding:
        return np.abs(self.by_holding)


def exposures_of(legs: LegHoldings, groups: Index, holding_count: int, market: RevaluedMarket) -> Exposures:
    """Return the exposures of an account whose scenarios see `legs`; `groups` are the rows of the groups they touch, ascending."""
    cell = np.searchsorted(groups, market.leg_group[legs.leg]) * holding_count + legs.holding
    cells, place = distinct(cell)
    amount = np.bincount(place, weights=legs.quantity * market.leg_exposure[legs.leg], minlength=len(cells)).astype(np.float64)
    group, holding = np.divmod(cells, max(holding_count, 1))
    return Exposures(groups, group, holding, amount, holding_count)


def shared(amount: ByGroup, weight: ByGroupHolding) -> ByHolding:
    """Return [H] each amount [U] shared pro rata to `weight` [U, H], zero or more; an amount without any weight must be zero.

    >>> shared(np.array([6.0, 0.0]), np.array([[1.0, 2.0], [0.0, 0.0]])).tolist()
    [2.0, 4.0]
    """
    total = weight.sum(axis=1)
    per_weight = np.divide(amount, total, out=np.zeros_like(total), where=total > 0)
    by_holding: ByHolding = per_weight @ weight
    return by_holding
