"""The legs of an account's holdings, each by the instrument that brings it, so that the legs of one group can be redone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByHolding, ByLegHolding, Index
from crossmargin.engine.distinct import distinct
from crossmargin.engine.netting import LegHoldings, leg_places
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_FEW: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class LegEntries:
    """Legs along axis K in the order in which a margin takes those of a group: holdings' own ones first, then those of costs.

    Attributes:
        key: [K] (whether it is of a cost, row of the holding along I, row of the leg along L) as one number, ascending.
        row: [K] of the holding along I. leg: [K] along L. Both are in the key.
        quantity: [K] signed units in the scenarios. whole: [K] of the holding, in the scenarios or not.
    """

    key: Index
    row: Index
    leg: Index
    quantity: ByLegHolding
    whole: ByLegHolding

    @property
    def byte_count(self) -> int:
        """Memory of the legs."""
        return sum(column.nbytes for column in (self.key, self.row, self.leg, self.quantity, self.whole))

    def take(self, wanted: Index | NDArray[np.bool_] | slice) -> LegEntries:
        """Return some of the entries."""
        return LegEntries(self.key[wanted], self.row[wanted], self.leg[wanted], self.quantity[wanted], self.whole[wanted])

    def with_rows(self, rows: Index, new: LegEntries, market: RevaluedMarket) -> LegEntries:
        """Return the entries with what the instruments at `rows`, ascending, bring in `new` in place of what they brought before."""
        if len(rows) > _FEW:
            return merged(self.take(~is_among(self.row, rows)), new)
        first = np.concatenate((rows, len(market.instruments) + rows)) * len(market.leg_group)
        (start, end), (new_start, new_end) = self._spans(first, market), new._spans(first, market)
        pieces, done = [], 0
        for until, onward, begin, stop in zip(start, end, new_start, new_end, strict=True):
            pieces += [self.take(slice(done, until)), new.take(slice(begin, stop))]
            done = onward
        return _side_by_side([*pieces, self.take(slice(done, None))])

    def _spans(self, first: Index, market: RevaluedMarket) -> tuple[list[int], list[int]]:
        """Return where the entries of holdings begin and end whose keys begin at `first`."""
        start, end = self.key.searchsorted(first), self.key.searchsorted(first + len(market.leg_group))
        return start.tolist(), end.tolist()


_NO_INDEX: Final = np.zeros(0, dtype=np.int64)
NO_LEGS: Final = LegEntries(_NO_INDEX, _NO_INDEX, _NO_INDEX, np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class LocalLegs:
    """The legs of some groups, as of an account that holds nothing else.

    Attributes:
        row: [H] rows along axis I of the holdings that take part, ascending. quantity: [H] signed units of those with legs of their own.
        scenario: The legs in the scenarios. whole: All legs.
    """

    row: Index
    quantity: ByHolding
    scenario: LegHoldings
    whole: LegHoldings


def leg_entries(row: Index, scenario_quantity: ByHolding, quantity: ByHolding, cost: ByHolding, market: RevaluedMarket) -> LegEntries:
    """Return the legs of holdings at `row` [H], ascending."""
    if not len(row):
        return NO_LEGS
    own_leg, own = leg_places(row, quantity, market)
    paid_leg, paid = leg_places(market.settlement_row[row], cost, market)
    leg = np.concatenate((own_leg, paid_leg))
    return LegEntries(
        key=np.concatenate((row[own], len(market.instruments) + row[paid])) * len(market.leg_group) + leg,
        row=np.concatenate((row[own], row[paid])),
        leg=leg,
        quantity=np.concatenate((scenario_quantity[own], -cost[paid])),
        whole=np.concatenate((quantity[own], -cost[paid])),
    )


def merged(*parts: LegEntries) -> LegEntries:
    """Return entries as one, in their order; each part has its own in it already, which makes that cheap."""
    entries = [part for part in parts if len(part.key)]
    if len(entries) < 2:
        return entries[0] if entries else NO_LEGS
    joined = _side_by_side(entries)
    return joined.take(np.argsort(joined.key, kind="stable"))


def by_group(entries: LegEntries, market: RevaluedMarket) -> dict[int, LegEntries]:
    """Return the entries of each group, by its row along axis U, ascending."""
    if not len(entries.key):
        return {}
    group = market.leg_group[entries.leg]
    order = np.argsort(group, kind="stable")
    rows, first = np.unique(group[order], return_index=True)
    ends = [*first.tolist(), len(order)]
    return {row: entries.take(order[start:end]) for row, start, end in zip(rows.tolist(), ends, ends[1:], strict=False)}


def local_legs(entries: LegEntries, market: RevaluedMarket) -> LocalLegs:
    """Return the legs of entries, their holdings numbered among themselves."""
    leg = entries.leg
    row, holding = distinct(entries.row)
    own_count = int(entries.key.searchsorted(len(market.instruments) * len(market.leg_group)))
    quantity = np.zeros(len(row))
    quantity[holding[:own_count]] = entries.whole[:own_count]
    whole = LegHoldings(leg, holding, entries.whole)
    inside = entries.quantity != 0
    if inside.all() and np.array_equal(entries.quantity, entries.whole):
        return LocalLegs(row, quantity, whole, whole)
    return LocalLegs(row, quantity, LegHoldings(leg[inside], holding[inside], entries.quantity[inside]), whole)


def is_among(values: Index, few: Index) -> NDArray[np.bool_]:
    """Return whether each value is one of a few: what `np.isin` says, faster for that."""
    if len(few) > _FEW:
        return np.isin(values, few)
    found = np.zeros(len(values), dtype=np.bool_)
    for value in few.tolist():
        found |= values == value
    return found


def _side_by_side(parts: Sequence[LegEntries]) -> LegEntries:
    return LegEntries(
        np.concatenate([each.key for each in parts]),
        np.concatenate([each.row for each in parts]),
        np.concatenate([each.leg for each in parts]),
        np.concatenate([each.quantity for each in parts]),
        np.concatenate([each.whole for each in parts]),
    )
