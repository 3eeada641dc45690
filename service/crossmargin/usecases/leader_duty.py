"""Something that one process does for all, at its times: whoever leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.runtime import Clock

POLL_INTERVAL_S: Final = 0.25
RETRY_AFTER: Final = timedelta(seconds=5)


@dataclass(slots=True)
class LeaderDuty:
    """Runs for ever. Works at once when this process begins to lead, and then whenever it is due.

    Attributes:
        work: Does it, and returns False when it is to be tried again soon.
        due_after: When it is due again, after it was done at a moment.
        rest: Called while this process does not lead.
    """

    leadership: Leadership
    clock: Clock
    work: Callable[[], Awaitable[bool]]
    due_after: Callable[[datetime], datetime]
    rest: Callable[[], None]
    _due: datetime | None = None

    async def __call__(self) -> None:
        """Poll, and do what is due, until cancelled."""
        while True:
            if self.leadership.leads:
                await self._work_if_due()
            else:
                self._due = None
                self.rest()
            await self.clock.sleep(POLL_INTERVAL_S)

    async def _work_if_due(self) -> None:
        now = self.clock.now()
        if self._due is None or now >= self._due:
            is_done = await self.work()
            self._due = self.due_after(now) if is_done else min(now + RETRY_AFTER, self.due_after(now))
