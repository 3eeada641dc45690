"""Who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crossmargin.domain.audit_event import AuditEvent


@dataclass(frozen=True, slots=True)
class StoredAuditEvent:
    """An event of the audit trail, and its number there: later ones have greater numbers."""

    number: int
    event: AuditEvent


class AuditTrail(Protocol):
    """Who was turned away, and who looked at what is not his own. Events are only ever added."""

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events, all or none, and return once they are durable.

        Raises:
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; in the latter case they may have been stored.
        """
        ...

    async def list_events(self, *, after: int, limit: int) -> Sequence[StoredAuditEvent]:
        """Return events in the order of their numbers, those after a number."""
        ...
