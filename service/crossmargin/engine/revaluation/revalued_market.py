"""The market as a matrix: what one unit of every instrument is worth, and gains or loses in every scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId, SnapshotId
from crossmargin.domain.instrument import AssetTerms, BondTerms, Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.worked_out_once import WorkedOutOnce
from crossmargin.engine.axes import ByFactor, ByInstrument, ByIssuerLeg, ByLeg, ByLegScenario, Index
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.scenarios.scenario_set import ScenarioSet


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """A hypothetical move [F] away from a snapshot: log-returns and differences of the scenario set's factors."""

    snapshot: MarketSnapshot
    move: ByFactor


@dataclass(frozen=True, eq=False)
class RevaluedMarket(WorkedOutOnce):
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
        leg_exposure: [L] base value that moves one for one with the leg's group: what one unit is long (+) or short (-) of its underlying,
            delta-equivalent; market value where it moves with rates or with the price of a settlement asset.
        issuer_leg_pnl: [J, L] profit of one unit in the joint shock of each issuer group of the parameters, base currency.
        instrument_group: [I] row along axis U of the group of what the instrument is on; -1 when it is the base currency.
        notional_unit: [I] notional of one unit, base currency.
        basis_kind: [I] a BasisKind: whether factors move the price against the spot price of the same underlying.
        is_option: [I] True for options.
        peg_price: [I] what a holding of a stablecoin counts at, in the currency it is pegged to; NaN for anything else.
        used_fraction: [I] what a holding counts at over the price, in (0, 1]: below 1 for a stablecoin whose slow price is below it. All
            other figures are at the price itself (see `portfolio_arrays`).
        has_run_out: [I] True for a stablecoin whose depeg has lasted for longer than it may be collateral.
        unavailable: Instruments that could not be valued, with the error that says why; only who holds them is refused.
        snapshot: What it was revalued from, so that more states of it can be asked for; None after a hypothetical move.
        departure: The hypothetical move that it is after, where it is kept: by which a grid starts from the moved market.
        kernels: What it was revalued with, and whatever is revalued from it.
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
    leg_exposure: ByLeg
    issuer_leg_pnl: ByIssuerLeg
    instrument_group: Index
    notional_unit: ByInstrument
    basis_kind: Index
    is_option: NDArray[np.bool_]
    peg_price: ByInstrument
    used_fraction: ByInstrument
    has_run_out: NDArray[np.bool_]
    unavailable: Mapping[InstrumentId, DomainError]
    snapshot: MarketSnapshot | None = None
    departure: Departure | None = None
    kernels: Kernels = Kernels.NUMPY

    @cached_property
    def row_of(self) -> Mapping[InstrumentId, int]:
        """Position of each instrument along axis I."""
        return {instrument.instrument_id: row for row, instrument in enumerate(self.instruments)}

    @cached_property
    def name_hash(self) -> Index:
        """[I] numbers that follow from the names of the instruments alone, spread evenly: the same in every market."""
        return np.array([crc32(instrument.instrument_id.encode()) for instrument in self.instruments], dtype=np.int64)

    @cached_property
    def is_asset_or_bond(self) -> NDArray[np.bool_]:
        """[I] True for assets and bonds: collateral where they are held, and a debt where they are owed."""
        return np.array([isinstance(instrument.terms, AssetTerms + BondTerms) for instrument in self.instruments], dtype=np.bool_)

    @cached_property
    def is_slowed(self) -> bool:
        """Whether anything counts at less than its price."""
        return bool((self.used_fraction < 1.0).any())

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
        leg_exposure=market.leg_exposure[legs],
        issuer_leg_pnl=np.ascontiguousarray(market.issuer_leg_pnl[:, legs]),
        instrument_group=market.instrument_group[rows],
        notional_unit=market.notional_unit[rows],
        basis_kind=market.basis_kind[rows],
        is_option=market.is_option[rows],
        peg_price=market.peg_price[rows],
        used_fraction=market.used_fraction[rows],
        has_run_out=market.has_run_out[rows],
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
    unit_value = _replaced(market.unit_value, rows, other.unit_value)
    unit_value[[market.row_of[name] for name in other.unavailable]] = np.nan
    return replace(
        market,
        unit_value=unit_value,
        settlement_price=_replaced(market.settlement_price, rows, other.settlement_price),
        leg_pnl=_replaced(market.leg_pnl, legs, other.leg_pnl),
        leg_exposure=_replaced(market.leg_exposure, legs, other.leg_exposure),
        issuer_leg_pnl=_replaced(market.issuer_leg_pnl.T, legs, other.issuer_leg_pnl.T).T,
        notional_unit=_replaced(market.notional_unit, rows, other.notional_unit),
        peg_price=_replaced(market.peg_price, rows, other.peg_price),
        used_fraction=_replaced(market.used_fraction, rows, other.used_fraction),
        unavailable={**market.unavailable, **other.unavailable},
    )


def _replaced(values: NDArray[np.float64], places: Index, new: NDArray[np.float64]) -> NDArray[np.float64]:
    copy = values.copy()
    copy[places] = new
    return copy


def _legs_of(market: RevaluedMarket, rows: Index) -> Index:
    return np.flatnonzero(np.isin(market.leg_instrument, rows))
