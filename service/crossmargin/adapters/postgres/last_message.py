"""The end of a write: the decision in time, then all that is written and the COMMIT in one message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncCursor
from psycopg.pq import ExecStatus

from crossmargin.adapters.postgres.array_words import bytes_array, moment_array, number_array, text_array
from crossmargin.adapters.postgres.database import Connection, Row
from crossmargin.adapters.postgres.driver_errors import service_busy
from crossmargin.adapters.postgres.entry_details import raise_if_booked_before, store_details
from crossmargin.domain.book import Entry

Locked = TypeVar("Locked")
Decided = TypeVar("Decided")

DECIDE_LIMIT_S: Final = 2.0
"""Below the server's limit for an idle transaction, so that we give up in words before it does without."""
ENTRY_COLUMNS: Final = b"""
    %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bytea[], %s::bytea[],
    %s::text[], %s::text[], %s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::numeric[]
"""
"""The places of `entry_columns` in a statement."""
_BROKEN_CHAIN: Final = "CM001"
_DONE: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


async def decide_in_time(decide: Callable[[Locked], Awaitable[Decided]], locked: Locked) -> Decided:
    """Return what is decided on what is locked; SERVICE_BUSY when it takes so long that the server would give up first."""
    try:
        async with asyncio.timeout(DECIDE_LIMIT_S) as limit:
            return await decide(locked)
    except TimeoutError:
        if limit.expired():
            raise service_busy() from None
        raise


async def write_and_commit(
    connection: Connection, finish: Callable[[], Awaitable[AsyncCursor[Row]]], entries: tuple[Entry, ...], method: str
) -> None:
    """Send all that is written, and the COMMIT, in one message: while they are answered the accounts stay locked.

    Raises:
        psycopg.Error: Without SQLSTATE when nobody knows what became of the COMMIT.
        ValueError: The entries do not continue the chains of their accounts, or an event of theirs was booked before.
    """
    finished: AsyncCursor[Row] | None = None
    try:
        async with connection.pipeline():
            finished = await finish()
            await store_details(connection, entries)
            await _commit(connection)
    except psycopg.OperationalError as error:
        # The server may have committed before its answer was lost. Only asking again with the same key can tell. What fails before
        # everything was written says itself what became of it: nothing, unless the line is gone.
        if finished is None or finished.pgresult is None or finished.pgresult.status not in _DONE:
            raise
        raise psycopg.OperationalError("no answer to COMMIT") from error
    except psycopg.DatabaseError as error:
        if error.sqlstate == _BROKEN_CHAIN:
            raise ValueError(f"the entries decided for {method} do not continue the chains of their accounts") from None
        raise_if_booked_before(error, entries)
        raise


def entry_columns(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """Return the columns of entries and of their postings, side by side, as PostgreSQL reads arrays."""
    return (*_entry_columns(entries), *_posting_columns(entries))


def entry_values(numbered: Entry) -> tuple[Any, ...]:
    """Return one entry without its postings."""
    entry, ref = numbered.entry, numbered.entry.account
    named = (ref.client_id, ref.account_id, numbered.sequence)
    return (*named, entry.kind.value, entry.effective_at, entry.reference, numbered.previous_hash, numbered.chain_hash)


def _entry_columns(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    news = [numbered.entry for numbered in entries]
    return (
        text_array([one.account.client_id for one in news]),
        text_array([one.account.account_id for one in news]),
        number_array([numbered.sequence for numbered in entries]),
        text_array([one.kind.value for one in news]),
        moment_array([one.effective_at for one in news]),
        text_array([one.reference for one in news]),
        bytes_array([numbered.previous_hash for numbered in entries]),
        bytes_array([numbered.chain_hash for numbered in entries]),
    )


def _posting_columns(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    owners = [numbered for numbered in entries for _ in numbered.entry.postings]
    postings = [posting for numbered in entries for posting in numbered.entry.postings]
    return (
        text_array([owner.entry.account.client_id for owner in owners]),
        text_array([owner.entry.account.account_id for owner in owners]),
        number_array([owner.sequence for owner in owners]),
        number_array([leg for numbered in entries for leg in range(1, len(numbered.entry.postings) + 1)]),
        text_array([posting.ledger_account for posting in postings]),
        text_array([posting.book_id for posting in postings]),
        text_array([posting.instrument_id for posting in postings]),
        number_array([posting.quantity for posting in postings]),
        number_array([posting.cost for posting in postings]),
    )


async def _commit(connection: Connection) -> None:
    await connection.execute(b"COMMIT", prepare=False)
