"""Callers: many accounts, real clients, explicit request ids, duplicates at once and late, and ids reused with other content."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli.demo_data.institutions import instruments
from crossmargin_client import (
    PLEDGED,
    RISKED,
    AsyncClient,
    Busy,
    CrossmarginError,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Unavailable,
    account_name,
    trade,
)
from tests.faults.history import Answer, History, Line, LineAnswer, Operation, Outcome, Read

TIMEOUT_S: Final = 5.0
EXECUTED: Final = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
UNKNOWN_INSTRUMENT: Final = "NO-SUCH-THING"
_DUPLICATE_AT_ONCE: Final = 0.08
_DUPLICATE_LATER: Final = 0.06
_ALTERED: Final = 0.02
_LATE_AFTER: Final = 20
"""Operations between an operation and its late duplicate."""
_RESOLVE_S: Final = 45.0
_PAUSE_S: Final = 0.1

Send = Callable[[AsyncClient, Operation], Awaitable[tuple[LineAnswer, ...]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of operation: how one is drawn and how it is sent.

    Attributes:
        weight: How often it is drawn.
        draw: Given a source of chance, an account and a request id.
        send: Makes the call; returns what became of each line.
        has_limit: Whether it is for accounts with a limit, on which nothing else moves.
    """

    name: str
    weight: int
    draw: Callable[[random.Random, str, str], Operation]
    send: Send
    has_limit: bool = False


@dataclass
class Workload:
    """Callers that go on until they are told to stop.

    Attributes:
        clients: A client of each replica, by its name.
        limited: Accounts with a limit, for the kinds of operations that are for those.
    """

    clients: dict[str, AsyncClient]
    history: History
    accounts: Sequence[str]
    seed: int
    kinds: Sequence[Kind] = ()
    limited: Sequence[str] = ()
    timeout_s: float = TIMEOUT_S
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count = field(default_factory=lambda: itertools.count(1))
    _late: deque[Operation] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - to be drawn again from the same seed
        self.kinds = self.kinds or BASIC_KINDS
        self._send = {kind.name: kind.send for kind in self.kinds}

    async def run(self, callers: int) -> None:
        """Work until `stopping` is set; then let every operation be decided."""
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._work())

    async def settle(self) -> list[Operation]:
        """Ask again for everything whose outcome is not known, and return what stays unknown."""
        for operation in self.history.undecided():
            await self._resolve(operation)
        return self.history.undecided()

    async def _work(self) -> None:
        while not self.stopping.is_set():
            if len(self._late) > _LATE_AFTER:
                await self._send_once(self._late.popleft())
            operation = self._draw()
            sends = 2 if self._chance.random() < _DUPLICATE_AT_ONCE else 1
            names = self._chance.sample(sorted(self.clients), k=min(sends, len(self.clients)))
            answers = await asyncio.gather(*(self._send_once(operation, name) for name in names))
            if not any(answer.outcome in {Outcome.BOOKED, Outcome.REFUSED} for answer in answers):
                await self._resolve(operation)
            elif any(answer.outcome is Outcome.BOOKED for answer in answers):
                await self._afterwards(operation)

    async def _afterwards(self, operation: Operation) -> None:
        if self._chance.random() < _DUPLICATE_LATER:
            self._late.append(operation)
        if operation.lines[0].quantity and self._chance.random() < _ALTERED:
            await self._send_once(_altered(operation))
        if self._chance.random() < _DUPLICATE_LATER:
            await self._read(operation.account)

    async def _resolve(self, operation: Operation) -> None:
        """Ask again with the same id until the outcome is known, as every caller is told to."""
        give_up = time.monotonic() + _RESOLVE_S
        while time.monotonic() < give_up:
            answer = await self._send_once(operation)
            if answer.outcome in {Outcome.BOOKED, Outcome.REFUSED}:
                return
            if answer.outcome is Outcome.UNEXPECTED:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _send_once(self, operation: Operation, name: str = "") -> Answer:
        name = name or self._chance.choice(sorted(self.clients))
        invoked_at = self.history.invoked(operation, name)
        lines: tuple[LineAnswer, ...] = ()
        detail = ""
        try:
            lines = await self._send[operation.kind](self.clients[name], operation)
            outcome = Outcome.BOOKED if any(line.sequence is not None for line in lines) else Outcome.REFUSED
        except CrossmarginError as error:
            outcome, detail = _outcome_of(error), str(error)
        if operation.is_altered and outcome is Outcome.BOOKED:
            outcome, detail = Outcome.UNEXPECTED, "a request id that belongs to another request was booked again"
        answer = Answer(operation, name, invoked_at, time.monotonic(), outcome, lines, detail)
        self.history.replied(answer, timeout_s=self.timeout_s)
        return answer

    async def _read(self, account: str) -> None:
        client = self.clients[self._chance.choice(sorted(self.clients))]
        invoked_at = time.monotonic()
        try:
            seen = (await client.list_positions(account)).as_of_seq
        except NotFound:
            seen = 0  # lost as a whole: the checker holds it against what was acknowledged
        except (Unavailable, Busy, DeadlineExceeded):
            return
        finally:
            self.history.note_duration("read", time.monotonic() - invoked_at, timeout_s=self.timeout_s)
        self.history.reads.append(Read(account, invoked_at, seen))

    def _draw(self) -> Operation:
        kind = self._chance.choices(self.kinds, weights=[kind.weight for kind in self.kinds])[0]
        accounts = self.limited if kind.has_limit else self.accounts
        return kind.draw(self._chance, self._chance.choice(accounts), f"{self.seed}-{next(self._numbers)}")


def _outcome_of(error: CrossmarginError) -> Outcome:
    match error:
        case Unavailable() | DeadlineExceeded():
            return Outcome.UNKNOWN
        case Busy():
            return Outcome.BUSY
        case PreconditionFailed() if error.reason == "REQUEST_ID_REUSED":
            return Outcome.REUSED
        case PreconditionFailed() | NotFound() | InvalidRequest():
            return Outcome.REFUSED
        case _:
            return Outcome.UNEXPECTED


def _altered(operation: Operation) -> Operation:
    lines = tuple(replace(line, reference=f"{line.reference}-altered", quantity=line.quantity * 2) for line in operation.lines)
    return replace(operation, lines=lines, is_altered=True)


# The kinds of operations


def draw_deposit(chance: random.Random, account: str, request_id: str) -> Operation:
    line = Line(f"{request_id}/1", "USD", Decimal(chance.randint(1, 100_000)) / 100)
    return Operation(request_id, "deposit", account, (line,))


async def send_deposit(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    (line,) = operation.lines
    answer = await client.deposit(
        operation.account,
        line.instrument_id,
        line.quantity,
        received_at=EXECUTED,
        reference=line.reference,
        request_id=operation.request_id,
    )
    return (LineAnswer(answer.sequence),)


def draw_trades(chance: random.Random, account: str, request_id: str) -> Operation:
    """Return one to four trades, now and then with one among them that cannot be booked."""
    lines = [
        Line(f"{request_id}/{number}", "BTC", Decimal(chance.choice([-1, 1]) * chance.randint(1, 10_000)) / 10_000)
        for number in range(1, chance.randint(2, 5))
    ]
    if chance.random() < 0.1:
        lines.append(Line(f"{request_id}/refused", UNKNOWN_INSTRUMENT, Decimal(1)))
    return Operation(request_id, "trades", account, tuple(lines))


def trades_in(operation: Operation) -> list[book_service_pb2.Trade]:
    """Return what an operation trades."""
    return [
        trade(line.instrument_id, line.quantity, 50_000, executed_at=EXECUTED, settlement="USD", reference=line.reference)
        for line in operation.lines
    ]


async def send_trades(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    answer = await client.record_trades(operation.account, trades_in(operation), request_id=operation.request_id)
    return trade_answers(answer)


def trade_answers(answer: book_service_pb2.RecordTradesResponse) -> tuple[LineAnswer, ...]:
    """Return what became of each trade of a batch."""
    return tuple(
        LineAnswer(outcome.sequence, tuple(book_service_pb2.TradeFlag.Name(flag) for flag in outcome.flags))
        if outcome.HasField("sequence")
        else LineAnswer(None)
        for outcome in answer.outcomes
    )


_POLICIES: Final = {"BTC pledged": PLEDGED, "BTC risked": RISKED}


def _draw_policy(chance: random.Random, account: str, request_id: str) -> Operation:
    """Return a change of policy; its line's reference is what the ledger writes, and it moves nothing."""
    return Operation(request_id, "policy", account, (Line(chance.choice(sorted(_POLICIES)), "BTC", Decimal(0)),))


async def _send_policy(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    (line,) = operation.lines
    # The client returns the policy alone, so whether it is in the ledger is checked by counting.
    await client.set_policy(operation.account, "BTC", _POLICIES.get(line.reference, RISKED), request_id=operation.request_id)
    return (LineAnswer(0),)


DEPOSIT: Final = Kind("deposit", 5, draw_deposit, send_deposit)
POLICY: Final = Kind("policy", 1, _draw_policy, _send_policy)
TRADES: Final = Kind("trades", 5, draw_trades, send_trades)
BASIC_KINDS: Final = (DEPOSIT, TRADES, POLICY)
"""What every release knows."""


async def prepare(client: AsyncClient, account_count: int) -> list[str]:
    """Create what the workload needs, and return the accounts' names."""
    for instrument in (one for one in instruments() if one.instrument_id in {"USD", "BTC"}):
        await client.create_instrument(instrument, request_id=f"prepare-{instrument.instrument_id}")
    names = []
    for number in range(account_count):
        client_id = f"c{number // 2}"
        await client.create_client(client_id, f"Client {client_id}", request_id=f"prepare-{client_id}")
        name = account_name(client_id, f"a{number}")
        await client.create_account(name, f"Account {number}", request_id=f"prepare-{name}")
        names.append(name)
    return names
