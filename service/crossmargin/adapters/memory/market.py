"""Market snapshots and the history of risk factors."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.usecases.storage_errors import no_market_snapshot, unknown_snapshot


class MemoryMarketStore:
    """See `MarketStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def latest_snapshot(self) -> MarketSnapshot:
        """Return the snapshot with the latest as_of; NO_MARKET_SNAPSHOT if there is none."""
        snapshots = list(self._database.contents.snapshots.values())
        if not snapshots:
            raise no_market_snapshot()
        # Of several at one moment the one stored last counts, and max() keeps the first it meets.
        return max(reversed(snapshots), key=lambda snapshot: snapshot.as_of)

    async def latest_snapshot_id(self) -> SnapshotId | None:
        """Return the id of the snapshot with the latest as_of; None if there is none."""
        return (await self.latest_snapshot()).snapshot_id if self._database.contents.snapshots else None

    async def get_snapshot(self, snapshot_id: SnapshotId) -> MarketSnapshot:
        """Return a snapshot; UNKNOWN_SNAPSHOT if there is none."""
        if snapshot_id not in self._database.contents.snapshots:
            raise unknown_snapshot(snapshot_id)
        return self._database.contents.snapshots[snapshot_id]

    async def import_history(self, history: FactorHistory) -> int:
        """Store levels, replacing those of the same factor and date; return how many levels were stored."""
        stored = 0
        for factor, column in history.levels.items():
            given = {day: level for day, level in zip(history.dates, column, strict=True) if level is not None}
            if given:
                self._database.history.setdefault(factor, {}).update(given)
            stored += len(given)
        self._database.history_version += 1
        return stored

    async def load_history(self, factors: Sequence[FactorId] | None = None) -> FactorHistory:
        """Return the history of some factors, or of all; factors without any are absent."""
        history = self._database.history
        wanted = history if factors is None else {factor: history[factor] for factor in factors if factor in history}
        dates = tuple(sorted({day for column in wanted.values() for day in column}))
        return FactorHistory(dates, {factor: tuple(map(column.get, dates)) for factor, column in wanted.items()})

    async def history_version(self) -> int:
        """Return a number that grows with every import."""
        return self._database.history_version
