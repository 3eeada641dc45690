"""Keep the audit trail: everything into the log at once, and into the storage in batches that no call waits for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.ports.audit_event import AuditTrail
from crossmargin.usecases.ports.runtime import Clock

LARGEST_BATCH: Final = 500
MOST_WAITING: Final = 20_000
RETRY_S: Final = 1.0


@dataclass(slots=True)
class KeepAudit:
    """Runs for ever beside the calls, on every replica.

    While the storage is away events wait, so many that a flood of denials cannot fill the memory. Then denials are in the log only, and a
    privileged call, which must not go unseen, is refused.

    Attributes:
        write_log: Told of every event at once.
        dropped_count: Denials that are in the log only.
    """

    trail: AuditTrail
    write_log: Callable[[AuditEvent], None]
    clock: Clock
    most_waiting: int = MOST_WAITING
    dropped_count: int = 0
    _waiting: deque[AuditEvent] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, event: AuditEvent) -> None:
        """Take an event; it is in the storage soon.

        Raises:
            DomainError: SERVICE_BUSY for a privileged call that could not be kept; it must not be answered.
        """
        self.write_log(event)
        if len(self._waiting) < self.most_waiting:
            self._waiting.append(event)
            self._came.set()
        elif event.kind is AuditKind.PRIVILEGED_CALL:
            raise DomainError(Reason.SERVICE_BUSY, "the audit trail cannot take this call down at the moment; try again later")
        else:
            self.dropped_count += 1

    async def __call__(self) -> None:
        """Store what comes until cancelled; storage that is away is tried again."""
        while True:
            await self._came.wait()
            try:
                await self.flush()
            except DomainError:
                await self.clock.sleep(RETRY_S)

    async def flush(self) -> None:
        """Store everything that waits.

        Raises:
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; what is not stored goes on waiting.
        """
        while self._waiting:
            batch = [self._waiting[number] for number in range(min(len(self._waiting), LARGEST_BATCH))]
            await self.trail.append(batch)
            for _ in batch:
                self._waiting.popleft()
        self._came.clear()
