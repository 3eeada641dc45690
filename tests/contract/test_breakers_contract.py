"""What the store of breakers promises."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from crossmargin.domain.breaker import Breaker, BreakerKind
from tests.builders import AS_OF

LATER = AS_OF + timedelta(minutes=5)


async def test_every_breaker_is_there_from_the_start_and_none_is_tripped(storage):
    assert list(await storage.breakers.list_breakers()) == [Breaker(kind) for kind in BreakerKind]


async def test_a_breaker_trips_once_and_remembers_what_it_saw_first(storage):
    assert await storage.breakers.trip(BreakerKind.CALLS, at=AS_OF, cause="21 accounts")
    assert not await storage.breakers.trip(BreakerKind.CALLS, at=LATER, cause="22 accounts")
    calls, liquidations, _ = await storage.breakers.list_breakers()
    assert calls == Breaker(BreakerKind.CALLS, is_tripped=True, tripped_at=AS_OF, cause="21 accounts")
    assert not liquidations.is_tripped


async def test_a_reset_says_by_whom_and_leaves_what_it_tripped_for(storage):
    assert not await storage.breakers.reset(BreakerKind.CALLS, at=AS_OF, by="alice", note="nothing")
    await storage.breakers.trip(BreakerKind.CALLS, at=AS_OF, cause="21 accounts")
    assert await storage.breakers.reset(BreakerKind.CALLS, at=LATER, by="alice", note="a bad feed")
    calls = (await storage.breakers.list_breakers())[0]
    assert calls == Breaker(BreakerKind.CALLS, False, AS_OF, "21 accounts", LATER, "alice", "a bad feed")
    assert await storage.breakers.trip(BreakerKind.CALLS, at=LATER, cause="again")


async def test_of_many_that_trip_a_breaker_at_once_one_does(storage):
    tripped = await asyncio.gather(*(storage.breakers.trip(BreakerKind.CALLS, at=AS_OF, cause=str(number)) for number in range(6)))
    assert sorted(tripped) == [False] * 5 + [True]
