"""From holdings to the profits of offset groups, asset classes and the account: what may offset what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array

from crossmargin.engine.axes import ByClassScenario, ByGroupScenario, ByHolding, ByLegHolding, ByRow, ByRowScenario, ByScenario, Index
from crossmargin.engine.portfolio_arrays import PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_means


@dataclass(frozen=True, slots=True, eq=False)
class LegHoldings:
    """The account as a sparse vector over legs, along axis K.

    Attributes:
        leg: [K] row of the leg along axis L. holding: [K] row of the holding along axis H.
        quantity: [K] signed units of the leg, never zero.
    """

    leg: Index
    holding: Index
    quantity: ByLegHolding


@dataclass(frozen=True, slots=True, eq=False)
class NettedPnl:
    """Profits of one account in every scenario, base currency. U and A run over the groups and classes that the account touches.

    Attributes:
        groups: [U] rows of the touched groups among the market's, ascending. group_class: [U] row of each along A.
        classes: [A] rows of the touched classes among the market's, ascending.
    """

    groups: Index
    group_class: Index
    classes: Index
    group_pnl: ByGroupScenario
    class_pnl: ByClassScenario
    account_pnl: ByScenario


def leg_holdings(arrays: PortfolioArrays, scenario_quantity: ByHolding, market: RevaluedMarket) -> LegHoldings:
    """Return the legs whose profits the account takes part in.

    A contract's cost is a debt in its settlement asset, so minus the cost is held of that asset's own legs: the contract's value in
    settlement currency, and not its full mark, moves with that currency.
    """
    held = np.arange(len(arrays.row))
    row = np.concatenate((arrays.row, market.settlement_row[arrays.row]))
    quantity = np.concatenate((scenario_quantity, -arrays.cost))
    holding = np.concatenate((held, held))
    first, count = market.first_leg[row], np.where(quantity != 0, market.first_leg[row + 1] - market.first_leg[row], 0)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return LegHoldings(np.repeat(first, count) + place, np.repeat(holding, count), np.repeat(quantity, count))


def netted_pnl(legs: LegHoldings, market: RevaluedMarket) -> NettedPnl:
    """Return the account's profits by group, by class and in total."""
    groups, group_of_leg = np.unique(market.leg_group[legs.leg], return_inverse=True)
    classes, group_class = np.unique(market.group_class[groups], return_inverse=True)
    group_pnl = _leg_sums(group_of_leg, legs.leg, legs.quantity, market)
    class_pnl = class_sums(group_class, len(classes)) @ group_pnl
    return NettedPnl(groups, group_class, classes, group_pnl, class_pnl, group_pnl.sum(axis=0))


def class_sums(group_class: Index, class_count: int) -> csr_array:
    """Return [A, U] the matrix that adds up the groups of each class, in their order."""
    order = np.argsort(group_class, kind="stable")
    ends = np.searchsorted(group_class[order], np.arange(class_count + 1))
    return csr_array((np.ones(len(order)), order, ends), shape=(class_count, len(order)))


def stacked(netted: NettedPnl) -> ByRowScenario:
    """Return [U + A + 1, S] profits of groups, classes and the account: the rows whose tail means make the requirement."""
    return np.concatenate((netted.group_pnl, netted.class_pnl, netted.account_pnl[np.newaxis]))


def gross_requirement(legs: LegHoldings, market: RevaluedMarket, alpha: float) -> float:
    """Return the tail means of every holding in every offset group alone, added up: what each would need by itself.

    A tail mean is positively homogeneous, so a holding of one leg in a group needs its quantity times what one unit needs, which is
    worked out once for a market. Only where a cost meets the contract's own leg in one group must the sum be reduced anew.
    """
    pair_of_leg = legs.holding * len(market.groups) + market.leg_group[legs.leg]
    pair, leg_count = np.unique(pair_of_leg, return_inverse=True, return_counts=True)[1:]
    shared = leg_count[pair] > 1
    row_of_pair = np.cumsum(leg_count > 1) - 1
    shared_pnl = _leg_sums(row_of_pair[pair[shared]], legs.leg[shared], legs.quantity[shared], market)
    unit_held, unit_owed = unit_requirements(market, alpha)
    alone = np.abs(legs.quantity) * np.where(legs.quantity > 0, unit_held[legs.leg], unit_owed[legs.leg])
    return float(alone[~shared].sum() + tail_means(shared_pnl, market.scenarios.weights, alpha).sum())


_unit_requirements_of: Final[WeakKeyDictionary[RevaluedMarket, dict[float, tuple[ByRow, ByRow]]]] = WeakKeyDictionary()


def unit_requirements(market: RevaluedMarket, alpha: float) -> tuple[ByRow, ByRow]:
    """Return [L] tail means of one unit held and one unit owed. Remembered as long as the market lives: they depend on nothing else."""
    by_alpha = _unit_requirements_of.setdefault(market, {})
    if alpha not in by_alpha:
        weights = market.scenarios.weights
        by_alpha[alpha] = tail_means(market.leg_pnl, weights, alpha), tail_means(-market.leg_pnl, weights, alpha)
    return by_alpha[alpha]


def _leg_sums(row: Index, leg: Index, quantity: ByLegHolding, market: RevaluedMarket) -> ByRowScenario:
    """Return [R, S] sums of quantity times leg profit over the entries of each row; every row up to the last has an entry.

    A sparse product and no dense one: it reads the held legs in place, and adds in the same order on any number of cores.
    """
    order = np.argsort(row, kind="stable")
    row_end = np.flatnonzero(np.diff(row[order], append=-1)) + 1
    account = csr_array((quantity[order], leg[order], np.append(0, row_end)), shape=(len(row_end), len(market.leg_pnl)))
    return np.asarray(account @ market.leg_pnl)
