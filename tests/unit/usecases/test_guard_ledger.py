"""The leader guards the ledger at its times; the others rest."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import time, timedelta

import pytest

from crossmargin.adapters.memory.anchors import MemoryAnchorStore
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.memory.ledger_checks import MemoryLedgerChecks
from crossmargin.adapters.memory.projections import MemoryProjections
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases import check_ledger
from crossmargin.usecases.check_ledger import CheckLedger
from crossmargin.usecases.guard_ledger import GuardLedger
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor
from tests.contract.storage import CORE, a_deposit, memory_storage
from tests.ledger_rig import KEY, book
from tests.unit.usecases.house import SteppedClock


class Told:
    """What was told."""

    def __init__(self):
        self.anchors, self.failures, self.withdrawn = [], [], 0
        self.checks, self.failed_checks = [], []

    def anchor_taken(self, anchor):
        self.anchors.append(anchor.number)

    def anchor_failed(self, reason, details):
        self.failures.append((reason, *details))

    def ledger_checked(self, findings, *, entry_count, duration_s):
        self.checks.append(({name: len(found) for name, found in findings.items()}, entry_count))

    def check_failed(self, reason):
        self.failed_checks.append(reason)

    def withdraw_ledger(self):
        self.withdrawn += 1


class Guarded:
    """A guard over memory whose time the test moves."""

    def __init__(self):
        self.storage = memory_storage()
        self.leadership = MemoryLeadership(self.storage.database)
        self.told, self.clock = Told(), SteppedClock()
        self.take = TakeAnchor(MemoryAnchorStore(self.storage.database), KEY)
        database = self.storage.database
        self.check = CheckLedger(self.take.store, MemoryLedgerChecks(database), MemoryProjections(database), self.clock)
        guard = GuardLedger(self.leadership, self.clock, (self.told,), self.check, time(2), self.take, anchor_interval_s=60)
        self.check_duty, self.anchor_duty = guard.duties()

    async def pass_time(self, seconds):
        for _ in range(int(seconds / 0.25)):
            await self.clock.tick()


@contextlib.asynccontextmanager
async def running(guarded, duty):
    """The duty as a task, until the end."""
    await guarded.storage.open_accounts(CORE)
    task = asyncio.create_task(duty())
    await guarded.clock.until_asleep()
    yield guarded
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def guarded():
    guarded = Guarded()
    async with running(guarded, guarded.anchor_duty):
        yield guarded


@pytest.fixture
async def checked():
    guarded = Guarded()
    async with running(guarded, guarded.check_duty):
        yield guarded


async def test_who_does_not_lead_takes_no_anchors(guarded):
    await guarded.pass_time(5)
    assert guarded.told.anchors == []


async def test_the_leader_takes_one_at_once_and_then_one_a_minute(guarded):
    await guarded.leadership.try_lead()
    await guarded.pass_time(1)
    assert guarded.told.anchors == [1]
    await guarded.pass_time(118)
    assert guarded.told.anchors == [1, 2]
    await guarded.pass_time(2)
    assert guarded.told.anchors == [1, 2, 3]


async def test_who_leads_again_begins_anew(guarded):
    await guarded.leadership.try_lead()
    await guarded.pass_time(1)
    await guarded.leadership.close()
    await guarded.pass_time(1)
    other = TakeAnchor(guarded.take.store, KEY)
    assert (await other()).number == 2
    await guarded.leadership.try_lead()
    await guarded.pass_time(1)
    assert guarded.told.anchors == [1, 3]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AnchorRefusedError(["core is gone", "fund is gone"]), ("refused", "core is gone", "fund is gone")),
        (DomainError(Reason.STORAGE_UNAVAILABLE, "away"), ("storage", "STORAGE_UNAVAILABLE")),
        (OSError(28, "No space left on device"), ("file", "No space left on device")),
    ],
)
async def test_what_fails_is_told_and_tried_again_soon(guarded, monkeypatch, error, told):
    async def fail():
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(TakeAnchor, "__call__", lambda _: fail())
        await guarded.leadership.try_lead()
        await guarded.pass_time(6)
        assert guarded.told.failures == [told, told]
    await guarded.pass_time(5)
    assert guarded.told.anchors == [1]


def test_without_a_key_there_is_one_duty_less():
    guarded = Guarded()
    guard = GuardLedger(guarded.leadership, guarded.clock, (), guarded.check, time(2), None, anchor_interval_s=60)
    assert len(guard.duties()) == 1


async def test_the_leader_checks_at_once_and_then_at_its_hour(checked):
    """The clock starts at noon."""
    await book(checked.storage, a_deposit(CORE, 1))
    await checked.leadership.try_lead()
    await checked.pass_time(1)
    assert checked.told.checks == [({"entries": 0, "heads": 0, "position": 0, "reservation": 0}, 1)]
    checked.clock.skip(timedelta(hours=13, minutes=59))
    await checked.pass_time(1)
    assert len(checked.told.checks) == 1
    checked.clock.skip(timedelta(minutes=1))
    await checked.pass_time(1)
    assert len(checked.told.checks) == 2
    checked.clock.skip(timedelta(hours=23))
    await checked.pass_time(1)
    assert len(checked.told.checks) == 2
    checked.clock.skip(timedelta(hours=1))
    await checked.pass_time(1)
    assert len(checked.told.checks) == 3


async def test_a_check_counts_what_it_finds(checked):
    await book(checked.storage, a_deposit(CORE, 1))
    checked.storage.database.contents.positions[CORE] = {}
    await checked.leadership.try_lead()
    await checked.pass_time(1)
    assert checked.told.checks == [({"entries": 0, "heads": 0, "position": 1, "reservation": 0}, 1)]


async def test_entries_that_an_anchor_saw_a_day_before_are_not_summed_again(checked, monkeypatch):
    await book(checked.storage, a_deposit(CORE, 1), a_deposit(CORE, 2))
    await checked.take()
    await book(checked.storage, a_deposit(CORE, 3))
    assert (await checked.check()).entry_count == 3
    monkeypatch.setattr(check_ledger, "LOOK_BACK", timedelta(0))
    assert (await checked.check()).entry_count == 1


async def test_a_check_that_the_storage_does_not_answer_is_told_and_tried_again_soon(checked, monkeypatch):
    async def down(_):
        raise DomainError(Reason.STORAGE_UNAVAILABLE, "away")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryLedgerChecks, "unbalanced_entries", lambda self, after: down(after))
        await checked.leadership.try_lead()
        await checked.pass_time(6)
    assert checked.told.failed_checks == ["STORAGE_UNAVAILABLE"] * 2
    await checked.pass_time(6)
    assert len(checked.told.checks) == 1


async def test_who_leads_no_more_publishes_nothing(checked):
    await checked.pass_time(1)
    assert checked.told.withdrawn
    assert checked.told.checks == []
