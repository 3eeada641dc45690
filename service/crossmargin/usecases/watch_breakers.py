"""Watch every house run for too much happening at once, and trip the breakers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from crossmargin.domain.breaker import WINDOW, BandEntry, entries_between, trips
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_quality_parameters import BreakerLimits
from crossmargin.usecases.ports.breaker import BreakerReports, BreakerStore
from crossmargin.usecases.ports.runtime import Clock


@dataclass(slots=True)
class WatchBreakers:
    """Of the monitor that leads. The first run after it begins to lead is what later ones are compared with: a restart trips nothing."""

    breakers: BreakerStore
    reports: BreakerReports
    clock: Clock
    _bands: dict[AccountRef, Band] = field(default_factory=dict)
    _entries: list[BandEntry] = field(default_factory=list)

    @property
    def bands(self) -> Mapping[AccountRef, Band]:
        """In which band each account was when it was last looked at: of those that have left it for a worse one results are explained."""
        return self._bands

    async def __call__(self, results: Collection[MarginResult], limits: BreakerLimits) -> None:
        """Count who has entered a band since the run before, and trip what is over its limit."""
        now = self.clock.now()
        self._entries = [entry for entry in self._entries if now - entry.at < WINDOW] + entries_between(self._bands, results, now)
        # An account that could not be margined this time keeps the band it had.
        self._bands |= {result.stamp.account: result.band for result in results}
        for kind, cause in trips(self._entries, limits).items():
            if await self.breakers.trip(kind, at=now, cause=cause):
                self.reports.breaker_tripped(kind, cause)
        self.reports.breakers_seen(await self.breakers.list_breakers())

    def forget(self) -> None:
        """Begin anew: another process has led meanwhile."""
        self._bands.clear()
        self._entries.clear()
