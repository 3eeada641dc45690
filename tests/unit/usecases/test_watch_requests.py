"""The leader tells what stands of requests; the others tell nothing."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.memory.metrics import MemoryRequestReports
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.halt import Halt
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.usecases.watch_requests import INTERVAL, WatchRequests
from tests.contract.storage import CORE, a_request, an_order, decide_reservation, memory_storage
from tests.unit.usecases.house import SteppedClock


@pytest.fixture
async def watched():
    storage, reports, clock = memory_storage(), MemoryRequestReports(), SteppedClock()
    await storage.open_accounts(CORE)
    leadership = MemoryLeadership(storage.database)
    task = asyncio.create_task(WatchRequests(storage.books, reports, leadership, clock).duty()())
    await clock.until_asleep()

    async def pass_time(duration=INTERVAL + timedelta(seconds=1)):
        for _ in range(int(duration.total_seconds() * 4)):
            await clock.tick()

    yield storage, reports, leadership, pass_time
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_only_the_leader_tells_and_what_is_over_is_told_no_more(watched):
    storage, reports, leadership, pass_time = watched
    await pass_time()
    assert reports.reservations is None
    await storage.writer.decide(a_request("k1", CORE, is_fact=False), decide_reservation(an_order()))
    await storage.create(Halt(CORE.client_id, is_halted=True, reason="why", changed_by="ann"))
    await leadership.try_lead()
    await pass_time(timedelta(seconds=1))
    assert reports.reservations == {ReservationStatus.ACTIVE: 1, ReservationStatus.SUSPECT: 0}
    assert [halt.scope for halt in reports.halts] == ["clients/alpha"]
    await storage.create(Halt(CORE.client_id, is_halted=False, reason="over", changed_by="ann"))
    storage.pass_time(timedelta(seconds=61))
    await pass_time()
    assert reports.reservations == {ReservationStatus.ACTIVE: 0, ReservationStatus.SUSPECT: 1}
    assert list(reports.halts) == []


async def test_storage_that_is_away_leaves_a_gap_and_is_asked_again(watched, monkeypatch):
    storage, reports, leadership, pass_time = watched
    await leadership.try_lead()
    await pass_time(timedelta(seconds=1))
    assert reports.reservations is not None

    async def away(_):
        raise DomainError(Reason.STORAGE_UNAVAILABLE, "away")

    with monkeypatch.context() as patched:
        patched.setattr(type(storage.books), "halts_in_force", away)
        await pass_time()
        assert reports.reservations is None
    await pass_time(timedelta(seconds=6))
    assert reports.reservations is not None
