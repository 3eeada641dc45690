"""Facts that are written together hold accounts and keys, and two of two processes may want what the other holds: all end, and rightly."""

from __future__ import annotations

import asyncio
import hashlib

import psycopg
import pytest

from crossmargin.adapters.postgres import fact_lines
from crossmargin.domain.errors import DomainError, Reason
from tests.contract.facts import ACCOUNTS, SATELLITE, alone, book_all, deposits, together, until_not_busy
from tests.contract.storage import CORE, OTHER, a_request, postgres_storage

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LONG_KEY_WAIT = "5s"


@pytest.fixture
async def replicas(database_url):
    """Two processes' worth of storage on one database."""
    async with postgres_storage(database_url, pool_size=16) as one, postgres_storage(database_url, pool_size=16) as other:
        await one.open_accounts(*ACCOUNTS)
        yield one, other


class Holder:
    """Somebody who holds a key as if it were about to be committed, until it is let go."""

    def __init__(self, connection):
        self._connection = connection

    async def hold(self, request):
        values = (request.principal, request.method, request.key, hashlib.sha256(b"somebody else's").digest())
        await self._connection.execute("INSERT INTO idempotency (principal, method, key, request_hash) VALUES (%s, %s, %s, %s)", values)

    async def let_go(self):
        await self._connection.rollback()

    async def until_waiting(self, number, *tasks):
        """Return when so many wait for a lock, or the tasks have ended without it."""
        while not all(task.done() for task in tasks):
            (found,) = await (await self._connection.execute(WAITING)).fetchone()
            if found >= number:
                return


@pytest.fixture
async def holder(database_url):
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        yield Holder(connection)


@pytest.mark.parametrize("is_ended_by_the_server", [False, True])
async def test_a_key_that_one_has_and_the_account_that_the_other_has(replicas, holder, monkeypatch, is_ended_by_the_server):
    """A call sent to both replicas: one has its key and waits for its account, the other its account, with others, and comes to its key.

    Whoever is together with others gives way soon; where it would not, the server ends it.
    """
    if is_ended_by_the_server:
        monkeypatch.setattr(fact_lines, "_KEY_WAIT", LONG_KEY_WAIT)
    together_with, single = replicas
    twice, first = a_request("twice", CORE, body="buy"), a_request("first", OTHER)
    await holder.hold(first)
    in_line = asyncio.create_task(
        book_all(
            together_with, (first, deposits(OTHER, 1)), (twice, deposits(CORE, 1)), (a_request("third", SATELLITE), deposits(SATELLITE, 1))
        )
    )
    await holder.until_waiting(1, in_line)
    by_itself = asyncio.create_task(until_not_busy(single.writer, twice, deposits(CORE, 1)))
    await holder.until_waiting(2, in_line, by_itself)
    await holder.let_go()
    outcomes = await in_line
    # One that was told that nothing happened asks again.
    for place, call in enumerate(
        [(first, deposits(OTHER, 1)), (twice, deposits(CORE, 1)), (a_request("third", SATELLITE), deposits(SATELLITE, 1))]
    ):
        if isinstance(outcomes[place], DomainError) and outcomes[place].reason is Reason.SERVICE_BUSY:
            outcomes[place] = await until_not_busy(together_with.writer, *call)
    assert {outcome.response for outcome in (*outcomes, await by_itself)} == {b"after 0"}
    assert sorted([outcomes[1].replayed, (await by_itself).replayed]) == [False, True]
    await assert_booked_once(together_with, *ACCOUNTS)
    assert together(together_with)[3] == 1
    assert set(alone(together_with)) <= {"busy", "conflict"}


async def test_two_lines_whose_keys_and_accounts_are_crossed(replicas, holder, monkeypatch):
    """Both come to their keys in one order, so that neither ever holds one that the other comes to."""
    monkeypatch.setattr(fact_lines, "_KEY_WAIT", LONG_KEY_WAIT)
    keys = [f"k{n}" for n in range(4)]
    one = [(a_request(key, CORE, body="one"), deposits(CORE, 1)) for key in keys]
    other = [(a_request(key, OTHER, body="other"), deposits(OTHER, 1)) for key in reversed(keys)]
    await holder.hold(one[0][0])
    running = [asyncio.create_task(book_all(replicas[0], *one))]
    await holder.until_waiting(1, *running)
    running.append(asyncio.create_task(book_all(replicas[1], *other)))
    await holder.until_waiting(2, *running)
    await holder.let_go()
    booked = await asyncio.gather(*running)
    by_key = zip(booked[0], reversed(booked[1]), strict=True)
    for outcomes in by_key:
        assert [outcome.reason for outcome in outcomes if isinstance(outcome, DomainError)] == [Reason.REQUEST_ID_REUSED]
    assert [alone(replica) for replica in replicas] == [{}, {}]
    entries = [await replicas[0].books.list_entries(ref, after_sequence=0, limit=9) for ref in (CORE, OTHER)]
    assert [entry.sequence for of_account in entries for entry in of_account] == [1, 2, 3, 4]


async def test_the_same_calls_in_two_lines_are_booked_once(replicas):
    """A caller that sends everything to both, in another order to each."""
    calls = [(a_request(f"k{n} {ref}", ref), deposits(ref, 1)) for n in range(6) for ref in ACCOUNTS]

    async def all_of(replica, ordered):
        return {call[0].key: call for call in ordered}.keys(), await asyncio.gather(
            *(until_not_busy(replica.writer, *one) for one in ordered)
        )

    (keys, booked), (keys_back, booked_again) = await asyncio.gather(all_of(replicas[0], calls), all_of(replicas[1], calls[::-1]))
    first, second = dict(zip(keys, booked, strict=True)), dict(zip(keys_back, booked_again, strict=True))
    for key, outcome in first.items():
        assert outcome.response == second[key].response
        assert sorted([outcome.replayed, second[key].replayed]) == [False, True]
    await assert_booked_once(replicas[0], *ACCOUNTS, number=6)


async def assert_booked_once(storage, *refs, number=1):
    for ref in refs:
        entries = await storage.books.list_entries(ref, after_sequence=0, limit=99)
        assert [entry.sequence for entry in entries] == list(range(1, number + 1))
