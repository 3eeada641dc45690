"""Tell what liquidations are open, and take the steps that only the clock asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.leadership import Leadership, LeadershipLostError
from crossmargin.usecases.ports.liquidation import LiquidationReports
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.review_liquidations import ReviewLiquidations

INTERVAL: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class WatchLiquidations:
    """Of the process that leads."""

    review: ReviewLiquidations
    reports: LiquidationReports
    leadership: Leadership
    clock: Clock

    def duty(self) -> LeaderDuty:
        """Return what is to be run."""
        return LeaderDuty(self.leadership, self.clock, self._look, _next_look, self.reports.withdraw_liquidations)

    async def _look(self) -> bool:
        try:
            self.reports.liquidations_seen(await self.review.look_at_clock(epoch=self.leadership.epoch))
        except (DomainError, LeadershipLostError):
            # A gap says that nobody knows; what was true a while ago may be no more.
            self.reports.withdraw_liquidations()
            return False
        return True


def _next_look(done: datetime) -> datetime:
    return done + INTERVAL
