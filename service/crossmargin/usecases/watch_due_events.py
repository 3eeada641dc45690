"""Tell how many lifecycle events are due and not booked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.list_due_events import ListDueEvents
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.lifecycle_due import DueEventReports
from crossmargin.usecases.ports.runtime import Clock

INTERVAL: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class WatchDueEvents:
    """Of the process that leads, because the figures are those of the whole house."""

    list_due_events: ListDueEvents
    reports: DueEventReports
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._look, _next_look, self.reports.withdraw_due_events)

    async def _look(self) -> bool:
        try:
            due = await self.list_due_events()
        except DomainError:
            # What was true a while ago may be no more, and a gap says that nobody knows.
            self.reports.withdraw_due_events()
            return False
        self.reports.due_events_seen([event.due for event in due])
        return True


def _next_look(done: datetime) -> datetime:
    return done + INTERVAL
