"""Follow what happens to the margin calls of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from crossmargin.domain.call_life import CallNotice
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.runtime import Clock

POLL_INTERVAL_S: Final = 0.25
_BATCH_SIZE: Final = 256


@dataclass(frozen=True, slots=True)
class WatchCallNotices:
    """Yields every notice of an account in order, without gap or repetition: notices are numbered under the account's lock."""

    calls: CallStore
    clock: Clock

    async def __call__(self, account: AccountRef, *, after_sequence: int) -> AsyncIterator[CallNotice]:
        """Yield notices after a number without end; UNKNOWN_ACCOUNT."""
        told = after_sequence
        while True:
            found = await self.calls.list_notices(account, after_sequence=told, limit=_BATCH_SIZE)
            for notice in found:
                told = notice.sequence
                yield notice
            if not found:
                await self.clock.sleep(POLL_INTERVAL_S)
