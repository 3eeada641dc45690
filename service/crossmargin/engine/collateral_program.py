"""What the choice of policy AUTO is made of: parts of holdings as variables, and the rows whose tail means they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crossmargin.engine.axes import (
    ByEntry,
    ByEntryScenario,
    ByHolding,
    ByLegHolding,
    ByLegScenario,
    ByRow,
    ByRowScenario,
    ByVariable,
    Index,
)
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.netting import LegHoldings, leg_holdings, unit_requirements
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.required_margin import level_weights
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


@dataclass(frozen=True, eq=False)
class Entries:
    """Which holding moves which row, and with what: `row` [E] ascending and `source` [E] along C, ascending within a row.

    `leg` are rows along axis L and `units` how many of each when the holding is risked whole, those of an entry from `first` [E] on.
    """

    row: Index
    source: Index
    first: Index
    leg: Index
    units: ByLegHolding

    @cached_property
    def of_leg(self) -> Index:
        """The entry that each leg belongs to; nearly always each has one."""
        return np.repeat(np.arange(len(self.first)), np.diff(self.first, append=len(self.leg)))

    def take(self, wanted: NDArray[np.bool_]) -> Entries:
        """Return some of the entries."""
        legs = wanted[self.of_leg]
        first: Index = (np.cumsum(legs) - legs)[self.first[wanted]]
        return Entries(self.row[wanted], self.source[wanted], first, self.leg[legs], self.units[legs])

    def profits(self, leg_pnl: ByLegScenario) -> ByEntryScenario:
        """Return [E, S] what each adds in all scenarios if its holding is risked whole."""
        return self._sums(leg_pnl[self.leg])

    def profits_at(self, places: Index, leg_pnl: ByLegScenario) -> ByEntryScenario:
        """Return [E, W] what each adds in the scenarios at `places` [E, W] or [1, W] if its holding is risked whole."""
        places = places if len(places) == 1 or len(self.first) == len(self.leg) else places[self.of_leg]
        return self._sums(leg_pnl[self.leg[:, np.newaxis], places])

    def _sums(self, profit: ByLegScenario) -> ByEntryScenario:
        profit *= self.units[:, np.newaxis]
        return profit if len(self.first) == len(self.leg) else np.add.reduceat(profit, self.first, axis=0)


@dataclass(frozen=True, eq=False)
class Rows:
    """Groups, classes and the account, as far as some holding moves them. Base currency.

    Attributes:
        level: [R] initial margin for each dollar of a row's tail mean. base: [R, S] profits that no part moves.
        entries: What each holding adds to each row, with legs of `leg_pnl` [L, S], the market's.
        linear: [V] initial margin of the groups that one holding has for itself: their tail means are linear in its parts.
        constant: Initial margin of the rows that nothing moves.
    """

    level: ByRow
    base: ByRowScenario
    entries: Entries
    leg_pnl: ByLegScenario
    linear: ByVariable
    constant: float

    def profits(self, risked: ByHolding) -> ByRowScenario:
        """Return [R, S] what the rows gain when the shares `risked` [C] of the holdings are."""
        entries = self.entries
        if not risked.any():
            return self.base
        moved = _sums_by_row(self._first_leg, entries.leg, risked[entries.source][entries.of_leg] * entries.units, self.leg_pnl)
        moved += self.base
        return moved

    @cached_property
    def first_entry(self) -> Index:
        """[R] the first entry of each row; every row has some."""
        return _first_of_rows(self.entries.row, len(self.level))[:-1]

    @cached_property
    def _first_leg(self) -> Index:
        return _first_of_rows(self.entries.row[self.entries.of_leg], len(self.level))


def parts_of(held: HeldAssets, risked_fraction: ByHolding, chosen: Sequence[int]) -> Parts:
    """Return the parts of the holdings at the `chosen` places along the account's collateral; the others stay at `risked_fraction` [H]."""
    is_chosen = set(chosen)
    alone = [
        0.0 if place in is_chosen else terms.value_counted(terms.value * risked_fraction[holding])
        for place, (holding, terms) in enumerate(zip(held.collateral, held.terms, strict=True))
    ]
    source, width, gain = [], [], []
    for place, each in enumerate(chosen):
        terms = held.terms[each]
        bends = terms.bends()
        values = [terms.value_counted(bend) for bend in bends]
        alone[each] = values[0]
        for start, end, before, after in zip(bends, bends[1:], values, values[1:], strict=False):
            source.append(place)
            width.append((end - start) / terms.value)
            gain.append(after - before)
    return Parts(np.array(chosen, dtype=np.int64), np.array(source, dtype=np.int64), np.array(width), np.array(gain), np.array(alone))


def rows_of(parts: Parts, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> Rows:
    """Return the rows that several holdings move, or a holding and the rest of the account, with what the holdings add to each."""
    rest = _legs_of_the_rest(held, arrays, market)
    own = _legs_of_parts(parts, held, arrays, market)
    every = _every_row(own, rest, market, rates)
    entries = _entries(every.of_own, own)
    moves, counts = np.bincount(entries.row, minlength=len(every.level)), every.level > 0
    has_rest = np.bincount(every.of_rest.ravel(), minlength=len(every.level)) > 0
    is_alone, is_constant = counts & (moves == 1) & ~has_rest, counts & (moves == 0) & has_rest
    is_kept = counts & (moves > 0) & ~is_alone
    alone, kept = (entries.take(those[entries.row]) for those in (is_alone, is_kept))
    needs = every.level[alone.row] * _needed_alone(alone, market, rates)
    return Rows(
        level=every.level[is_kept],
        base=_base(is_kept, every, rest, market),
        entries=replace(kept, row=(np.cumsum(is_kept) - 1)[kept.row]),
        leg_pnl=market.leg_pnl,
        linear=np.bincount(alone.source, needs, minlength=len(parts.chosen))[parts.source] * parts.width,
        constant=_constant(is_constant, every, rest, market, rates),
    )


def _legs_of_the_rest(held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket) -> LegHoldings:
    """Return the legs that stay as they are: what is owed, contracts, and the holdings whose split is decided, as far as it is risked."""
    quantity = np.where(np.isnan(arrays.risked_fraction), 0.0, arrays.quantity * np.nan_to_num(arrays.risked_fraction))
    owed_or_contract = [*held.liability, *held.contract]
    quantity[owed_or_contract] = arrays.quantity[owed_or_contract]
    return leg_holdings(arrays, quantity, market)


def _legs_of_parts(parts: Parts, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket) -> LegHoldings:
    """Return the legs of the holdings that are to be split, risked whole; `holding` is along C."""
    holdings = np.array(held.collateral, dtype=np.int64)[parts.chosen]
    first, end = market.first_leg[arrays.row[holdings]], market.first_leg[arrays.row[holdings] + 1]
    count = end - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return LegHoldings(
        np.repeat(first, count) + within, np.repeat(np.arange(len(holdings)), count), np.repeat(arrays.quantity[holdings], count)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _EveryRow:
    """All rows, groups before classes before the account; which three of them each leg of the holdings and of the rest moves.

    Rows that add up the same groups, such as a class of one group, are one row: the level of the smaller one is zero.
    """

    level: ByRow
    of_own: Index
    of_rest: Index


def _every_row(own: LegHoldings, rest: LegHoldings, market: RevaluedMarket, rates: MarginRates) -> _EveryRow:
    groups, group = np.unique(market.leg_group[np.concatenate((own.leg, rest.leg))], return_inverse=True)
    classes, group_class = np.unique(market.group_class[groups], return_inverse=True)
    level = rates.initial_margin_multiple * level_weights(rates, len(groups), len(classes))
    account = len(groups) + len(classes)
    only = np.flatnonzero(np.bincount(group_class)[group_class] == 1)
    level[len(groups) + group_class[only]] += level[only]
    level[only] = 0.0
    if len(classes) == 1:
        level[account] += level[account - 1]
        level[account - 1] = 0.0
    of_legs = np.stack((group, len(groups) + group_class[group], np.full(len(group), account)))
    return _EveryRow(level, of_legs[:, : len(own.leg)], of_legs[:, len(own.leg) :])


def _entries(rows: Index, own: LegHoldings) -> Entries:
    """Return the entries of all `rows` [3, Q] that the legs move."""
    leg = np.tile(np.arange(len(own.leg)), len(rows))
    row, source = rows.ravel(), own.holding[leg]
    order = np.lexsort((source, row))
    row, source, leg = row[order], source[order], leg[order]
    first = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(source, prepend=-1) != 0))
    return Entries(row[first], source[first], first, own.leg[leg], own.quantity[leg])


def _base(wanted: NDArray[np.bool_], every: _EveryRow, rest: LegHoldings, market: RevaluedMarket) -> ByRowScenario:
    """Return [., S] what the rest of the account gains in the wanted rows."""
    moved = wanted[every.of_rest]
    leg = np.broadcast_to(np.arange(len(rest.leg)), moved.shape)[moved]
    row = (np.cumsum(wanted) - 1)[every.of_rest[moved]]
    order = np.argsort(row, kind="stable")
    leg = leg[order]
    return _sums_by_row(_first_of_rows(row[order], int(wanted.sum())), rest.leg[leg], rest.quantity[leg], market.leg_pnl)


def _first_of_rows(row: Index, row_count: int) -> Index:
    """Return [R + 1] where each row begins in a list that is in their order."""
    return np.searchsorted(row, np.arange(row_count + 1))


def _sums_by_row(first: Index, leg: Index, units: ByLegHolding, leg_pnl: ByLegScenario) -> ByRowScenario:
    """Return [R, S] sums of units times profit of the legs of each row, from `first` [R + 1] on.

    A sparse product and no dense one: it adds in the same order on any number of cores.
    """
    return np.asarray(csr_array((units, leg, first), shape=(len(first) - 1, len(leg_pnl))) @ leg_pnl)


def _needed_alone(entries: Entries, market: RevaluedMarket, rates: MarginRates) -> ByEntry:
    """Return [E] the tail mean of each entry by itself: of one leg, its units times what a market knows of one unit."""
    if len(entries.first) < len(entries.leg):
        return tail_means(entries.profits(market.leg_pnl), market.scenarios.weights, rates.tail_fraction)
    unit_held, _ = unit_requirements(market, rates.tail_fraction)
    return entries.units * unit_held[entries.leg]


def _constant(is_constant: NDArray[np.bool_], every: _EveryRow, rest: LegHoldings, market: RevaluedMarket, rates: MarginRates) -> float:
    if not is_constant.any():
        return 0.0
    means = tail_means(_base(is_constant, every, rest, market), market.scenarios.weights, rates.tail_fraction)
    return float(every.level[is_constant] @ means)
