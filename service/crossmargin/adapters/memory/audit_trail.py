"""The audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.ports.audit_event import StoredAuditEvent


class MemoryAuditTrail:
    """See `AuditTrail`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._events = database.audit_events

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events."""
        self._events.extend(events)

    async def list_events(self, *, after: int, limit: int) -> Sequence[StoredAuditEvent]:
        """Return events in the order of their numbers, those after a number."""
        numbered = enumerate(self._events[after : after + limit], after + 1)
        return [StoredAuditEvent(number, event) for number, event in numbered]
