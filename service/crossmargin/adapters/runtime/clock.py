"""Time as the machine tells it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """The wall clock in UTC, and the event loop's own timer for waiting."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)
