"""Bundles of valuations laid out along the axes of a revalued market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByInstrumentBase, ByInstrumentScenario, Index
from crossmargin.engine.revaluation.bundle import Bundle, Valued
from crossmargin.engine.revaluation.prepared_instruments import PreparedInstruments
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, not_finite
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

Value = TypeVar("Value", bound=np.generic)

_INSTRUMENTS_IN_CACHE: Final = 16
"""Instruments whose profits are found at once, so that they are still in the cache when they are laid out. No profit depends on it."""


@dataclass(frozen=True, slots=True)
class States:
    """Where one market's states are: its base state along axis B and along axis M, and the `count` shocked states that follow it."""

    place: int
    base: int
    count: int


def laid_out(
    prepared: PreparedInstruments,
    valued: Valued,
    market: ShockedMarket,
    states: States,
    *,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
) -> RevaluedMarket:
    """Return the instruments along the axes of one market, with those that could not be valued beside them.

    The states after the scenarios of the set are the joint shocks of issuer groups.
    """
    legs = [_legs_of(bundle, market) for bundle in valued.bundles]
    sheet = _Sheet.blank(prepared, valued, legs, issuer_count=states.count - len(scenarios.names), scenario_count=len(scenarios.names))
    with np.errstate(all="ignore"):
        for bundle, groups in zip(valued.bundles, legs, strict=True):
            sheet.fill(bundle, groups, market, states)
    errors = valued.errors | {row: not_finite(prepared.instruments[row]) for row in np.flatnonzero(sheet.is_broken).tolist()}
    unavailable = {
        prepared.instruments[row].instrument_id: _named(prepared.instruments[row], error, scenarios)
        for row, error in sorted(errors.items())
    }
    return sheet.market(prepared, valued, legs, market, snapshot=snapshot, scenarios=scenarios, unavailable=unavailable)


def unit_values(bundle: Bundle, market: ShockedMarket) -> ByInstrumentBase:
    """Return [I, B] the value of one unit of each."""
    values: ByInstrumentBase = np.zeros((len(bundle.rows), len(market.bases)))
    for claim in bundle.claims:
        values = values + claim.amount[:, market.bases] * market.price(claim.asset)[market.bases]
    return values


def _legs_of(bundle: Bundle, market: ShockedMarket) -> tuple[OffsetGroup, ...]:
    """Return the groups of a bundle's legs, by their ids."""
    groups: dict[str, OffsetGroup] = {}
    for claim in bundle.claims:
        for group in (claim.group, market.price_group(claim.asset)):
            if group is not None:
                groups[group.group_id] = group
    return tuple(groups[name] for name in sorted(groups))


def _profits(bundle: Bundle, part: slice, market: ShockedMarket, states: States) -> dict[str, ByInstrumentScenario]:
    """Return [I, S] profits of one unit of some instruments of a bundle, by the id of the group that they belong to."""
    profits: dict[str, ByInstrumentScenario] = {}
    for claim in bundle.claims:
        amount, price = (
            values[..., states.base : states.base + 1 + states.count] for values in (claim.amount[part], market.price(claim.asset))
        )
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            gained = amount[:, 1:] - amount[:, :1]
            if price_group is not None:  # the price of the base currency is 1
                gained *= price[1:]
            _add(profits, claim.group, gained)
        if price_group is not None:
            _add(profits, price_group, amount[:, :1] * (price[1:] - price[:1]))
    return profits


def _exposures(bundle: Bundle, market: ShockedMarket, states: States) -> dict[str, ByInstrument]:
    """Return [I] what one unit is long or short of each group's underlying, split as its profits are."""
    exposures: dict[str, ByInstrument] = {}
    for claim in bundle.claims:
        amount, price = claim.amount[:, states.base], market.price(claim.asset)[states.base]
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            exposed = amount if claim.exposure is None else claim.exposure[:, states.place]
            _add(exposures, claim.group, 0.0 + exposed * price)
        if price_group is not None:
            _add(exposures, price_group, 0.0 + amount * price)
    return exposures


def _add(parts: dict[str, NDArray[np.float64]], group: OffsetGroup, part: NDArray[np.float64]) -> None:
    name = group.group_id
    parts[name] = parts[name] + part if name in parts else part


def _named(instrument: Instrument, error: DomainError, scenarios: ScenarioSet) -> DomainError:
    """Return the error with the instrument in it; the scenario set's own errors stay as they are, shared by all who need the factor."""
    if "instrument" in error.facts or any(error is known for known in scenarios.unavailable.values()):
        return error
    facts: dict[str, object] = {**error.facts, "instrument": instrument.instrument_id}
    return DomainError(error.reason, f"{instrument.instrument_id} cannot be valued: {error.message}", **facts)


@dataclass(eq=False)
class _Sheet:
    """Arrays as those of a `RevaluedMarket`, with a row for every instrument, valued or not, and a leg for each that may have it.

    `first_leg` [I + 1] is where the legs of each begin; `is_valued` and `is_broken` [I] say which have a value and which have one that is
    not finite.
    """

    first_leg: Index
    leg_pnl: NDArray[np.float64]
    issuer_leg_pnl: NDArray[np.float64]
    leg_exposure: NDArray[np.float64]
    unit_value: ByInstrument
    settlement_price: ByInstrument
    residual_years: ByInstrument
    translation_days: ByInstrument
    notional_unit: ByInstrument
    basis_kind: Index
    is_option: NDArray[np.bool_]
    peg_price: ByInstrument
    used_fraction: ByInstrument
    has_run_out: NDArray[np.bool_]
    is_valued: NDArray[np.bool_]
    is_broken: NDArray[np.bool_]

    @classmethod
    def blank(
        cls,
        prepared: PreparedInstruments,
        valued: Valued,
        legs: Sequence[tuple[OffsetGroup, ...]],
        *,
        issuer_count: int,
        scenario_count: int,
    ) -> _Sheet:
        count = len(prepared.instruments)
        leg_counts = np.zeros(count, dtype=np.int64)
        for bundle, groups in zip(valued.bundles, legs, strict=True):
            leg_counts[bundle.rows] = len(groups)
        first_leg = np.concatenate([[0], np.cumsum(leg_counts)])
        leg_count = int(first_leg[-1])
        return cls(
            first_leg=first_leg,
            leg_pnl=np.empty((leg_count, scenario_count)),
            issuer_leg_pnl=np.empty((issuer_count, leg_count)),
            leg_exposure=np.empty(leg_count),
            unit_value=np.empty(count),
            settlement_price=np.empty(count),
            residual_years=np.empty(count),
            translation_days=np.empty(count),
            notional_unit=np.empty(count),
            basis_kind=np.empty(count, dtype=np.int64),
            is_option=np.zeros(count, dtype=np.bool_),
            peg_price=np.full(count, np.nan),
            used_fraction=np.ones(count),
            has_run_out=np.zeros(count, dtype=np.bool_),
            is_valued=np.zeros(count, dtype=np.bool_),
            is_broken=np.zeros(count, dtype=np.bool_),
        )

    def fill(self, bundle: Bundle, groups: tuple[OffsetGroup, ...], market: ShockedMarket, states: States) -> None:
        """Write down one bundle."""
        rows = bundle.rows
        price = market.price(bundle.settlement)[states.base]
        worth = unit_values(bundle, market)[:, states.place]
        self.unit_value[rows] = worth
        self.settlement_price[rows] = price
        self.residual_years[rows] = bundle.residual_years
        self.translation_days[rows] = _translation_days(bundle.settlement, market)
        self.notional_unit[rows] = np.abs(worth) if bundle.notional is None else bundle.notional[:, states.place] * price
        self.basis_kind[rows] = bundle.basis
        self.is_option[rows] = bundle.is_option
        if bundle.peg_price is not None:
            self.peg_price[rows] = bundle.peg_price[:, states.place]
        if bundle.used_fraction is not None:
            self.used_fraction[rows] = bundle.used_fraction
        if bundle.has_run_out is not None:
            self.has_run_out[rows] = bundle.has_run_out
        is_finite = np.isfinite(worth)
        self._fill_legs(bundle, groups, market, states, is_finite)
        self.is_valued[rows] = is_finite
        self.is_broken[rows] = ~is_finite

    def _fill_legs(
        self, bundle: Bundle, groups: tuple[OffsetGroup, ...], market: ShockedMarket, states: States, is_finite: NDArray[np.bool_]
    ) -> None:
        """Write down profits and exposures, and in `is_finite` which instruments have a profit that is not finite."""
        first = self.first_leg[bundle.rows]
        exposures = _exposures(bundle, market, states)
        for place, group in enumerate(groups):
            self.leg_exposure[first + place] = exposures[group.group_id]
        scenario_count = self.leg_pnl.shape[1]
        for start in range(0, len(bundle.rows), _INSTRUMENTS_IN_CACHE):
            part = slice(start, start + _INSTRUMENTS_IN_CACHE)
            profits = _profits(bundle, part, market, states)
            for place, group in enumerate(groups):
                pnl = profits[group.group_id]
                self.leg_pnl[first[part] + place] = pnl[:, :scenario_count]
                self.issuer_leg_pnl[:, first[part] + place] = pnl[:, scenario_count:].T
                is_finite[part] &= np.isfinite(pnl).all(axis=1)

    def market(
        self,
        prepared: PreparedInstruments,
        valued: Valued,
        legs: Sequence[tuple[OffsetGroup, ...]],
        market: ShockedMarket,
        *,
        snapshot: MarketSnapshot,
        scenarios: ScenarioSet,
        unavailable: Mapping[InstrumentId, DomainError],
    ) -> RevaluedMarket:
        """Return the rows of what has a value as a market."""
        kept = np.flatnonzero(self.is_valued)
        leg_counts = np.diff(self.first_leg)
        kept_legs = np.flatnonzero(np.repeat(self.is_valued, leg_counts))
        is_whole = len(kept) == len(self.is_valued)
        used = [place for place, bundle in enumerate(valued.bundles) if self.is_valued[bundle.rows].any()]
        groups = sorted({group.group_id: group for place in used for group in legs[place]}.items())
        axis_of: dict[str, int] = {name: position for position, (name, _) in enumerate(groups)}
        classes = tuple(sorted({group.asset_class for _, group in groups}))
        leg_group, instrument_group = self._group_axes(valued, legs, market, axis_of)

        return RevaluedMarket(
            snapshot_id=snapshot.snapshot_id,
            as_of=snapshot.as_of,
            scenarios=scenarios,
            instruments=prepared.instruments if is_whole else tuple(prepared.instruments[row] for row in kept.tolist()),
            unit_value=_at(self.unit_value, kept),
            settlement_price=_at(self.settlement_price, kept),
            settlement_row=(np.cumsum(self.is_valued) - 1)[prepared.settlement_row[kept]],
            leg_instrument=np.repeat(np.arange(len(kept)), leg_counts[kept]),
            leg_group=_at(leg_group, kept_legs),
            leg_pnl=_at(self.leg_pnl, kept_legs),
            groups=tuple(group.group_id for _, group in groups),
            classes=classes,
            group_class=np.array([classes.index(group.asset_class) for _, group in groups], dtype=np.int64),
            residual_years=_at(self.residual_years, kept),
            translation_days=_at(self.translation_days, kept),
            leg_exposure=_at(self.leg_exposure, kept_legs),
            issuer_leg_pnl=self.issuer_leg_pnl if is_whole else np.ascontiguousarray(self.issuer_leg_pnl[:, kept_legs]),
            instrument_group=_at(instrument_group, kept),
            notional_unit=_at(self.notional_unit, kept),
            basis_kind=_at(self.basis_kind, kept),
            is_option=_at(self.is_option, kept),
            peg_price=_at(self.peg_price, kept),
            used_fraction=_at(self.used_fraction, kept),
            has_run_out=_at(self.has_run_out, kept),
            unavailable=unavailable,
            kernels=market.kernels,
        )

    def _group_axes(
        self, valued: Valued, legs: Sequence[tuple[OffsetGroup, ...]], market: ShockedMarket, axis_of: Mapping[str, int]
    ) -> tuple[Index, Index]:
        """Return the group of every leg, and of what every instrument is on; -1 for none."""
        leg_group = np.full(int(self.first_leg[-1]), -1, dtype=np.int64)
        instrument_group = np.full(len(self.is_valued), -1, dtype=np.int64)
        for bundle, groups in zip(valued.bundles, legs, strict=True):
            for place, group in enumerate(groups):
                leg_group[self.first_leg[bundle.rows] + place] = axis_of.get(group.group_id, -1)
            on = bundle.group or bundle.claims[0].group or market.price_group(bundle.settlement)
            if on is not None:
                instrument_group[bundle.rows] = axis_of.get(on.group_id, -1)
        return leg_group, instrument_group


def _translation_days(settlement: InstrumentId, market: ShockedMarket) -> float:
    group = market.price_group(settlement)
    return 0.0 if group is None else float(group.mpor_days)


def _at(values: NDArray[Value], places: Index) -> NDArray[Value]:
    """Return the values at ascending places; not copied where that is all of them."""
    return values if len(places) == len(values) else values[places]
