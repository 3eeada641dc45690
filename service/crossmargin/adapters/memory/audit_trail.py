"""The audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.caller import admitted_scope
from crossmargin.usecases.ports.audit_event import AuditFilter, StoredAuditEvent
from crossmargin.usecases.ports.page import Page


class MemoryAuditTrail:
    """See `AuditTrail`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._events = database.audit_events

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events."""
        self._events.extend(events)

    async def list_events(self, chosen: AuditFilter, page: Page) -> Sequence[StoredAuditEvent]:
        """Return events, newest first."""
        if not admitted_scope().is_whole_house:
            return []
        newest = len(self._events) if page.after is None else int(page.after) - 1
        numbered = ((number, self._events[number - 1]) for number in range(newest, 0, -1))
        return [StoredAuditEvent(number, event) for number, event in numbered if _is_chosen(event, chosen)][: page.size]


def _is_chosen(event: AuditEvent, chosen: AuditFilter) -> bool:
    return (
        chosen.principal in {None, event.principal}
        and (chosen.client_id is None or chosen.client_id in event.clients)
        and chosen.kind in {None, event.kind}
        and (chosen.start is None or event.at >= chosen.start)
        and (chosen.end is None or event.at < chosen.end)
    )
