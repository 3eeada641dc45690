"""Tell what margin calls are open, and escalate those whose time has come while nothing moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.leadership import Leadership, LeadershipLostError
from crossmargin.usecases.ports.margin_call import CallFilter, CallReports, CallStore
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.review_calls import ReviewCalls

INTERVAL: Final = timedelta(seconds=5)
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class WatchCalls:
    """Of the process that leads."""

    review: ReviewCalls
    calls: CallStore
    reports: CallReports
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._look, _next_look, self.reports.withdraw_calls)

    async def _look(self) -> bool:
        try:
            await self.review.escalate_overdue(epoch=self.leadership.epoch)
            self.reports.calls_seen(await self.calls.list_calls(CallFilter(only_open=True), Page(_MOST)))
        except (DomainError, LeadershipLostError):
            # A gap says that nobody knows; what was true a while ago may be no more.
            self.reports.withdraw_calls()
            return False
        return True


def _next_look(done: datetime) -> datetime:
    return done + INTERVAL
