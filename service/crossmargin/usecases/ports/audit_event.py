"""Who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.identifiers import ClientId
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class StoredAuditEvent:
    """An event of the audit trail, and its number there: later ones have greater numbers."""

    number: int
    event: AuditEvent


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list; what is None chooses all. From `start` on, and before `end`."""

    principal: str | None = None
    client_id: ClientId | None = None
    kind: AuditKind | None = None
    start: datetime | None = None
    end: datetime | None = None


class AuditTrail(Protocol):
    """Who was turned away, and who looked at what is not his own. Events are only ever added."""

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events, all or none, and return once they are durable.

        Raises:
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; in the latter case they may have been stored.
        """
        ...

    async def list_events(self, chosen: AuditFilter, page: Page) -> Sequence[StoredAuditEvent]:
        """Return events, newest first, to work that is let in to the whole house; `page.after` is the number of the last one seen."""
        ...
