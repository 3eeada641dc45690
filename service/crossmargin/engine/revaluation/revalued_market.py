"""The market as a matrix: what one unit of every instrument is worth, and gains or loses in every scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId, SnapshotId
from crossmargin.domain.instrument import Instrument
from crossmargin.engine.axes import ByInstrument, ByLegScenario, Index
from crossmargin.engine.scenarios.scenario_set import ScenarioSet


@dataclass(frozen=True, eq=False)
class RevaluedMarket:
    """One snapshot revalued under one scenario set. Computed once, shared by all accounts.

    Attributes:
        instruments: Axis I. Instruments that could be valued; the rest are in `unavailable`.
        unit_value: [I] value of one unit at the mark, base currency: price x multiplier (x 0.01 for bonds) x settlement price. For a
            margined contract this is before cost: an inverse contract's is -multiplier / mark x coin price.
        settlement_price: [I] base value of one unit of the asset that the instrument settles in; a cost is worth cost x this.
        settlement_row: [I] row of the settlement asset along axis I; an asset's own row, and itself for assets.
        leg_instrument: [L] row of the instrument along axis I; never descending.
        leg_group: [L] row of the leg's offset group along axis U.
        leg_pnl: [L, S] profit of one unit, base currency.
        groups: Axis U. classes: axis A. group_class: [U] row of the group's asset class along axis A.
        residual_years: [I] years to maturity, actual/365 (0 for what has none), for the haircut bands.
        translation_days: [I] margin period, in days, of the settlement asset's own group (0 for the base currency).
        unavailable: Instruments that could not be valued, with the error that says why; only who holds them is refused.
    """

    snapshot_id: SnapshotId
    as_of: datetime
    scenarios: ScenarioSet
    instruments: tuple[Instrument, ...]
    unit_value: ByInstrument
    settlement_price: ByInstrument
    settlement_row: Index
    leg_instrument: Index
    leg_group: Index
    leg_pnl: ByLegScenario
    groups: tuple[OffsetGroupId, ...]
    classes: tuple[str, ...]
    group_class: Index
    residual_years: ByInstrument
    translation_days: ByInstrument
    unavailable: Mapping[InstrumentId, DomainError]

    @cached_property
    def row_of(self) -> Mapping[InstrumentId, int]:
        """Position of each instrument along axis I."""
        return {instrument.instrument_id: row for row, instrument in enumerate(self.instruments)}

    @cached_property
    def first_leg(self) -> Index:
        """[I + 1] row of each instrument's first leg along axis L; its last leg is the one before the next instrument's first."""
        if (np.diff(self.leg_instrument) < 0).any():
            raise ValueError("legs are not in the order of their instruments")
        return np.searchsorted(self.leg_instrument, np.arange(len(self.instruments) + 1))


def part_of(market: RevaluedMarket, instruments: Sequence[Instrument]) -> RevaluedMarket:
    """Return the market of some of its instruments, in the order of their ids; with each must come what it settles in."""
    rows = np.array([market.row_of[instrument.instrument_id] for instrument in instruments], dtype=np.int64)
    legs = _legs_of(market, rows)
    return replace(
        market,
        instruments=tuple(instruments),
        unit_value=market.unit_value[rows],
        settlement_price=market.settlement_price[rows],
        settlement_row=np.searchsorted(rows, market.settlement_row[rows]),
        leg_instrument=np.searchsorted(rows, market.leg_instrument[legs]),
        leg_group=market.leg_group[legs],
        leg_pnl=market.leg_pnl[legs],
        residual_years=market.residual_years[rows],
        translation_days=market.translation_days[rows],
        unavailable={},
    )


def in_scenarios(market: RevaluedMarket, scenarios: ScenarioSet, places: Index) -> RevaluedMarket:
    """Return the market under those of its scenarios that are at `places`; `scenarios` are they."""
    return replace(market, scenarios=scenarios, leg_pnl=np.ascontiguousarray(market.leg_pnl[:, places]))


def with_rows_of(market: RevaluedMarket, other: RevaluedMarket) -> RevaluedMarket:
    """Return `market` with every instrument of `other`, a subset under the same scenarios, valued as it is there.

    An instrument that is unavailable in `other` is unavailable in the result.
    """
    rows = np.array([market.row_of[instrument.instrument_id] for instrument in other.instruments], dtype=np.int64)
    legs = _legs_of(market, rows)
    unit_value, settlement_price, leg_pnl = market.unit_value.copy(), market.settlement_price.copy(), market.leg_pnl.copy()
    unit_value[rows], settlement_price[rows], leg_pnl[legs] = other.unit_value, other.settlement_price, other.leg_pnl
    if not other.unavailable:
        return replace(market, unit_value=unit_value, settlement_price=settlement_price, leg_pnl=leg_pnl)
    unit_value[[market.row_of[name] for name in other.unavailable]] = np.nan
    return replace(
        market,
        unit_value=unit_value,
        settlement_price=settlement_price,
        leg_pnl=leg_pnl,
        unavailable={**market.unavailable, **other.unavailable},
    )


def _legs_of(market: RevaluedMarket, rows: Index) -> Index:
    return np.flatnonzero(np.isin(market.leg_instrument, rows))
