"""Facts that wait in line are written together: nobody waits for others to come, and what goes wrong for one is done again for each alone.

A line is of one principal and one setting of clients, because the database keeps those apart by what a transaction names of itself: a
transaction sees the answers of one principal, and the books of the clients that every one of its callers was let in for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import psycopg
from psycopg import AsyncCursor
from psycopg_pool import PoolTimeout

from crossmargin.adapters.postgres.books import account_state_from_row
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import Fault, fault_of, service_busy
from crossmargin.adapters.postgres.last_message import ENTRY_COLUMNS, decide_in_time, entry_columns, write_and_commit
from crossmargin.adapters.postgres.market import market_version_from_row
from crossmargin.adapters.postgres.reservation import reservation_from_row
from crossmargin.adapters.postgres.row_scope import SET_CALLER, clients_setting
from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import DecideOnBooks, Decision, WriteOutcome, WriteRequest
from crossmargin.usecases.storage_errors import request_id_reused

MOST_TOGETHER: Final = 256
SINGLE_TURN_S: Final = 0.05
"""How long one that is written alone keeps the line: it may be waiting for an account that the others do not need."""

# A key that another process is about to commit is waited for here, and all the others in the transaction with it.
_KEY_WAIT: Final = b"SELECT set_config('lock_timeout', '100ms', true)"
_BEGIN: Final = b"SELECT *, now() AS locked_at FROM begin_facts(%s, %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[])"
_FINISH: Final = b"SELECT finish_facts(%s, %s::text[], %s::text[], %s::bytea[], " + ENTRY_COLUMNS + b")"


@dataclass(frozen=True, slots=True)
class Alone:
    """Nothing was decided together: the call goes on by itself. `is_unknown` when it may have been committed all the same."""

    is_unknown: bool = False


@dataclass(eq=False, slots=True)
class Call:
    """A fact in line.

    Attributes:
        context: Of the caller, for the decision.
        answer: Comes after the COMMIT.
        left: Done when nobody works on the call any more.
    """

    request: WriteRequest
    decide: DecideOnBooks
    context: Context = field(default_factory=copy_context)
    answer: asyncio.Future[WriteOutcome | Alone] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    left: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self, answer: WriteOutcome | Alone | Exception) -> None:
        """Give the answer, if anybody is still there to hear it."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class _Name(NamedTuple):
    """Of a line: what its transactions say of themselves."""

    clients: str
    principal: str


class _Decided(NamedTuple):
    call: Call
    decision: Decision


class _UndecidedError(Exception):
    """One of the decisions needs a transaction of its own, or failed; nothing was written."""


_Key: TypeAlias = tuple[_Name, str, str]


def may_go_together(request: WriteRequest) -> bool:
    """Return whether a decision of this request needs nothing that another fact of the same account could change but its head."""
    return request.is_fact and len(request.accounts) == 1 and not request.reservations


class FactLines:
    """Takes facts as they come, and lets each line write what has come meanwhile whenever its writer becomes free."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[_Name, deque[Call]] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self._under_way: set[_Key] = set()

    @contextmanager
    def call(self, request: WriteRequest, decide: DecideOnBooks) -> Iterator[Call]:
        """Put a fact in line, for as long as the context lasts. One whose key is under way does not: it waits for the other by itself."""
        call, name = Call(request, decide), _Name(clients_setting(), request.principal)
        key = (name, request.method, request.key)
        if key in self._under_way:
            call.tell(Alone())
            yield call
            return
        self._under_way.add(key)
        self._put_in_line(name, call)
        try:
            yield call
        finally:
            self._under_way.discard(key)
            call.left.set_result(None)

    def _put_in_line(self, name: _Name, call: Call) -> None:
        line = self._lines.get(name)
        if line is not None:
            line.append(call)
            return
        self._lines[name] = deque([call])
        # In a context of nobody's: what it does, it does for all of the line.
        writer = asyncio.get_running_loop().create_task(self._serve(name), context=Context())
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)

    async def _serve(self, name: _Name) -> None:
        line = self._lines[name]
        try:
            while line:
                calls = [line.popleft() for _ in range(min(len(line), MOST_TOGETHER))]
                self._database.count_together(len(calls))
                if len(calls) == 1:
                    calls[0].tell(Alone())
                    await asyncio.wait([calls[0].left], timeout=SINGLE_TURN_S)
                else:
                    await self._write_together(name, calls)
        finally:
            del self._lines[name]
            for call in line:
                call.tell(Alone())

    async def _write_together(self, name: _Name, calls: Sequence[Call]) -> None:
        """Tell every call its answer, after the COMMIT; or that it goes alone."""
        answers: dict[Call, WriteOutcome | Alone | Exception] = {}
        try:
            answers = await self._written(name, calls)
        except PoolTimeout:
            answers = dict.fromkeys(calls, service_busy())
        except psycopg.Error as error:
            fault = fault_of(error)
            self._database.retried[fault] += len(calls)
            answers = dict.fromkeys(calls, Alone(is_unknown=fault is Fault.LOST))
        except Exception:  # noqa: BLE001 - whatever it is, each call meets its own again when it is alone
            answers = dict.fromkeys(calls, Alone())
        finally:
            # Nobody is left waiting, even if this is ended from outside: only the key can tell then.
            for call in calls:
                call.tell(answers.get(call, Alone(is_unknown=True)))

    async def _written(self, name: _Name, calls: Sequence[Call]) -> dict[Call, WriteOutcome | Alone | Exception]:
        async with self._database.connection() as connection:
            rows = await _begin(connection, name, [call.request for call in calls])
            pairs = list(zip(calls, rows, strict=True))
            answers = {call: _known_answer(call.request, row) for call, row in pairs if row["outcome"] != "reserved"}
            reserved = [(call, row) for call, row in pairs if row["outcome"] == "reserved"]
            if reserved:
                decided = await decide_in_time(_decide_in_order, reserved)
                entries = tuple(entry for one in decided for entry in one.decision.entries)
                await write_and_commit(connection, lambda: _finish(connection, decided, entries), entries, decided[0].call.request.method)
                self._database.positions.follow(entries)
                answers |= {one.call: WriteOutcome(one.decision.response, replayed=False) for one in decided}
        return answers


async def _begin(connection: Connection, name: _Name, requests: Sequence[WriteRequest]) -> list[Row]:
    refs = [request.accounts[0] for request in requests]
    keys = ([request.method for request in requests], [request.key for request in requests])
    hashes = [request.request_hash for request in requests]
    async with connection.pipeline():
        await connection.execute(b"BEGIN", prepare=False)
        await connection.execute(SET_CALLER, name)
        await connection.execute(_KEY_WAIT)
        names = ([ref.client_id for ref in refs], [ref.account_id for ref in refs])
        begun = await connection.execute(_BEGIN, (name.principal, *keys, hashes, *names))
    return await begun.fetchall()


def _known_answer(request: WriteRequest, row: Row) -> WriteOutcome | Alone | Exception:
    match row["outcome"]:
        case "replayed":
            return WriteOutcome(bytes(row["stored_response"]), replayed=True)
        case "reused":
            return request_id_reused(request)
    return Alone()


async def _decide_in_order(reserved: Sequence[tuple[Call, Row]]) -> list[_Decided]:
    """Return the decisions, each on the head that those before it leave.

    Raises:
        _UndecidedError: One writes more than entries, or takes back an entry, which is checked against the books.
    """
    heads: dict[AccountRef, AccountHead] = {}
    decided = []
    for call, row in reserved:
        (ref,) = call.request.accounts
        books = _books(row, ref, heads.get(ref))
        decision = await asyncio.create_task(_decide(call, books), context=call.context)
        is_more = decision.records or decision.reservations
        if is_more or any(one.entry.account != ref or one.entry.details.reverses is not None for one in decision.entries):
            raise _UndecidedError
        if decision.entries:
            heads[ref] = _head_after(books.states[ref].head, decision.entries[-1])
        decided.append(_Decided(call, decision))
    return decided


async def _decide(call: Call, books: Books) -> Decision:
    return await call.decide(books)


def _books(row: Row, ref: AccountRef, head: AccountHead | None) -> Books:
    """Return what is locked of an account that has no limits: of a fact's books nothing else is read."""
    sides = ("book_ids", "instrument_ids", "quantities", "costs", "policy_instrument_ids", "policies")
    state = account_state_from_row({**row, **dict.fromkeys(sides)})
    return Books(
        states={ref: state if head is None else replace(state, head=head)},
        reservations={ref: tuple(map(reservation_from_row, row["reservations"]))},
        limits=(),
        halts=(),
        now=row["decided_at"],
        market_version=market_version_from_row(row),
    )


def _head_after(head: AccountHead, last: Entry) -> AccountHead:
    return replace(head, sequence=last.sequence, chain_hash=last.chain_hash)


async def _finish(connection: Connection, decided: Sequence[_Decided], entries: tuple[Entry, ...]) -> AsyncCursor[Row]:
    requests = [one.call.request for one in decided]
    keys = ([request.method for request in requests], [request.key for request in requests])
    responses = [one.decision.response for one in decided]
    return await connection.execute(_FINISH, (requests[0].principal, *keys, responses, *entry_columns(entries)))
