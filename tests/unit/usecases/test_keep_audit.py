"""Every event is logged at once and stored soon; nothing privileged goes unseen, and no flood fills the memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from crossmargin.adapters.memory.audit_trail import MemoryAuditTrail
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.keep_audit import LARGEST_BATCH, KeepAudit
from crossmargin.usecases.ports.audit_event import AuditFilter
from crossmargin.usecases.ports.page import Page
from tests.builders import AS_OF
from tests.unit.usecases.house import SteppedClock

DENIED = AuditEvent(AS_OF, AuditKind.DENIED, "", frozenset(), "MarginService/GetMargin", reason="no token")
LOOKED = replace(DENIED, kind=AuditKind.PRIVILEGED_CALL, principal="alice", reason="")


class AwayTrail(MemoryAuditTrail):
    """Storage that can be away."""

    is_away = False

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.came = asyncio.Event()

    async def append(self, events):
        if self.is_away:
            raise DomainError(Reason.STORAGE_UNAVAILABLE, "away")
        await super().append(events)
        self.came.set()


@pytest.fixture
def trail():
    return AwayTrail(MemoryDatabase())


async def stored(trail) -> list[AuditEvent]:
    found = await trail.list_events(AuditFilter(), Page(10_000))
    return [one.event for one in reversed(found)]


async def test_events_are_logged_at_once_and_stored_in_their_order(trail):
    logged: list[AuditEvent] = []
    keep = KeepAudit(trail, logged.append, SteppedClock())
    events = [replace(DENIED, method=f"m{number}") for number in range(LARGEST_BATCH + 1)]
    for event in events:
        keep.record(event)
    assert logged == events
    assert await stored(trail) == []
    await keep.flush()
    assert await stored(trail) == events
    await keep.flush()
    assert await stored(trail) == events


async def test_what_cannot_be_stored_waits_until_it_can(trail):
    clock = SteppedClock()
    keep = KeepAudit(trail, lambda _: None, clock)
    trail.is_away = True
    running = asyncio.create_task(keep())
    keep.record(DENIED)
    keep.record(LOOKED)
    await clock.until_asleep()
    assert await stored(trail) == []
    trail.is_away = False
    await clock.wake()
    await asyncio.wait_for(trail.came.wait(), 20)
    assert await stored(trail) == [DENIED, LOOKED]
    running.cancel()


async def test_when_no_more_can_wait_a_denial_is_in_the_log_only_and_a_privileged_call_is_refused(trail):
    logged: list[AuditEvent] = []
    keep = KeepAudit(trail, logged.append, SteppedClock(), most_waiting=1)
    keep.record(DENIED)
    keep.record(DENIED)
    assert (keep.dropped_count, len(logged)) == (1, 2)
    with pytest.raises(DomainError) as refused:
        keep.record(LOOKED)
    assert refused.value.reason is Reason.SERVICE_BUSY
    await keep.flush()
    keep.record(LOOKED)
    await keep.flush()
    assert await stored(trail) == [DENIED, LOOKED]
