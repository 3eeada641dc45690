"""Facts that wait in line are written together: nobody waits for others to come, and what goes wrong for one is done again for each alone.

A line is of one principal and one setting of clients, because the database keeps those apart by what a transaction names of itself: a
transaction sees the answers of one principal, and the books of the clients that every one of its callers was let in for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import psycopg
import structlog
from psycopg import AsyncCursor
from psycopg_pool import PoolTimeout

from crossmargin.adapters.postgres.array_words import bytes_array, text_array
from crossmargin.adapters.postgres.books import account_from_row, head_from_row
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import Fault, fault_of, service_busy
from crossmargin.adapters.postgres.last_message import ENTRY_COLUMNS, decide_in_time, entry_columns, write_and_commit
from crossmargin.adapters.postgres.market import market_version_from_row
from crossmargin.adapters.postgres.reservation import reservation_from_row
from crossmargin.adapters.postgres.row_scope import SET_CALLER, clients_setting
from crossmargin.domain.book import Entry
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import AccountState, Books
from crossmargin.usecases.ports.market import MarketVersion
from crossmargin.usecases.ports.writing import DecideOnBooks, Decision, WriteOutcome, WriteRequest
from crossmargin.usecases.storage_errors import request_id_reused

log = structlog.get_logger()

MOST_TOGETHER: Final = 256
SINGLE_TURN_S: Final = 0.05
"""How long one that is written alone keeps the line: it may be waiting for an account that the others do not need."""

LEFT_OUT: Final = "left_out"
"""Why a call goes alone: its account is held by somebody else, closed, under a limit, or not there."""
SPOILED: Final = "spoiled"
"""Why a call goes alone: its decision failed, or needs a transaction of its own. Other causes are the names of a `Fault`."""

_DECIDED_AT_A_TIME: Final = 32
"""Decisions between two looks at whatever else there is to do in this process."""
_KEY_WAIT: Final = "100ms"
"""How long a key that another process is about to commit is waited for, with all the others in the transaction."""
_SET: Final = SET_CALLER + b", set_config('lock_timeout', %s, true)"
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
        turn: While the call goes alone and the others in line wait for it.
    """

    request: WriteRequest
    decide: DecideOnBooks
    context: Context = field(default_factory=copy_context)
    answer: asyncio.Future[WriteOutcome | Alone] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    turn: asyncio.TimerHandle | None = None

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


class _SpoiledError(Exception):
    """Some of the decisions failed, or need a transaction of their own; nothing was written for anybody."""

    def __init__(self, by: Collection[Call]) -> None:
        super().__init__(f"{len(by)} decisions cannot be written together with others")
        self.by = by


_Answers: TypeAlias = dict[Call, WriteOutcome | Alone | Exception]
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
        """Put a fact in line, for as long as the context lasts. Where nobody is, it is written together with those of the same moment.

        One whose key is under way goes alone: it waits for the other by itself.
        """
        call, name = Call(request, decide), _Name(clients_setting(), request.principal)
        key = (name, request.method, request.key)
        if key in self._under_way:
            call.tell(Alone())
            yield call
            return
        self._under_way.add(key)
        if name in self._lines:
            self._lines[name].append(call)
        else:
            self._lines[name] = deque([call])
            # Whoever comes in this turn of the event loop is in line when it begins; that takes nobody any time.
            asyncio.get_running_loop().call_soon(self._go_on, name, context=Context())
        try:
            yield call
        finally:
            self._under_way.discard(key)
            self._end_turn(name, call)

    def _go_on(self, name: _Name) -> None:
        """Write what is in a line whose writer is free: all together, or the only one alone."""
        line = self._lines[name]
        if not line:
            del self._lines[name]
        elif len(line) == 1:
            self._go_alone(name, line.popleft())
        else:
            calls = [line.popleft() for _ in range(min(len(line), MOST_TOGETHER))]
            # In a context of nobody's: what it does, it does for all of the line.
            writer = asyncio.get_running_loop().create_task(self._write_together(name, calls), context=Context())
            self._writers.add(writer)
            writer.add_done_callback(lambda writer: self._written(name, writer), context=Context())

    def _written(self, name: _Name, writer: asyncio.Task[None]) -> None:
        self._writers.discard(writer)
        if not writer.cancelled():
            self._go_on(name)
            return
        # Ended from outside, with all that this process does.
        for call in self._lines.pop(name):
            call.tell(Alone())

    def _go_alone(self, name: _Name, call: Call) -> None:
        self._database.count_together(1)
        call.turn = asyncio.get_running_loop().call_later(SINGLE_TURN_S, self._end_turn, name, call)
        call.tell(Alone())

    def _end_turn(self, name: _Name, call: Call) -> None:
        """Let those go on who came while a call went alone; a turn ends once, with the call or with its time."""
        if call.turn is not None:
            call.turn.cancel()
            call.turn = None
            self._go_on(name)

    async def _write_together(self, name: _Name, calls: Sequence[Call]) -> None:
        """Tell every call its answer, after the COMMIT; or that it goes alone."""
        self._database.count_together(len(calls))
        answers: _Answers = {}
        try:
            answers = await self._answers_without_spoilers(name, calls)
        except PoolTimeout:
            answers = {call: service_busy() for call in calls}
        except (_SpoiledError, DomainError):
            answers = self._go_on_alone(calls, SPOILED)
        except Exception as error:
            fault = fault_of(error) if isinstance(error, psycopg.Error) else Fault.DEFECT
            if fault is Fault.DEFECT:
                log.exception("facts could not be written together", number=len(calls))
            self._database.retried[fault] += len(calls)
            answers = self._go_on_alone(calls, fault.name.lower(), is_unknown=fault is Fault.LOST)
        finally:
            # Nobody is left waiting, even if this is ended from outside: only the key can tell then.
            for call in calls:
                call.tell(answers.get(call, Alone(is_unknown=True)))

    async def _answers_without_spoilers(self, name: _Name, calls: Sequence[Call]) -> _Answers:
        """Return the answers; a call whose decision fails goes alone, and the others are written without it."""
        try:
            return await self._answers(name, calls)
        except _SpoiledError as error:
            alone = self._go_on_alone(error.by, SPOILED)
            others = [call for call in calls if call not in alone]
            return alone | (await self._answers(name, others) if others else {})

    async def _answers(self, name: _Name, calls: Sequence[Call]) -> _Answers:
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
        self._database.count_alone(LEFT_OUT, sum(isinstance(answer, Alone) for answer in answers.values()))
        return answers

    def _go_on_alone(self, calls: Collection[Call], cause: str, *, is_unknown: bool = False) -> _Answers:
        self._database.count_alone(cause, len(calls))
        log.warning("facts are written one by one", cause=cause, number=len(calls))
        return dict.fromkeys(calls, Alone(is_unknown=is_unknown))


async def _begin(connection: Connection, name: _Name, requests: Sequence[WriteRequest]) -> list[Row]:
    refs = [request.accounts[0] for request in requests]
    keys = (text_array([request.method for request in requests]), text_array([request.key for request in requests]))
    hashes = bytes_array([request.request_hash for request in requests])
    names = (text_array([ref.client_id for ref in refs]), text_array([ref.account_id for ref in refs]))
    async with connection.pipeline():
        await connection.execute(b"BEGIN", prepare=False)
        await connection.execute(_SET, (*name, _KEY_WAIT))
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
        _SpoiledError: Some fail, write more than entries, or take back an entry, which is checked against the books.
    """
    left: dict[AccountRef, tuple[Books, tuple[Entry, ...]]] = {}
    decided, spoilers = [], []
    market_version = market_version_from_row(reserved[0][1])
    for place, (call, row) in enumerate(reserved, start=1):
        (ref,) = call.request.accounts
        books = _books_after(*left[ref], ref) if ref in left else _books(row, ref, market_version)
        decision = _decided_at_once(call, books)
        if decision is None or decision.records or decision.reservations or any(_reaches_further(one, ref) for one in decision.entries):
            spoilers.append(call)
        else:
            left[ref] = books, decision.entries
            decided.append(_Decided(call, decision))
        if place % _DECIDED_AT_A_TIME == 0:
            await asyncio.sleep(0)
    if spoilers:
        raise _SpoiledError(spoilers)
    return decided


def _reaches_further(numbered: Entry, ref: AccountRef) -> bool:
    return numbered.entry.account != ref or numbered.entry.details.reverses is not None


def _decided_at_once(call: Call, books: Books) -> Decision | None:
    """Return what is decided, in the context of its caller; None when that fails, or waits for anything: the others would wait with it."""
    try:
        deciding = call.context.run(_begin_to_decide, call, books)
        call.context.run(next, deciding)
    except StopIteration as decided:
        decision: Decision = decided.value
        return decision
    except Exception:  # noqa: BLE001 - its caller meets it again when the call is alone
        return None
    call.context.run(deciding.close)
    return None


def _begin_to_decide(call: Call, books: Books) -> Generator[object, None, Decision]:
    return call.decide(books).__await__()


def _books(row: Row, ref: AccountRef, market_version: MarketVersion) -> Books:
    """Return what is locked of an account that has no limits: of a fact's books nothing else is read."""
    account = account_from_row(row)
    return Books(
        states={ref: AccountState(account, head_from_row(row, account), positions=())},
        reservations={ref: tuple(map(reservation_from_row, row["reservations"]))},
        limits=(),
        halts=(),
        now=row["decided_at"],
        market_version=market_version,
    )


def _books_after(books: Books, entries: tuple[Entry, ...], ref: AccountRef) -> Books:
    if not entries:
        return books
    state = books.states[ref]
    head = replace(state.head, sequence=entries[-1].sequence, chain_hash=entries[-1].chain_hash)
    return replace(books, states={ref: replace(state, head=head)})


async def _finish(connection: Connection, decided: Sequence[_Decided], entries: tuple[Entry, ...]) -> AsyncCursor[Row]:
    requests = [one.call.request for one in decided]
    keys = (text_array([request.method for request in requests]), text_array([request.key for request in requests]))
    responses = bytes_array([one.decision.response for one in decided])
    return await connection.execute(_FINISH, (requests[0].principal, *keys, responses, *entry_columns(entries)))
