"""What the choice of policy AUTO is made of: parts of holdings as variables, and the rows whose tail means they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from crossmargin.engine.axes import ByEntryScenario, ByGroupScenario, ByHolding, ByRow, ByRowScenario, ByScenario, ByVariable, Index
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.netting import leg_holdings, netted_pnl
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_means


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The holdings that are to be split, cut where what they count for bends. A part is risked from none (0) to all of it (1).

    Attributes:
        chosen: [C] places of the holdings along the account's collateral, ascending.
        source: [V] place of the part's holding along C. width: [V] part of the holding, from 0 to 1.
        gain: [V] value alone that the account gains if the part is risked, base currency.
        pledged_value: What every collateral holding of the account counts for alone when no part is risked.
    """

    chosen: Index
    source: Index
    width: ByVariable
    gain: ByVariable
    pledged_value: ByHolding

    def risked(self, x: ByVariable) -> ByHolding:
        """Return [C] the share of each holding that is risked."""
        return np.bincount(self.source, weights=self.width * x, minlength=len(self.chosen)).astype(np.float64)

    def values(self, x: ByVariable) -> ByHolding:
        """Return what every collateral holding counts for alone."""
        alone = self.pledged_value.copy()
        alone[self.chosen] += np.bincount(self.source, weights=self.gain * x, minlength=len(self.chosen))
        return alone


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Groups, classes and the account, as far as some holding moves them. Base currency; the groups are in the order of their classes.

    Attributes:
        level: [R] initial margin for each dollar of a row's tail mean. groups_of_row: [R, U] which groups are added up in each row.
        base: [U, S] profits of all groups that no part moves.
        leg_profit: [Q, S] profits of the holdings, risked whole, by group: in the order of `leg_group` [Q]. leg_source: [Q] along C.
        entry_row, entry_source: [E] which holding moves which row, ascending. entry_leg: with what: legs from `first_leg` [E] on.
        linear: [V] initial margin of the groups that one holding has for itself: their tail means are linear in its parts.
        constant: Initial margin of the rows that nothing moves.
    """

    level: ByRow
    groups_of_row: csr_array
    base: ByGroupScenario
    leg_profit: ByEntryScenario
    leg_source: Index
    leg_group: Index
    entry_row: Index
    entry_source: Index
    entry_leg: Index
    first_leg: Index
    linear: ByVariable
    constant: float

    def profits(self, risked: ByHolding) -> ByRowScenario:
        """Return [R, S] what the rows gain when the shares `risked` [C] of the holdings are."""
        leg = np.arange(len(self.leg_group))
        ends = np.searchsorted(self.leg_group, np.arange(len(self.base) + 1))
        by_group = csr_array((risked[self.leg_source], leg, ends), shape=(len(self.base), len(leg))) @ self.leg_profit
        by_group += self.base
        return np.asarray(self.groups_of_row @ by_group)

    def base_at(self, places: Index) -> ByRowScenario:
        """Return [R, W] the profits that no part moves, in the scenarios at each row's `places` [R, W]."""
        return np.take_along_axis(self.profits(np.zeros(int(self.leg_source.max(initial=0)) + 1)), places, axis=1)

    def entries_in_full(self, entries: Index) -> ByEntryScenario:
        """Return [., S] what some entries add to their rows in all scenarios if the holding is risked whole."""
        legs = _legs_of(entries, self.first_leg, len(self.entry_leg))
        return _entry_sums(self.leg_profit[self.entry_leg[legs.place]], legs.first)

    def entry_profits(self, places: Index) -> ByEntryScenario:
        """Return [E, W] what each entry adds to its row in the scenarios at the row's `places` [R, W] if the holding is risked whole."""
        counts = np.diff(self.first_leg, append=len(self.entry_leg))
        return _entry_sums(self.leg_profit[self.entry_leg[:, np.newaxis], places[np.repeat(self.entry_row, counts)]], self.first_leg)


def parts_of(held: HeldAssets, risked_fraction: ByHolding, chosen: Sequence[int]) -> Parts:
    """Return the parts of the holdings at the `chosen` places along the account's collateral; the others stay at `risked_fraction` [H]."""
    is_chosen = set(chosen)
    alone = [
        0.0 if place in is_chosen else terms.counted(terms.value * risked_fraction[holding]).value
        for place, (holding, terms) in enumerate(zip(held.collateral, held.terms, strict=True))
    ]
    source, width, gain = [], [], []
    for place, each in enumerate(chosen):
        terms = held.terms[each]
        bends = terms.bends()
        values = [terms.counted(bend).value for bend in bends]
        alone[each] = values[0]
        for start, end, before, after in zip(bends, bends[1:], values, values[1:], strict=False):
            source.append(place)
            width.append((end - start) / terms.value)
            gain.append(after - before)
    return Parts(np.array(chosen, dtype=np.int64), np.array(source, dtype=np.int64), np.array(width), np.array(gain), np.array(alone))


def rows_of(parts: Parts, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> Rows:
    """Return the rows of the market requirement with what the holdings add to each."""
    quantity = np.where(np.isnan(arrays.risked_fraction), 0.0, arrays.quantity * np.nan_to_num(arrays.risked_fraction))
    owed_or_contract = [*held.liability, *held.contract]
    quantity[owed_or_contract] = arrays.quantity[owed_or_contract]
    rest = netted_pnl(leg_holdings(arrays, quantity, market), market)
    source, leg = _legs(np.array(held.collateral, dtype=np.int64)[parts.chosen], arrays, market)
    groups = np.union1d(rest.groups, market.leg_group[leg])
    groups = groups[np.argsort(market.group_class[groups], kind="stable")]
    place = np.zeros(len(market.groups), dtype=np.int64)
    place[groups] = np.arange(len(groups))
    group = place[market.leg_group[leg]]
    order = np.lexsort((source, group))
    source, leg, group = source[order], leg[order], group[order]
    held_units = arrays.quantity[np.array(held.collateral, dtype=np.int64)[parts.chosen]]
    base = np.zeros((len(groups), len(market.scenarios.weights)))
    base[place[rest.groups]] = rest.group_pnl
    classes, group_class = np.unique(market.group_class[groups], return_inverse=True)
    everything = _Everything(
        level=rates.initial_margin_multiple * _levels(rates, len(groups), len(classes)),
        base=base,
        groups_of_row=_groups_of_row(group_class, len(classes)),
        leg_profit=held_units[source, np.newaxis] * market.leg_pnl[leg],
        leg_source=source,
        leg_group=group,
        leg_rows=(group, len(groups) + group_class[group], np.full(len(group), len(groups) + len(classes))),
    )
    return _compact(parts, everything, market.scenarios.weights, alpha=rates.tail_fraction)


def _legs(holdings: Index, arrays: PortfolioArrays, market: RevaluedMarket) -> tuple[Index, Index]:
    """Return the legs of some holdings: the place of each one's holding among them, and its row along axis L."""
    first, end = market.first_leg[arrays.row[holdings]], market.first_leg[arrays.row[holdings] + 1]
    count = end - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(holdings)), count), np.repeat(first, count) + within


def _levels(rates: MarginRates, group_count: int, class_count: int) -> ByRow:
    within, across = rates.offset_within_class, rates.offset_across_classes
    return np.concatenate((np.full(group_count, 1.0 - within), np.full(class_count, within - across), [across]))


def _groups_of_row(group_class: Index, class_count: int) -> csr_array:
    """Return [U + A + 1, U] which groups are added up in each group, in each class and in the account; groups are in class order."""
    count = len(group_class)
    class_ends = count + np.searchsorted(group_class, np.arange(1, class_count + 1))
    ends = np.concatenate((np.arange(count + 1), class_ends, [3 * count]))
    return csr_array((np.ones(3 * count), np.tile(np.arange(count), 3), ends), shape=(count + class_count + 1, count))


@dataclass(frozen=True, slots=True, eq=False)
class _Everything:
    """All rows, groups before classes before the account, and the legs of the holdings, each of which moves three of them."""

    level: ByRow
    base: ByGroupScenario
    groups_of_row: csr_array
    leg_profit: ByEntryScenario
    leg_source: Index
    leg_group: Index
    leg_rows: tuple[Index, Index, Index]


def _compact(parts: Parts, everything: _Everything, weights: ByScenario, *, alpha: float) -> Rows:
    """Return the rows that need a place in the program: those that count and that several holdings, or a holding and the rest, move."""
    level, base, source_count = everything.level, everything.groups_of_row @ everything.base, len(parts.chosen)
    leg_row, leg_source = np.concatenate(everything.leg_rows), np.tile(everything.leg_source, 3)
    order = np.lexsort((leg_source, leg_row))
    leg = np.tile(np.arange(len(everything.leg_source)), 3)[order]
    pair, first_leg = np.unique(leg_row[order] * source_count + leg_source[order], return_index=True)
    row, source = pair // source_count, pair % source_count
    count = np.bincount(row, minlength=len(level))
    constant_rows = np.flatnonzero((count == 0) & (level > 0))
    is_alone = (count == 1) & (level > 0) & ~base.any(axis=1)
    is_kept = (count > 0) & (level > 0) & ~is_alone
    alone, stays = np.flatnonzero(is_alone[row]), np.flatnonzero(is_kept[row])
    own, kept = _legs_of(alone, first_leg, len(leg)), _legs_of(stays, first_leg, len(leg))
    profits = _entry_sums(everything.leg_profit[leg[own.place]], own.first)
    needs = np.bincount(source[alone], level[row[alone]] * tail_means(profits, weights, alpha), minlength=source_count)
    return Rows(
        level=level[is_kept],
        groups_of_row=everything.groups_of_row[np.flatnonzero(is_kept)],
        base=everything.base,
        leg_profit=everything.leg_profit,
        leg_source=everything.leg_source,
        leg_group=everything.leg_group,
        entry_row=(np.cumsum(is_kept) - 1)[row[stays]],
        entry_source=source[stays],
        entry_leg=leg[kept.place],
        first_leg=kept.first,
        linear=needs[parts.source] * parts.width,
        constant=float(level[constant_rows] @ tail_means(base[constant_rows], weights, alpha)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _EntryLegs:
    """The legs of some entries, one entry after the other: `place` among all legs of entries, `first` of each entry along it."""

    place: Index
    first: Index


def _legs_of(entries: Index, first_leg: Index, leg_count: int) -> _EntryLegs:
    count = np.diff(first_leg, append=leg_count)[entries]
    first = np.cumsum(count) - count
    return _EntryLegs(np.arange(count.sum()) + np.repeat(first_leg[entries] - first, count), first)


def _entry_sums(profit: ByEntryScenario, first: Index) -> ByEntryScenario:
    """Return the sums of the legs of each entry; nearly always each has one."""
    sums: ByEntryScenario = profit if len(first) == len(profit) else np.add.reduceat(profit, first, axis=0)
    return sums
