"""What the choice of policy AUTO is made of: parts of holdings as variables, and the rows whose tail means they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByEntryScenario, ByHolding, ByRow, ByRowScenario, ByScenario, ByVariable, Index
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.netting import leg_holdings, netted_pnl
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_mean, tail_means


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The holdings that are to be split, cut where what they count for bends. A part is risked from none (0) to all of it (1).

    Attributes:
        place: [V] place of the holding along the account's collateral. width: [V] part of the holding, from 0 to 1.
        gain: [V] value alone that the account gains if the part is risked, base currency.
        pledged_value: [C] what every collateral holding counts for alone when no part is risked.
    """

    place: Index
    width: ByVariable
    gain: ByVariable
    pledged_value: ByHolding

    def values(self, x: ByVariable) -> ByHolding:
        """Return [C] what every collateral holding counts for alone."""
        risked = np.bincount(self.place, weights=self.gain * x, minlength=len(self.pledged_value))
        return self.pledged_value + risked.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Groups, classes and the account, as far as some part moves them; entries as in `TailProgram`. Base currency.

    Attributes:
        level: [R] initial margin for each dollar of a row's tail mean. base: [R, S] profits that no part moves.
        linear: [V] initial margin of the groups that one holding has for itself: their tail means are linear in its parts.
        constant: Initial margin of the rows that nothing moves.
    """

    level: ByRow
    base: ByRowScenario
    entry_row: Index
    entry_part: Index
    entry_profit: ByEntryScenario
    linear: ByVariable
    constant: float


def parts_of(held: HeldAssets, risked_fraction: ByHolding, chosen: Sequence[int]) -> Parts:
    """Return the parts of the holdings at the `chosen` places along the account's collateral; the others stay at `risked_fraction` [H]."""
    fixed = [terms.value * risked_fraction[holding] for holding, terms in zip(held.collateral, held.terms, strict=True)]
    place, width, gain = [], [], []
    for each in chosen:
        terms, fixed[each] = held.terms[each], 0.0
        bends = terms.bends()
        values = [terms.counted(bend).value for bend in bends]
        for start, end, before, after in zip(bends, bends[1:], values, values[1:], strict=False):
            place.append(each)
            width.append((end - start) / terms.value)
            gain.append(after - before)
    alone = np.array([terms.counted(risked).value for terms, risked in zip(held.terms, fixed, strict=True)])
    return Parts(np.array(place, dtype=np.int64), np.array(width), np.array(gain), alone)


def rows_of(parts: Parts, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> Rows:
    """Return the rows of the market requirement with what the parts add to each."""
    chosen = np.unique(parts.place)
    holdings = np.array(held.collateral, dtype=np.int64)[chosen]
    quantity = np.where(np.isnan(arrays.risked_fraction), 0.0, arrays.quantity * np.nan_to_num(arrays.risked_fraction))
    owed_or_contract = [*held.liability, *held.contract]
    quantity[owed_or_contract] = arrays.quantity[owed_or_contract]
    rest = netted_pnl(leg_holdings(arrays, quantity, market), market)
    profits = _profits(holdings, arrays, market)
    groups = np.union1d(rest.groups, [group for _, group in profits]).astype(np.int64)
    classes, group_class = np.unique(market.group_class[groups], return_inverse=True)
    base = np.zeros((len(groups) + len(classes) + 1, len(market.scenarios.weights)))
    base[np.searchsorted(groups, rest.groups)] = rest.group_pnl
    np.add.at(base, len(groups) + group_class, base[: len(groups)])
    base[-1] = rest.account_pnl
    sums: dict[tuple[int, int], ByScenario] = {}
    for (holding, group), profit in sorted(profits.items()):
        own = int(np.searchsorted(groups, group))
        for row in (own, len(groups) + int(group_class[own]), len(base) - 1):
            key = (row, int(np.searchsorted(holdings, holding)))
            sums[key] = sums[key] + profit if key in sums else profit
    level = rates.initial_margin_multiple * _levels(rates, len(groups), len(classes))
    everything = _Everything(base, level, sums)
    return _compact(parts, chosen, everything, market.scenarios.weights, alpha=rates.tail_fraction)


def _profits(holdings: Index, arrays: PortfolioArrays, market: RevaluedMarket) -> dict[tuple[int, int], ByScenario]:
    """Return [S] the profit of each holding, risked whole, in each group that it moves."""
    profits: dict[tuple[int, int], ByScenario] = {}
    for holding in holdings.tolist():
        row = arrays.row[holding]
        for leg in range(market.first_leg[row], market.first_leg[row + 1]):
            key = (holding, int(market.leg_group[leg]))
            profit = arrays.quantity[holding] * market.leg_pnl[leg]
            profits[key] = profits[key] + profit if key in profits else profit
    return profits


def _levels(rates: MarginRates, group_count: int, class_count: int) -> ByRow:
    within, across = rates.offset_within_class, rates.offset_across_classes
    return np.concatenate((np.full(group_count, 1.0 - within), np.full(class_count, within - across), [across]))


@dataclass(frozen=True, slots=True, eq=False)
class _Everything:
    """All rows: profits that no part moves and levels, and what each chosen holding adds: by row and place among the chosen."""

    base: ByRowScenario
    level: ByRow
    sums: dict[tuple[int, int], ByScenario]


def _compact(parts: Parts, chosen: Index, everything: _Everything, weights: ByScenario, *, alpha: float) -> Rows:
    """Return the rows that need a place in the program: those that count and that several holdings, or a holding and the rest, move."""
    base, level, sums = everything.base, everything.level, everything.sums
    count = np.bincount([row for row, _ in sums], minlength=len(base))
    constant_rows = np.flatnonzero((count == 0) & (level > 0))
    constant = float(level[constant_rows] @ tail_means(base[constant_rows], weights, alpha))
    alone = (count == 1) & ~base.any(axis=1)
    kept = (count > 0) & (level > 0) & ~alone
    new_row = np.cumsum(kept) - 1
    linear = np.zeros(len(parts.place))
    rows, entries, profits = [], [], []
    for (row, holding), profit in sorted(sums.items()):
        own = np.flatnonzero(parts.place == chosen[holding])
        if alone[row]:
            linear[own] += level[row] * tail_mean(profit, weights, alpha) * parts.width[own]
        elif kept[row]:
            rows += [int(new_row[row])] * len(own)
            entries += own.tolist()
            profits += [parts.width[part] * profit for part in own.tolist()]
    return Rows(
        level=level[kept],
        base=base[kept],
        entry_row=np.array(rows, dtype=np.int64),
        entry_part=np.array(entries, dtype=np.int64),
        entry_profit=np.array(profits).reshape(len(profits), base.shape[1]),
        linear=linear,
        constant=constant,
    )
