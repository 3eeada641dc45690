"""Whether this replica should be sent calls: it serves, what it stands on answers, and nobody has told it to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from crossmargin.domain.errors import DomainError

INTERVAL_S: Final = 1.0
STOPPING: Final = "stopping"


class Readiness:
    """Asks what the service stands on once a second, and tells whoever routes calls.

    Args:
        ask: Touches the database; raises DomainError when it does not answer, or one of `refusals` when it is not fit for this release.
        tell: Called with True or False after every answer.
        refusals: Errors that say why this replica cannot serve.

    Attributes:
        why_not: A sentence while the replica is not ready, otherwise None. Reading it never blocks.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[object]], tell: Callable[[bool], None], *, refusals: tuple[type[Exception], ...] = ()
    ) -> None:
        self._ask = ask
        self._tell = tell
        self._refusals = refusals
        self._is_stopping = False
        self.why_not: str | None = "starting"

    async def watch(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            self._answered(await self._look())
            await asyncio.sleep(INTERVAL_S)

    def stop(self) -> None:
        """Be ready no more, whatever is answered from now on: the replica is about to drain."""
        self._is_stopping = True
        self._answered(STOPPING)

    async def _look(self) -> str | None:
        try:
            await self._ask()
        except DomainError as error:
            return error.message
        except self._refusals as error:
            return str(error)
        return None

    def _answered(self, why_not: str | None) -> None:
        # An answer that was under way when the replica was told to stop must not send it calls again.
        self.why_not = STOPPING if self._is_stopping else why_not
        self._tell(self.why_not is None)
