"""The leader thins the history once a minute, and tries again soon when it could not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.memory.margin_history import MemoryMarginHistory
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin_history import HistoryTiers
from crossmargin.usecases.thin_history import ThinHistory

TIERS = HistoryTiers(timedelta(hours=1), timedelta(days=1), timedelta(days=30))


async def test_the_leader_thins_once_a_minute_and_after_a_failure_sooner(house):
    class History(MemoryMarginHistory):
        asked = 0

        async def thin(self, tiers):
            self.asked += 1
            if self.asked == 1:
                raise DomainError(Reason.SERVICE_BUSY, "no place")
            assert tiers == TIERS
            return await super().thin(tiers)

    history, leadership = History(house.database), MemoryLeadership(house.database)
    running = asyncio.ensure_future(ThinHistory(history, TIERS, leadership, house.clock).duty()())
    await house.clock.until_asleep()
    assert history.asked == 0, "somebody who does not lead thins nothing"
    await leadership.try_lead()
    await house.clock.tick()
    assert history.asked == 1
    house.clock.skip(timedelta(seconds=5))
    await house.clock.tick()
    assert history.asked == 2
    house.clock.skip(timedelta(seconds=30))
    await house.clock.tick()
    assert history.asked == 2
    house.clock.skip(timedelta(seconds=30))
    await house.clock.tick()
    assert history.asked == 3
    running.cancel()
