"""Whether this replica should be sent calls: it serves, and what it stands on answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from crossmargin.domain.errors import DomainError

INTERVAL_S: Final = 1.0


class Readiness:
    """Asks what the service stands on once a second, and tells whoever routes calls.

    Args:
        ask: Touches the database; raises DomainError when it does not answer.
        tell: Called with True or False after every answer.

    Attributes:
        why_not: A sentence while the replica is not ready, otherwise None. Reading it never blocks.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], tell: Callable[[bool], None]) -> None:
        self._ask = ask
        self._tell = tell
        self.why_not: str | None = "starting"

    async def watch(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            try:
                await self._ask()
                self.why_not = None
            except DomainError as error:
                self.why_not = error.message
            self._tell(self.why_not is None)
            await asyncio.sleep(INTERVAL_S)
