"""Thin the history of margins as it grows old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.domain.margin_history import HistoryTiers
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.runtime import Clock

INTERVAL: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ThinHistory:
    """Of the process that leads, once a minute. It takes out nothing that it would not take out again, so two at once do no harm."""

    history: MarginHistory
    tiers: HistoryTiers
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._thin, _next_time, _nothing)

    async def _thin(self) -> bool:
        try:
            await self.history.thin(self.tiers)
        except DomainError:
            return False
        return True


def _next_time(done: datetime) -> datetime:
    return done + INTERVAL


def _nothing() -> None:
    pass
