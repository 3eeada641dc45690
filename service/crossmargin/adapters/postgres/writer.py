"""The write path: reserve the key, lock the accounts, decide, write, commit, and only then answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncCursor

from crossmargin.adapters.postgres.asked_accounts import ONE, SEVERAL, account_values
from crossmargin.adapters.postgres.books import BOOK_COLUMNS, books_beyond, books_from_rows
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import Fault, caller_error, fault_of, storage_unavailable
from crossmargin.adapters.postgres.entry_details import check_not_taken_back
from crossmargin.adapters.postgres.fact_lines import FactLines, may_go_together
from crossmargin.adapters.postgres.kept_positions import KeptPositions, Known
from crossmargin.adapters.postgres.last_message import ENTRY_COLUMNS, decide_in_time, entry_columns, entry_values, write_and_commit
from crossmargin.adapters.postgres.records import store_record
from crossmargin.adapters.postgres.reservation import reservations_to_json
from crossmargin.adapters.postgres.row_scope import SET_CALLER, clients_setting
from crossmargin.adapters.postgres.statements import Question
from crossmargin.domain.account import AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import Decide, DecideOnBooks, Decision, WriteOutcome, WriteRequest
from crossmargin.usecases.storage_errors import halted, request_id_reused, unknown_account

Locked = TypeVar("Locked")

CONFLICT_TRIES: Final = 4
WRITE_DEADLINE_S: Final = 8.0
_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.3

# What now() says is the same all through a transaction, and the default of an entry's time of recording.
_BEGIN_WRITE: Final = b"SELECT *, now() AS locked_at FROM begin_write(%s, %s, %s, %s, %s, %s::text[], %s::text[])"
_BEGIN_ONE, _BEGIN_SEVERAL = (
    Question(
        b"begin_decision_for",
        b"%s, %s, %s, %s, %s, %s::bigint[], " + places,
        ("outcome", "stored_response", *BOOK_COLUMNS, "locked_at"),
    )
    for places in (ONE, SEVERAL)
)
_FINISH_WRITE: Final = b"SELECT finish_write(%s, %s, %s, %s, " + ENTRY_COLUMNS + b")"
_FINISH_DECISION: Final = b"SELECT finish_decision(%s, %s, %s, %s, " + ENTRY_COLUMNS + b", %s)"
_FINISH_ENTRY: Final = b"SELECT finish_entry(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
"""For one entry that moves nothing: what an order is approved, filled or ended with."""


_Begin: TypeAlias = Callable[[Connection, WriteRequest, KeptPositions], Awaitable[WriteOutcome | Locked]]


class PostgresWriter:
    """Writes that are decided at most once, whatever breaks in between."""

    def __init__(self, database: Database, *, deadline_s: float = WRITE_DEADLINE_S) -> None:
        self._database = database
        self._deadline_s = deadline_s
        self._lines = FactLines(database)

    async def write(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        """See `Writer.write`. A caller that goes away does not stop the write half-way."""
        return await self._database.shielded(self._write_until_known(request, _begin_write, decide))

    async def decide(self, request: WriteRequest, decide: DecideOnBooks) -> WriteOutcome:
        """See `Writer.decide`. A caller that goes away does not stop the write half-way."""
        if not may_go_together(request):
            return await self._database.shielded(self._write_until_known(request, _begin_decision, decide))
        return await self._database.shielded(self._decide_together(request, decide))

    async def _decide_together(self, request: WriteRequest, decide: DecideOnBooks) -> WriteOutcome:
        with self._lines.call(request, decide) as call:
            answer = await call.answer
            if isinstance(answer, WriteOutcome):
                return answer
            # What became of a transaction whose COMMIT went unanswered is learned under each key for itself.
            return await self._write_until_known(request, _begin_decision, decide, is_unknown=answer.is_unknown)

    async def _write_until_known(
        self,
        request: WriteRequest,
        begin: _Begin[Locked],
        decide: Callable[[Locked], Awaitable[Decision]],
        *,
        is_unknown: bool = False,
    ) -> WriteOutcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._deadline_s
        conflicts, pause_s = 0, _PAUSE_S
        while True:
            try:
                return await self._write_once(request, begin, decide)
            except psycopg.Error as error:
                fault = fault_of(error)
                conflicts += fault is Fault.CONFLICT
                is_unknown |= fault is Fault.LOST
                may_retry = _may_retry(fault, conflicts, is_unknown=is_unknown) and loop.time() + pause_s < deadline
                if not may_retry:
                    raise _final_error(error, fault, is_unknown=is_unknown) from error
                self._database.retried[fault] += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _write_once(
        self, request: WriteRequest, begin: _Begin[Locked], decide: Callable[[Locked], Awaitable[Decision]]
    ) -> WriteOutcome:
        async with self._database.connection() as connection:
            begun = await begin(connection, request, self._database.positions)
            if isinstance(begun, WriteOutcome):
                return begun
            decision = await decide_in_time(decide, begun)
            for record in decision.records:
                await store_record(connection, record)
            await check_not_taken_back(connection, decision.entries)
            await write_and_commit(connection, lambda: _finish(connection, request, decision), decision.entries, request.method)
            self._database.positions.follow(decision.entries)
        return WriteOutcome(decision.response, replayed=False)


async def _begin_write(
    connection: Connection, request: WriteRequest, _kept: KeptPositions
) -> WriteOutcome | Mapping[AccountRef, AccountHead]:
    """Return the answer that the key has already; otherwise the heads, locked, with the key reserved."""
    names = ([ref.client_id for ref in request.accounts], [ref.account_id for ref in request.accounts])
    # In one message with what it begins, which saves the wait for an answer.
    async with connection.pipeline():
        await connection.execute(b"BEGIN", prepare=False)
        await connection.execute(SET_CALLER, (clients_setting(), request.principal))
        begun = await connection.execute(_BEGIN_WRITE, (*_identity(request), *names))
    rows = await begun.fetchall()
    if (stored := _stored_answer(rows, request)) is not None:
        return stored
    heads = {head.ref: head for head in map(_head, rows)}
    for ref in request.accounts:
        if ref not in heads:
            raise unknown_account(ref)
    return heads


async def _begin_decision(connection: Connection, request: WriteRequest, kept: KeptPositions) -> WriteOutcome | Books:
    """Return the answer that the key has already; otherwise the books, locked, with the key reserved."""
    known: Known = {} if request.is_fact else kept.known(request.accounts)
    question = _BEGIN_ONE if len(request.accounts) == 1 else _BEGIN_SEVERAL
    begun = connection.cursor(row_factory=question.rows)
    async with connection.pipeline():
        await connection.execute(b"BEGIN", prepare=False)
        asked = (clients_setting(), *_identity(request), list(request.reservations), *account_values(request.accounts, known))
        await begun.execute(question.sql, asked)
    rows = await begun.fetchall()
    if (stored := _stored_answer(rows, request)) is not None:
        return stored
    if request.is_fact:
        return books_from_rows(rows, request.accounts)
    return books_beyond(known, rows, request.accounts, kept)


def _identity(request: WriteRequest) -> tuple[object, ...]:
    return request.principal, request.method, request.key, request.request_hash, request.is_fact


def _stored_answer(rows: Sequence[Row], request: WriteRequest) -> WriteOutcome | None:
    match rows[0]["outcome"] if rows else "reserved":
        case "replayed":
            return WriteOutcome(bytes(rows[0]["stored_response"]), replayed=True)
        case "reused":
            raise request_id_reused(request)
        case "halted":
            raise halted()
    return None


def _head(row: Row) -> AccountHead:
    return AccountHead(
        ref=AccountRef(ClientId(row["head_client_id"]), AccountId(row["head_account_id"])),
        mode=AccountMode(row["head_mode"]),
        status=AccountStatus(row["head_status"]),
        sequence=row["head_sequence"],
        chain_hash=row["head_chain_hash"],
        locked_at=row["locked_at"],
    )


async def _finish(connection: Connection, request: WriteRequest, decision: Decision) -> AsyncCursor[Row]:
    answered = (request.principal, request.method, request.key, decision.response)
    if _is_one_that_moves_nothing(decision.entries):
        changed = reservations_to_json(decision.reservations)
        return await connection.execute(_FINISH_ENTRY, (*answered, *entry_values(decision.entries[0]), changed))
    written = (*answered, *entry_columns(decision.entries))
    if decision.reservations:
        return await connection.execute(_FINISH_DECISION, (*written, reservations_to_json(decision.reservations)))
    return await connection.execute(_FINISH_WRITE, written)


def _is_one_that_moves_nothing(entries: tuple[Entry, ...]) -> bool:
    return len(entries) == 1 and not entries[0].entry.postings


def _may_retry(fault: Fault, conflicts: int, *, is_unknown: bool) -> bool:
    match fault:
        case Fault.CONFLICT:
            return conflicts <= CONFLICT_TRIES
        case Fault.LOST:
            return True
        case Fault.BUSY:
            return is_unknown
        case _:
            return False


def _final_error(error: psycopg.Error, fault: Fault, *, is_unknown: bool) -> Exception:
    if is_unknown and fault in {Fault.CONFLICT, Fault.BUSY}:
        return storage_unavailable()
    return caller_error(error)
