"""What house runs find: stored, and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.band_memory import BandState
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.margin_history import HistoryTiers, MarginPoint, StoredPoint
from crossmargin.domain.outlook import Trend
from crossmargin.domain.peg import PegStanding


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which points of an account to list, by when they were recorded: from `start` on and before `end`; None for no such bound."""

    start: datetime | None = None
    end: datetime | None = None


class MarginHistory(Protocol):
    """What house runs found, over time, and the band that each account was last held to be in."""

    async def record_run(self, points: Sequence[MarginPoint], *, epoch: int) -> None:
        """Store one house run, all of its points or none, and with them the bands of its accounts.

        The points share everything of their stamps but account, sequence and methodology. None is a run of no accounts, which is not kept.

        Raises:
            LeadershipLostError: Another process has become the leader since `epoch` began; nothing is stored.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; after the latter the run may be stored.
            ValueError: The points are not of one run.
        """
        ...

    async def bands(self) -> Mapping[AccountRef, BandState]:
        """Return where every account was held to be by the last run that margined it."""
        ...

    async def band_of(self, ref: AccountRef) -> BandState | None:
        """Return where an account was last held to be; None when no run has margined it, or there is no such account."""
        ...

    async def list_points(self, ref: AccountRef, chosen: HistoryFilter, *, after_run: int, limit: int) -> Sequence[StoredPoint]:
        """Return points of an account, oldest first, of runs after the number given; UNKNOWN_ACCOUNT."""
        ...

    async def trends(self, *, since: datetime) -> Mapping[AccountRef, Trend]:
        """Return what `trend_of` says of each account's points from a time on; accounts without an undisturbed pair are left out."""
        ...

    async def thin(self, tiers: HistoryTiers) -> int:
        """Take out the points of runs that are too many for their age, but those at which a band changed; return how many runs were."""
        ...


class MarginMetrics(Protocol):
    """Where the monitor publishes what it finds."""

    def lead_house(self) -> None:
        """Say that this process leads, whether or not it has found anything yet. Saying so again changes nothing."""
        ...

    def publish_house(
        self,
        results: Mapping[AccountRef, MarginResult],
        *,
        bands: Mapping[AccountRef, BandState],
        failed: Mapping[AccountRef, str],
        pegs: Mapping[InstrumentId, PegStanding],
        duration_s: float,
    ) -> None:
        """Publish one house run.

        Args:
            results: By account.
            bands: As they are remembered from this run on.
            failed: The reason's code of accounts that could not be margined.
            pegs: How the stablecoins of its market stand.
            duration_s: How long it took.
        """
        ...

    def house_failed(self, reason: str) -> None:
        """Count a house run that could not even begin, by the reason's code. What was published before stays, and ages."""
        ...

    def withdraw_house(self) -> None:
        """Stop publishing: this process no longer leads."""
        ...
