"""The latest snapshot, revalued once and shared by everyone who asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from crossmargin.domain.identifiers import RiskParameterSetId, SnapshotId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.ports import ComputePool, InstrumentReader, MarketStore, Page, ParameterStore

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class MarketView:
    """A revalued market, with the snapshot and the parameters it was revalued from."""

    snapshot: MarketSnapshot
    market: RevaluedMarket
    parameters: RiskParameters


@dataclass(frozen=True, slots=True)
class _Version:
    snapshot_id: SnapshotId | None
    parameter_set_id: RiskParameterSetId | None
    instruments: int
    history: int


@dataclass(slots=True)
class CurrentMarket:
    """Keeps the matrix of the latest snapshot, and makes it again when the snapshot or anything it is made of has changed.

    Whether it has changed is asked of the database every time, so a view is never older than the question. One revaluation runs at a
    time; whoever asks meanwhile waits for it. The scenario set is kept apart, because it outlives snapshots.
    """

    instruments: InstrumentReader
    market: MarketStore
    parameters: ParameterStore
    compute: ComputePool
    _view: MarketView | None = None
    _version: _Version | None = None
    _scenarios: dict[tuple[object, ...], ScenarioSet] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> MarketView:
        """Return the revalued market; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS or INSUFFICIENT_HISTORY when there is none to have."""
        version = await self._current_version()
        if self._view is not None and version == self._version:
            return self._view
        async with self._lock:
            version = await self._current_version()
            if self._view is None or version != self._version:
                self._view = await self._revalue(version)
                self._version = version
            return self._view

    async def _current_version(self) -> _Version:
        return _Version(
            await self.market.latest_snapshot_id(),
            await self.parameters.active_parameter_set_id(),
            await self.instruments.instruments_version(),
            await self.market.history_version(),
        )

    async def _revalue(self, version: _Version) -> MarketView:
        snapshot = await self.market.latest_snapshot()
        parameters = await self.parameters.active_parameters()
        instruments = await self._all_instruments()
        factors = required_factors(instruments, snapshot)
        key = (version.parameter_set_id, version.history, factors)
        scenarios = self._scenarios.get(key)
        if scenarios is None:
            history = await self.market.load_history()
            scenarios = await self.compute.run(lambda: build_scenario_set(history, factors, parameters))
            self._scenarios = {key: scenarios}
        return MarketView(snapshot, await self._revalue_with(instruments, snapshot, scenarios, parameters), parameters)

    async def _revalue_with(
        self, instruments: list[Instrument], snapshot: MarketSnapshot, scenarios: ScenarioSet, parameters: RiskParameters
    ) -> RevaluedMarket:
        return await self.compute.run(lambda: revalue_market(instruments, snapshot, scenarios, parameters))

    async def _all_instruments(self) -> list[Instrument]:
        found: list[Instrument] = []
        while True:
            page = await self.instruments.list_instruments(Page(_PAGE_SIZE, found[-1].instrument_id if found else None))
            found += page
            if len(page) < _PAGE_SIZE:
                return found
