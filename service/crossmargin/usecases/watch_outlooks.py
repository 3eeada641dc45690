"""Tell where the utilization of every account goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.outlook import OutlookReports
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.project_utilization import ProjectUtilization

INTERVAL: Final = timedelta(minutes=5)
"""A horizon of a day moves little in five minutes, and every account is margined once more for it."""


@dataclass(frozen=True, slots=True)
class WatchOutlooks:
    """Of the process that leads, because the figures are those of the whole house."""

    project: ProjectUtilization
    reports: OutlookReports
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._look, _next_look, self.reports.withdraw_outlooks)

    async def _look(self) -> bool:
        try:
            outlooks = await self.project.every()
        except DomainError:
            # What was true a while ago may be no more, and a gap says that nobody knows.
            self.reports.withdraw_outlooks()
            return False
        self.reports.outlooks_seen(outlooks)
        return bool(outlooks)  # as long as there is no account, one may come at any moment


def _next_look(done: datetime) -> datetime:
    return done + INTERVAL
