"""The legs of an account's holdings, each by the instrument that brings it, so that the legs of one group can be redone."""

from __future__ import annotations

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
        quantity: [K] signed units in the scenarios. whole: [K] of the holding, in the scenarios or not.
    """

    key: Index
    quantity: ByLegHolding
    whole: ByLegHolding

    def take(self, wanted: Index | NDArray[np.bool_]) -> LegEntries:
        """Return some of the entries."""
        return LegEntries(self.key[wanted], self.quantity[wanted], self.whole[wanted])

    def without(self, rows: Index, market: RevaluedMarket) -> LegEntries:
        """Return what instruments at other rows bring."""
        return self.take(~is_among(rows_of(self.key, market), rows)) if len(self.key) else self


NO_LEGS: Final = LegEntries(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class LocalLegs:
    """The legs of some groups, as of an account that holds nothing else.

    Attributes:
        row: [H] rows along axis I of the holdings that take part, ascending.
        scenario: The legs in the scenarios. whole: All legs.
    """

    row: Index
    scenario: LegHoldings
    whole: LegHoldings


def leg_entries(row: Index, scenario_quantity: ByHolding, quantity: ByHolding, cost: ByHolding, market: RevaluedMarket) -> LegEntries:
    """Return the legs of holdings at `row` [H], ascending."""
    if not len(row):
        return NO_LEGS
    own_leg, own = leg_places(row, quantity, market)
    paid_leg, paid = leg_places(market.settlement_row[row], cost, market)
    places = np.concatenate((row[own], len(market.instruments) + row[paid]))
    return LegEntries(
        key=places * len(market.leg_group) + np.concatenate((own_leg, paid_leg)),
        quantity=np.concatenate((scenario_quantity[own], -cost[paid])),
        whole=np.concatenate((quantity[own], -cost[paid])),
    )


def merged(*parts: LegEntries) -> LegEntries:
    """Return entries as one, in their order; each part has its own in it already, which makes that cheap."""
    entries = [part for part in parts if len(part.key)]
    if len(entries) < 2:
        return entries[0] if entries else NO_LEGS
    key = np.concatenate([each.key for each in entries])
    order = np.argsort(key, kind="stable")
    quantity = np.concatenate([each.quantity for each in entries])
    whole = np.concatenate([each.whole for each in entries])
    return LegEntries(key[order], quantity[order], whole[order])


def by_group(entries: LegEntries, market: RevaluedMarket) -> dict[int, LegEntries]:
    """Return the entries of each group, by its row along axis U, ascending."""
    if not len(entries.key):
        return {}
    group = groups_of(entries.key, market)
    order = np.argsort(group, kind="stable")
    rows, first = np.unique(group[order], return_index=True)
    ends = [*first.tolist(), len(order)]
    return {row: entries.take(order[start:end]) for row, start, end in zip(rows.tolist(), ends, ends[1:], strict=False)}


def local_legs(entries: LegEntries, market: RevaluedMarket) -> LocalLegs:
    """Return the legs of entries, their holdings numbered among themselves."""
    leg = legs_in(entries.key, market)
    row, holding = distinct(rows_of(entries.key, market))
    whole = LegHoldings(leg, holding, entries.whole)
    inside = entries.quantity != 0
    if inside.all() and np.array_equal(entries.quantity, entries.whole):
        return LocalLegs(row, whole, whole)
    return LocalLegs(row, LegHoldings(leg[inside], holding[inside], entries.quantity[inside]), whole)


def legs_in(key: Index, market: RevaluedMarket) -> Index:
    """Return [K] row along axis L."""
    leg: Index = key % len(market.leg_group)
    return leg


def rows_of(key: Index, market: RevaluedMarket) -> Index:
    """Return [K] row along axis I of what is held."""
    row: Index = key // len(market.leg_group) % len(market.instruments)
    return row


def groups_of(key: Index, market: RevaluedMarket) -> Index:
    """Return [K] row along axis U of all groups of the market."""
    group: Index = market.leg_group[legs_in(key, market)]
    return group


def is_among(values: Index, few: Index) -> NDArray[np.bool_]:
    """Return whether each value is one of a few: what `np.isin` says, faster for that."""
    if len(few) > _FEW:
        return np.isin(values, few)
    found = np.zeros(len(values), dtype=np.bool_)
    for value in few.tolist():
        found |= values == value
    return found
