"""The market as a matrix: what one unit of every instrument is worth, and gains or loses in every scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId, SnapshotId
from crossmargin.domain.instrument import Instrument
from crossmargin.engine.axes import ByInstrument, ByIssuerLeg, ByLeg, ByLegScenario, Index
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
        leg_exposure: [L] base value that moves one for one with the leg's group: what one unit is long (+) or short (-) of its underlying,
            delta-equivalent; market value where it moves with rates or with the price of a settlement asset.
        issuer_leg_pnl: [J, L] profit of one unit in the joint shock of each issuer group of the parameters, base currency.
        instrument_group: [I] row along axis U of the group of what the instrument is on; -1 when it is the base currency.
        notional_unit: [I] notional of one unit, base currency.
        basis_kind: [I] a BasisKind: whether factors move the price against the spot price of the same underlying.
        is_option: [I] True for options.
        peg_price: [I] price of a stablecoin in the currency it is pegged to; NaN for anything else.
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
    leg_exposure: ByLeg
    issuer_leg_pnl: ByIssuerLeg
    instrument_group: Index
    notional_unit: ByInstrument
    basis_kind: Index
    is_option: NDArray[np.bool_]
    peg_price: ByInstrument
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
