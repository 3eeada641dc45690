"""Grids of market moves, and what instruments gain or lose at their points: one offset group moves, everything else stands still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import FactorKind, MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByScenarioFactor
from crossmargin.engine.methodologies import span_grid, tims_grid
from crossmargin.engine.methodologies.largest_loss import ByPoint
from crossmargin.engine.portfolio_arrays import GridRates, ScanRates, span_rates, tims_rates
from crossmargin.engine.revaluation import required_factors, revalue_market, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

_RATE_CODES: Final = frozenset({FactorKind.ZERO.value, FactorKind.SPREAD.value})

RiskArrays: TypeAlias = Mapping[InstrumentId, Mapping[OffsetGroupId, ByPoint]]
"""Profit [P] of one unit of an instrument at the points of each offset group that it depends on, base currency, not weighted."""


@dataclass(frozen=True, slots=True, eq=False)
class PointMoves:
    """[P] moves of one offset group's factors: log-returns of prices and volatilities, differences of rates and of what may be negative."""

    price: ByPoint
    volatility: ByPoint
    rate: ByPoint
    price_difference: ByPoint

    def of(self, kind: FactorKind) -> ByPoint:
        """Return [P] the moves of factors of a kind. Carry stands still: a future moves as its underlying does."""
        match kind:
            case FactorKind.SPOT | FactorKind.FX:
                return self.price
            case FactorKind.VOL:
                return self.volatility
            case FactorKind.ZERO | FactorKind.SPREAD:
                return self.rate
            case FactorKind.PRICE:
                return self.price_difference
            case _:
                return np.zeros_like(self.price)


@dataclass(frozen=True, slots=True, eq=False)
class MarketGrid:
    """The points of one grid, along axis P.

    Attributes:
        names: [P] what happens at each point. counted: [P] share of the profit or loss that counts.
        moves: Of each offset group. of_rates: Those that hold rates and spreads, and no price.
    """

    names: tuple[str, ...]
    counted: ByPoint
    moves: Mapping[OffsetGroupId, PointMoves]
    of_rates: frozenset[OffsetGroupId] = frozenset()

    def name_at(self, group_id: OffsetGroupId, point: int) -> str:
        """Return what happens at a point of one group: a group of rates has no price."""
        name = self.names[point]
        return name.replace("price", "rates") if group_id in self.of_rates else name


@lru_cache(maxsize=16)
def market_grid(methodology: Methodology, parameters: RiskParameters) -> MarketGrid:
    """Return the grid of a methodology; METHODOLOGY_UNAVAILABLE when the parameters say nothing of it."""
    grid = _span(span_rates(parameters)) if methodology is Methodology.SPAN_GRID else _tims(tims_rates(parameters))
    kinds_of = {group.group_id: {curve.partition(":")[0] for curve in group.curves} for group in parameters.offset_groups}
    return replace(grid, of_rates=frozenset(name for name, kinds in kinds_of.items() if kinds and kinds <= _RATE_CODES))


def risk_arrays_of(
    market: RevaluedMarket, names: Iterable[InstrumentId], methodology: Methodology, parameters: RiskParameters
) -> RiskArrays:
    """Return the risk arrays of some instruments of a market.

    They are worked out when somebody asks for them first, and kept as long as the market lives: every account that holds an instrument
    shares them.

    Raises:
        ValueError: For a market that neither was revalued from a snapshot nor says by which move it left one.
        DomainError: INVALID_SNAPSHOT for an instrument whose value is not finite at some point.
    """
    kept = _arrays_of.setdefault(market, {}).setdefault((methodology, parameters), {})
    wanted = set(names)
    if missing := sorted(wanted - kept.keys()):
        instruments = [market.instruments[market.row_of[name]] for name in missing]
        assets = {instrument.instrument_id: instrument for instrument in market.instruments if instrument.is_asset}
        grid = market_grid(methodology, parameters)

        readers = readers_by_group(instruments, assets, market, parameters)
        markets = {
            group_id: _revalued_at(
                market,
                list((assets | {member.instrument_id: member for member in members}).values()),
                points_of(group_id, grid, market.scenarios, parameters),
                parameters,
            )
            for group_id, members in readers.items()
        }
        kept.update(arrays_of(instruments, readers, markets))
    return {name: kept[name] for name in wanted}


def arrays_of(
    instruments: Sequence[Instrument],
    readers: Mapping[OffsetGroupId, Sequence[Instrument]],
    markets: Mapping[OffsetGroupId, RevaluedMarket],
) -> dict[InstrumentId, dict[OffsetGroupId, ByPoint]]:
    """Return the risk arrays of instruments; `readers` depend on each offset group, and `markets` have its points as their scenarios.

    Raises:
        DomainError: For an instrument that cannot be valued at some point, with the market's own reason.
    """
    arrays: dict[InstrumentId, dict[OffsetGroupId, ByPoint]] = {instrument.instrument_id: {} for instrument in instruments}
    for group_id, members in readers.items():
        market = markets[group_id]
        for member in members:
            if member.instrument_id in market.unavailable:
                raise market.unavailable[member.instrument_id]
            row = market.row_of[member.instrument_id]
            legs = slice(market.first_leg[row], market.first_leg[row + 1])
            arrays[member.instrument_id][group_id] = market.leg_pnl[legs].sum(axis=0)
    return arrays


def readers_by_group(
    instruments: Sequence[Instrument], assets: Mapping[InstrumentId, Instrument], market: RevaluedMarket, parameters: RiskParameters
) -> dict[OffsetGroupId, list[Instrument]]:
    """Return, for each offset group in the order of its name, the instruments whose value depends on one of its factors."""
    snapshot = _origin_of(market)
    group_of = {factor: parameters.group_of(factor).group_id for factor in market.scenarios.factors}
    readers: dict[OffsetGroupId, list[Instrument]] = {}
    for instrument in instruments:
        references = [assets[name] for name in {instrument.settlement, *instrument.references()}]
        read = required_factors([instrument, *references], snapshot)
        for group_id in {group_of[factor] for factor in read if factor in group_of}:
            readers.setdefault(group_id, []).append(instrument)
    return dict(sorted(readers.items()))


def _revalued_at(
    market: RevaluedMarket, instruments: Sequence[Instrument], points: ScenarioSet, parameters: RiskParameters
) -> RevaluedMarket:
    """Return instruments at the points of a grid that starts from where the market stands: at its snapshot, or after its move."""
    if market.snapshot is not None or market.departure is None:
        return revalue_market(instruments, _origin_of(market), points, parameters, kernels=market.kernels)
    departure = market.departure
    (moved,) = revalue_moved_market(instruments, departure.snapshot, departure.move[np.newaxis], points, parameters, kernels=market.kernels)
    return moved


def _origin_of(market: RevaluedMarket) -> MarketSnapshot:
    if market.snapshot is not None:
        return market.snapshot
    if market.departure is None:
        raise ValueError("a grid needs the snapshot that its market was revalued from, or the move by which it left one")
    return market.departure.snapshot


_Kept: TypeAlias = dict[tuple[Methodology, RiskParameters], dict[InstrumentId, dict[OffsetGroupId, ByPoint]]]
_arrays_of: Final[WeakKeyDictionary[RevaluedMarket, _Kept]] = WeakKeyDictionary()


def _span(rates: GridRates) -> MarketGrid:
    steps = span_grid.price_steps(rates.extreme_multiple)
    return MarketGrid(
        names=span_grid.POINT_NAMES,
        counted=span_grid.counted_shares(rates.cover_fraction),
        moves={name: _span_moves(scan, steps) for name, scan in rates.ranges.items()},
    )


def _span_moves(scan: ScanRates, steps: ByPoint) -> PointMoves:
    return PointMoves(
        price=np.log1p(scan.price_rise * steps),
        volatility=np.log1p(scan.volatility * span_grid.VOLATILITY_STEPS),
        rate=scan.rate * steps,
        price_difference=scan.price_difference * steps,
    )


def _tims(rates: GridRates) -> MarketGrid:
    return MarketGrid(
        names=tims_grid.POINT_NAMES,
        counted=np.ones(tims_grid.POINT_COUNT),
        moves={
            name: PointMoves(
                price=np.log1p(tims_grid.equidistant_moves(scan.price_fall, scan.price_rise)),
                volatility=np.zeros(tims_grid.POINT_COUNT),
                rate=tims_grid.equidistant_moves(-scan.rate, scan.rate),
                price_difference=tims_grid.equidistant_moves(-scan.price_difference, scan.price_difference),
            )
            for name, scan in rates.ranges.items()
        },
    )


def shocks_of(group_id: OffsetGroupId, grid: MarketGrid, scenarios: ScenarioSet, parameters: RiskParameters) -> ByScenarioFactor:
    """Return [P, F] the moves of all factors at the points of one group: those of the group, and nothing else."""
    shocks = np.zeros((len(grid.names), len(scenarios.factors)))
    for column, factor in enumerate(scenarios.factors):
        if parameters.group_of(factor).group_id == group_id:
            shocks[:, column] = grid.moves[group_id].of(factor.kind)
    return shocks


def points_of(group_id: OffsetGroupId, grid: MarketGrid, scenarios: ScenarioSet, parameters: RiskParameters) -> ScenarioSet:
    """Return the points as a scenario set; its weights mean nothing here."""
    count = len(grid.names)
    return replace(
        scenarios,
        shocks=shocks_of(group_id, grid, scenarios, parameters),
        weights=np.full(count, 1.0 / count),
        names=grid.names,
        ordinary_count=count,
    )
