"""The leader guards the ledger at its times; the others rest."""

from __future__ import annotations

import asyncio

import pytest

from crossmargin.adapters.memory.anchors import MemoryAnchorStore
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.guard_ledger import GuardLedger
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor
from tests.contract.storage import CORE, memory_storage
from tests.ledger_rig import KEY
from tests.unit.usecases.house import SteppedClock


class Told:
    """What was told."""

    def __init__(self):
        self.anchors, self.failures, self.withdrawn = [], [], 0

    def anchor_taken(self, anchor):
        self.anchors.append(anchor.number)

    def anchor_failed(self, reason, details):
        self.failures.append((reason, *details))

    def withdraw_ledger(self):
        self.withdrawn += 1


class Guarded:
    """A guard over memory whose time the test moves."""

    def __init__(self):
        self.storage = memory_storage()
        self.leadership = MemoryLeadership(self.storage.database)
        self.told, self.clock = Told(), SteppedClock()
        self.take = TakeAnchor(MemoryAnchorStore(self.storage.database), KEY)
        self.guard = GuardLedger(self.leadership, (self.told,), self.clock, self.take, anchor_interval_s=60)

    async def pass_time(self, seconds):
        for _ in range(int(seconds / 0.25)):
            await self.clock.tick()


@pytest.fixture
async def guarded():
    guarded = Guarded()
    await guarded.storage.open_accounts(CORE)
    task = asyncio.create_task(guarded.guard())
    await guarded.clock.until_asleep()
    yield guarded
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_does_not_lead_takes_no_anchors(guarded):
    await guarded.pass_time(5)
    assert guarded.told.anchors == []
    assert guarded.told.withdrawn


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
    assert guarded.told.withdrawn
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
        patched.setattr(guarded.guard, "take_anchor", Failing(fail))
        await guarded.leadership.try_lead()
        await guarded.pass_time(6)
        assert guarded.told.failures == [told, told]
    await guarded.pass_time(5)
    assert guarded.told.anchors == [1]


class Failing:
    """A use case that fails."""

    def __init__(self, fail):
        self.fail = fail

    async def __call__(self):
        return await self.fail()

    def forget(self):
        pass
