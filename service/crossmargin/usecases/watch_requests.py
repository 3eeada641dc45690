"""Tell what stands of requests: reservations that are open, those that nobody has ended, and halts in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.open_orders import RequestReports
from crossmargin.usecases.ports.runtime import Clock

INTERVAL: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class WatchRequests:
    """Of the process that leads, because the figures are those of the whole house."""

    books: BookReader
    reports: RequestReports
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._look, _next_look, self.reports.withdraw_requests)

    async def _look(self) -> bool:
        try:
            reservations, halts = await self.books.count_open_reservations(), await self.books.halts_in_force()
        except DomainError:
            # What was true a while ago may be no more, and a gap says that nobody knows.
            self.reports.withdraw_requests()
            return False
        self.reports.requests_seen(reservations, halts)
        return True


def _next_look(done: datetime) -> datetime:
    return done + INTERVAL
