"""What house runs found, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin_history import HistoryTiers, MarginPoint, StoredPoint, check_one_run, runs_to_thin
from crossmargin.domain.outlook import Trend, trend_of
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.ports.margin import HistoryFilter
from crossmargin.usecases.storage_errors import unknown_account


class MemoryMarginHistory:
    """See `MarginHistory`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._runs = 0

    async def record_run(self, points: Sequence[MarginPoint], *, epoch: int) -> None:
        """Store one house run, and with it the bands of its accounts."""
        check_one_run(points)
        check_epoch(self._database, epoch)
        self._runs += 1
        now = self._database.now()
        for point in points:
            account = point.stamp.account
            known = self._database.bands.get(account)
            since = known.since if known is not None and known.band is point.band else now
            self._database.bands[account] = BandState(point.band, point.is_immediate, since)
            self._database.margin_points.setdefault(account, {})[self._runs] = StoredPoint(self._runs, now, point)

    async def bands(self) -> Mapping[AccountRef, BandState]:
        """Return where every account was last held to be."""
        return dict(self._database.bands)

    async def band_of(self, ref: AccountRef) -> BandState | None:
        """Return where an account was last held to be."""
        return self._database.bands.get(ref)

    async def list_points(self, ref: AccountRef, chosen: HistoryFilter, *, after_run: int, limit: int) -> Sequence[StoredPoint]:
        """Return points of an account, oldest first."""
        if ref not in self._database.contents.accounts:
            raise unknown_account(ref)
        found = [
            stored
            for run, stored in sorted(self._database.margin_points.get(ref, {}).items())
            if run > after_run
            and (chosen.start is None or stored.recorded_at >= chosen.start)
            and (chosen.end is None or stored.recorded_at < chosen.end)
        ]
        return found[:limit]

    async def trends(self, *, since: datetime) -> Mapping[AccountRef, Trend]:
        """Return how far each account came by itself."""
        found = {}
        for ref, points in self._database.margin_points.items():
            trend = trend_of([stored for _, stored in sorted(points.items()) if stored.recorded_at >= since])
            if trend.observed:
                found[ref] = trend
        return found

    async def thin(self, tiers: HistoryTiers) -> int:
        """Take out the points of runs that are too many for their age."""
        every = self._database.margin_points
        runs = {stored.run: stored.recorded_at for points in every.values() for stored in points.values() if not stored.point.is_change}
        doomed = runs_to_thin(runs.items(), self._database.now(), tiers)
        for points in every.values():
            for run in doomed:
                if run in points and not points[run].point.is_change:
                    del points[run]
        return len(doomed)


def check_epoch(database: MemoryDatabase, epoch: int) -> None:
    """Return if no lead is later than `epoch`; LeadershipLostError otherwise."""
    if epoch != database.epoch:
        raise LeadershipLostError(f"lead {epoch} is over: {database.epoch} is the latest")
