"""From holdings to the profits of offset groups, asset classes and the account: what may offset what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crossmargin.engine.axes import ByClassScenario, ByGroupScenario, ByHolding, ByLegHolding, ByRow, ByRowScenario, ByScenario, Index
from crossmargin.engine.distinct import distinct
from crossmargin.engine.portfolio_arrays import PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_means

_LEGS_IN_CACHE: Final = 80
"""Legs whose tails are found at once, held and owed: what they gain is still in the cache the second time. No tail depends on how many."""
_LEGS_OF_A_BLOCK: Final = 64
"""As many as are multiplied in the time that the rest of a margin takes, and so few blocks that adding them up takes no longer."""


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
    """Return the legs whose profits the account takes part in when `scenario_quantity` [H] is in the scenarios, see `legs_of`."""
    return legs_of(arrays.row, scenario_quantity, arrays.cost, market)


def legs_of(holding_row: Index, scenario_quantity: ByHolding, cost: ByHolding, market: RevaluedMarket) -> LegHoldings:
    """Return the legs of holdings [H] of the instruments at `holding_row` along axis I.

    A contract's cost is a debt in its settlement asset, so minus the cost is held of that asset's own legs: the contract's value in
    settlement currency, and not its full mark, moves with that currency.
    """
    own_leg, own_holding = leg_places(holding_row, scenario_quantity, market)
    paid_leg, paid_holding = leg_places(market.settlement_row[holding_row], cost, market)
    return LegHoldings(
        np.concatenate((own_leg, paid_leg)),
        np.concatenate((own_holding, paid_holding)),
        np.concatenate((scenario_quantity[own_holding], -cost[paid_holding])),
    )


def leg_places(row: Index, quantity: ByHolding, market: RevaluedMarket) -> tuple[Index, Index]:
    """Return [K] row along axis L of every leg of the instruments at `row` [H] of which there is some quantity, and its place along H."""
    first = market.first_leg[row]
    count = np.where(quantity != 0, market.first_leg[row + 1] - first, 0)
    end = count.cumsum()
    holding = np.arange(len(row)).repeat(count)
    return (first - end + count)[holding] + np.arange(len(holding)), holding


def netted_pnl(legs: LegHoldings, market: RevaluedMarket) -> NettedPnl:
    """Return the account's profits by group, by class and in total."""
    blocked = blocked_legs(legs, market)
    groups, group_pnl = blocked.groups, blocked.sums(market).by_group(len(blocked.groups))
    classes, group_class = np.unique(market.group_class[groups], return_inverse=True)
    class_pnl = np.empty((len(classes), group_pnl.shape[1]))
    for place in range(len(classes)):
        class_pnl[place] = summed_rows(group_pnl[group_class == place])
    return NettedPnl(groups, group_class, classes, group_pnl, class_pnl, summed_rows(class_pnl))


def summed_rows(pnl: ByRowScenario) -> ByScenario:
    """Return [S] the rows of `pnl` [R, S] added up one after the other."""
    total: ByScenario = pnl.sum(axis=0)
    return total


def added_up(rows: Sequence[ByScenario]) -> ByScenario:
    """Return what `summed_rows` says of one or more rows [S] that are not in one array, to the bit, without putting them into one."""
    if len(rows) == 1:
        return rows[0]
    total = rows[0] + rows[1]
    for row in rows[2:]:
        total += row
    return total


@dataclass(frozen=True, slots=True, eq=False)
class BlockedLegs:
    """The legs of an account, each once, dealt out to blocks.

    The legs of a group are dealt out by the names of their instruments, some 64 to a block. So when a holding changes all blocks but one
    stay as they are, to the bit, however large the account is; and a group has the same bits in whatever company it is.

    Attributes:
        groups: [U] rows of the touched groups among the market's, ascending.
        block_count: [U] how many blocks the legs of each group are dealt out to, a power of two.
        group: row along U of each leg. block: its block in the group. leg: its row along L, ascending.
        quantity: Signed units, of all holdings that take part in it.
    """

    groups: Index
    block_count: Index
    group: Index
    block: Index
    leg: Index
    quantity: ByLegHolding

    def take(self, wanted: NDArray[np.bool_]) -> BlockedLegs:
        """Return those of the legs that are wanted."""
        group, block, leg, quantity = self.group[wanted], self.block[wanted], self.leg[wanted], self.quantity[wanted]
        return BlockedLegs(self.groups, self.block_count, group, block, leg, quantity)

    def sums(self, market: RevaluedMarket) -> BlockSums:
        """Return the profits of the blocks: a sparse product, which reads legs in place and adds in one order on any number of cores."""
        order = np.lexsort((self.block, self.group))
        group, block = self.group[order], self.block[order]
        is_last = np.ones(len(group), dtype=np.bool_)
        is_last[:-1] = (group[1:] != group[:-1]) | (block[1:] != block[:-1])
        row_end = is_last.nonzero()[0] + 1
        entries = (self.quantity[order], self.leg[order], np.append(0, row_end))
        account = csr_array(entries, shape=(len(row_end), len(market.leg_pnl)))
        return BlockSums(group[row_end - 1], block[row_end - 1], np.asarray(account @ market.leg_pnl))


@dataclass(frozen=True, slots=True, eq=False)
class BlockSums:
    """Profits of blocks in every scenario: `group` [R] row along U, `block` [R] number in it, ascending by both, and `pnl` [R, S]."""

    group: Index
    block: Index
    pnl: ByRowScenario

    def by_group(self, group_count: int) -> ByGroupScenario:
        """Return [U, S] the profits of the groups, each of which has some block here."""
        if len(self.pnl) == group_count:
            return self.pnl
        ends = np.searchsorted(self.group, np.arange(group_count + 1))
        return np.stack([summed_rows(self.pnl[first:end]) for first, end in pairwise(ends.tolist())])


def blocked_legs(legs: LegHoldings, market: RevaluedMarket) -> BlockedLegs:
    """Return the legs that holdings take part in, netted: several holdings may settle in one asset."""
    leg, place = distinct(legs.leg)
    quantity = np.bincount(place, weights=legs.quantity, minlength=len(leg)).astype(np.float64)
    groups, group = distinct(market.leg_group[leg])
    block_count = blocks_of(np.bincount(group, minlength=len(groups)))
    block = np.zeros(len(leg), dtype=np.int64)
    if block_count.max(initial=1) > 1:
        block = market.name_hash[market.leg_instrument[leg]] & (block_count - 1)[group]
    return BlockedLegs(groups, block_count, group, block, leg, quantity)


def blocks_of(leg_count: Index) -> Index:
    """Return into how many blocks groups of so many legs are dealt out, the next power of two.

    >>> blocks_of(np.array([1, 64, 65, 129])).tolist()
    [1, 1, 2, 4]
    """
    if leg_count.max(initial=0) <= _LEGS_OF_A_BLOCK:
        return np.ones(len(leg_count), dtype=np.int64)
    counts: Index = 1 << np.ceil(np.log2(np.maximum(1.0, leg_count / _LEGS_OF_A_BLOCK))).astype(np.int64)
    return counts


def stacked(netted: NettedPnl) -> ByRowScenario:
    """Return [U + A + 1, S] profits of groups, classes and the account: the rows whose tail means make the requirement."""
    return np.concatenate((netted.group_pnl, netted.class_pnl, netted.account_pnl[np.newaxis]))


def gross_requirement(legs: LegHoldings, market: RevaluedMarket, alpha: float) -> ByRow:
    """Return [U] the tail means of every holding in every offset group alone, added up by group: what each would need by itself.

    A tail mean is positively homogeneous, so a holding of one leg in a group needs its quantity times what one unit needs, which is
    worked out once for a market. Only where a cost meets the contract's own leg in one group must the sum be reduced anew.
    """
    groups, group = distinct(market.leg_group[legs.leg])
    pairs, pair = distinct(legs.holding * len(groups) + group)
    unit_held, unit_owed = unit_requirements(market, alpha)
    alone = np.abs(legs.quantity) * np.where(legs.quantity > 0, unit_held[legs.leg], unit_owed[legs.leg])
    if len(pairs) == len(pair):
        return np.bincount(group, weights=alone, minlength=len(groups)).astype(np.float64)
    leg_count = np.bincount(pair, minlength=len(pairs))
    shared = leg_count[pair] > 1
    gross = np.bincount(group[~shared], weights=alone[~shared], minlength=len(groups)).astype(np.float64)
    row = (np.cumsum(leg_count > 1) - 1)[pair[shared]]
    shared_pnl = _leg_sums(row, legs.leg[shared], legs.quantity[shared], market)
    group_of_row = np.empty(len(shared_pnl), dtype=np.int64)
    group_of_row[row] = group[shared]
    needed = tail_means(shared_pnl, market.scenarios.weights, alpha)
    gross += np.bincount(group_of_row, weights=needed, minlength=len(groups))
    return gross


_unit_requirements_of: Final[WeakKeyDictionary[RevaluedMarket, dict[float, tuple[ByRow, ByRow]]]] = WeakKeyDictionary()


def unit_requirements(market: RevaluedMarket, alpha: float) -> tuple[ByRow, ByRow]:
    """Return [L] tail means of one unit held and one unit owed. Remembered as long as the market lives: they depend on nothing else."""
    by_alpha = _unit_requirements_of.setdefault(market, {})
    if alpha not in by_alpha:
        held, owed = np.empty((2, len(market.leg_pnl)))
        for start in range(0, len(held), _LEGS_IN_CACHE):
            some = slice(start, start + _LEGS_IN_CACHE)
            pnl = market.leg_pnl[some]
            held[some], owed[some] = (tail_means(each, market.scenarios.weights, alpha) for each in (pnl, -pnl))
        by_alpha[alpha] = held, owed
    return by_alpha[alpha]


def _leg_sums(row: Index, leg: Index, quantity: ByLegHolding, market: RevaluedMarket) -> ByRowScenario:
    """Return [R, S] sums of quantity times leg profit over the entries of each row; every row up to the last has an entry."""
    order = np.argsort(row, kind="stable")
    row_end = np.flatnonzero(np.diff(row[order], append=-1)) + 1
    account = csr_array((quantity[order], leg[order], np.append(0, row_end)), shape=(len(row_end), len(market.leg_pnl)))
    return np.asarray(account @ market.leg_pnl)
