"""Accounts with a limit: requests that may be refused, and the facts that follow from those that were not.

Orders are reserved for, filled in parts, and released; money is withdrawn, and moved to an isolated account and back; funding is paid on
what was filled. Each account holds one contract from the beginning, so that there is always something to pay funding on.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import grpc

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client import AsyncClient, DeadlineExceeded, account_name, exposure_limits, lifecycle, order, perpetual, trade
from tests.faults.cancels import Traded, cancel_of, send_cancel
from tests.faults.history import Line, LineAnswer, Operation
from tests.faults.two_persons import set_limits
from tests.faults.workload import EXECUTED, TIMEOUT_S, Kind, draw_deposit, send_deposit, trade_answers
from tests.unit.usecases.house import a_history

PRICE: Final = 60_000
"""Of bitcoin, in the market and in every order, so that a limit in money is one in contracts."""
LIMIT_CONTRACTS: Final = 10
DEPOSIT: Final = 10_000_000
SET_UP: Final = "prepare"
"""Reference of what was there before callers came."""
PERPETUAL: Final = "BTC-PERP"
LIFETIME_S: Final = 86_400
FUNDING_RATE: Final = Decimal("0.0001")
_BUCKET: Final = "bucket"
_BEYOND: Final = 0.08
"""Share of fills that are for more than is left, and of those for an order that was released."""
_REMEMBERED: Final = 20


async def prepare_limited(client: AsyncClient, count: int) -> list[str]:
    """Create a market and accounts with money, a limit, a contract and a bucket, and return their names. Cash and bitcoin are there."""
    await client.create_instrument(perpetual(PERPETUAL, underlying="BTC", settlement="USD"), request_id=f"prepare-{PERPETUAL}")
    history = a_history("spot:BTC")
    await client.import_history(history.dates, {str(factor): column for factor, column in history.levels.items()})
    now = datetime.now(UTC)
    await client.publish_snapshot(now, {"spot:BTC": PRICE})
    names = [account_name(f"l{number}", "core") for number in range(count)]
    for number, name in enumerate(names):
        await client.create_client(f"l{number}", "A client with a limit", request_id=f"prepare-l{number}")
        await client.create_account(name, "Core", request_id=f"prepare-{name}")
        bucket = bucket_of(name)
        await client.create_account(bucket, "Bucket", parent_account=name, request_id=f"prepare-{bucket}")
        await client.deposit(name, "USD", DEPOSIT, received_at=now, reference=SET_UP, request_id=f"prepare-{name}-deposit")
        held = trade(PERPETUAL, 1, PRICE, executed_at=EXECUTED, reference=SET_UP)
        await client.record_trades(name, [held], request_id=f"prepare-{name}-trade")
        await set_limits(client, exposure_limits(name, gross=LIMIT_CONTRACTS * PRICE))
    return names


def bucket_of(core: str) -> str:
    """Return the name of the isolated account that belongs to a core account."""
    return core.rpartition("/")[0] + f"/{_BUCKET}"


@dataclass(slots=True)
class _Open:
    """An order that was approved: its reservation, and how many of its contracts have not filled as far as callers were told."""

    number: int
    left: int


class OrderBook:
    """What callers were told of each account's orders and funding, from which the next operations are drawn."""

    def __init__(self) -> None:
        self._open: dict[str, list[_Open]] = defaultdict(list)
        self._released: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._filled: dict[str, list[Traded]] = defaultdict(list)
        self._events: dict[str, int] = defaultdict(int)
        self._paid: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._told: set[str] = set()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of operations of these accounts."""
        return (
            Kind("reserve", 4, self._draw_reserve, self._send_reserve, has_limit=True),
            Kind("release", 3, self._draw_release, _send_release, has_limit=True),
            Kind("fill", 3, self._draw_fill, self._send_fill, has_limit=True),
            Kind("cancel", 2, self._draw_cancel, send_cancel, has_limit=True),
            Kind("withdraw", 1, _draw_withdrawal, _send_withdrawal, has_limit=True),
            Kind("transfer", 2, _draw_transfer, _send_transfer, has_limit=True),
            Kind("funding", 1, self._draw_funding, self._send_funding, has_limit=True),
            Kind("funding again", 1, self._draw_funding_again, _send_funding_again, has_limit=True),
            Kind("deposit", 1, draw_deposit, send_deposit, has_limit=True),
        )

    def _is_first(self, operation: Operation) -> bool:
        """Whether this is the first answer to an operation that was not altered."""
        is_first = operation.request_id not in self._told and not operation.is_altered
        self._told.add(operation.request_id)
        return is_first

    def _draw_reserve(self, chance: random.Random, account: str, request_id: str) -> Operation:
        contracts = chance.randint(1, 4)
        # What the entry of an approval says: all of the order, what it costs, and who asked for it.
        reference = f"main {PERPETUAL} {contracts} {PRICE} - resting {LIFETIME_S} {contracts * PRICE} - local {request_id}/1"
        return Operation(request_id, "reserve", account, (Line(reference, PERPETUAL, Decimal(0)),))

    async def _send_reserve(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        _, instrument_id, contracts, price, *_, reference = operation.lines[0].reference.split(" ")
        wanted = order(instrument_id, contracts, price, lifetime=timedelta(seconds=LIFETIME_S), reference=reference)
        answer = await client.reserve_margin(operation.account, wanted, request_id=operation.request_id)
        number = answer.reservation.reservation
        if self._is_first(operation):
            self._open[operation.account].append(_Open(number, int(contracts)))
        return (LineAnswer(number),)

    def _draw_release(self, chance: random.Random, account: str, request_id: str) -> Operation:
        if not self._open[account]:
            return self._draw_reserve(chance, account, request_id)
        released = self._open[account].pop(chance.randrange(len(self._open[account])))
        self._released[account].append(released.number)
        return Operation(request_id, "release", account, (Line(f"{released.number} released", PERPETUAL, Decimal(0)),))

    def _draw_fill(self, chance: random.Random, account: str, request_id: str) -> Operation:
        """Return a trade on an order: mostly of a part of it, now and then of too much, or after the order was released."""
        still_open = self._open[account]
        if self._released[account] and (chance.random() < _BEYOND or not still_open):
            return _fill(request_id, account, chance.choice(self._released[account]), 1)
        if not still_open:
            return self._draw_reserve(chance, account, request_id)
        filled = chance.choice(still_open)
        contracts = filled.left + 1 if chance.random() < _BEYOND else chance.randint(1, max(filled.left, 1))
        return _fill(request_id, account, filled.number, contracts)

    async def _send_fill(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        answers = await send_trades_at(client, operation, PRICE)
        if self._is_first(operation):
            (line,), (answer,) = operation.lines, answers
            held = self._open[operation.account]
            self._filled[operation.account].append(Traded(answer.sequence, line))
            for one in held:
                if one.number == line.about:
                    one.left -= int(line.quantity)
            self._open[operation.account] = [one for one in held if one.left > 0]
        return answers

    def _draw_cancel(self, chance: random.Random, account: str, request_id: str) -> Operation:
        """Return the cancellation of a fill: without any, an account would soon hold all that its limit allows."""
        filled = self._filled[account]
        return (
            cancel_of(request_id, account, filled.pop(chance.randrange(len(filled))))
            if filled
            else self._draw_fill(chance, account, request_id)
        )

    def _draw_funding(self, chance: random.Random, account: str, request_id: str) -> Operation:
        self._events[account] += 1
        return _funding(request_id, "funding", account, self._events[account])

    async def _send_funding(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        outcome = await _apply(client, operation)
        if outcome.application == book_service_pb2.EVENT_APPLICATION_BOOKED and self._is_first(operation):
            self._paid[operation.account].append(operation.lines[0].about)
        return (LineAnswer(outcome.sequence or None),)

    def _draw_funding_again(self, chance: random.Random, account: str, request_id: str) -> Operation:
        """Return an event that was paid already, asked for under another request id: it books nothing."""
        if not self._paid[account]:
            return self._draw_funding(chance, account, request_id)
        return _funding(request_id, "funding again", account, chance.choice(self._paid[account]))


def _fill(request_id: str, account: str, reservation: int, contracts: int) -> Operation:
    return Operation(request_id, "fill", account, (Line(f"{request_id}/1", PERPETUAL, Decimal(contracts), about=reservation),))


async def send_trades_at(client: AsyncClient, operation: Operation, price: int) -> tuple[LineAnswer, ...]:
    """Record the lines of an operation as trades at a price, each with the reservation that it fills."""
    trades = [
        trade(line.instrument_id, line.quantity, price, executed_at=EXECUTED, reference=line.reference, reservation=line.about)
        for line in operation.lines
    ]
    return trade_answers(await client.record_trades(operation.account, trades, request_id=operation.request_id))


async def _send_release(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    number = int(operation.lines[0].reference.split(" ")[0])
    await client.release_reservation(operation.account, number, request_id=operation.request_id)
    return (LineAnswer(0),)


def _draw_withdrawal(chance: random.Random, account: str, request_id: str) -> Operation:
    """Return a withdrawal that may take all there is and more, so that some have to be refused."""
    line = Line(f"{request_id}/1", "USD", Decimal(-chance.randint(1, DEPOSIT // 20)))
    return Operation(request_id, "withdraw", account, (line,))


async def _send_withdrawal(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    (line,) = operation.lines
    named = {"reference": line.reference, "request_id": operation.request_id}
    answer = await client.withdraw(operation.account, line.instrument_id, -line.quantity, **named)
    return (LineAnswer(answer.sequence),)


def _draw_transfer(chance: random.Random, account: str, request_id: str) -> Operation:
    """Return a transfer to the account's bucket or back, as two lines: what its source gives and what its destination gets."""
    source, destination = chance.sample((account, bucket_of(account)), k=2)
    quantity = Decimal(chance.randint(1, DEPOSIT // 20))
    reference = f"{request_id}/1"
    lines = (Line(reference, "USD", -quantity, account=source), Line(reference, "USD", quantity, account=destination))
    return Operation(request_id, "transfer", account, lines)


async def _send_transfer(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    gives, gets = operation.lines
    named = {"reference": gives.reference, "request_id": operation.request_id}
    answer = await client.transfer(gives.account, gets.account, gives.instrument_id, gets.quantity, **named)
    return (LineAnswer(answer.source_sequence), LineAnswer(answer.destination_sequence))


def _funding(request_id: str, kind: str, account: str, number: int) -> Operation:
    # What it moves is the checker's to work out, from what was held.
    return Operation(request_id, kind, account, (Line(_funding_reference(number), "USD", Decimal(0), about=number),))


def _funding_reference(number: int) -> str:
    return f"funding {number}"


async def _send_funding_again(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    outcome = await _apply(client, operation)
    is_booked_twice = outcome.application == book_service_pb2.EVENT_APPLICATION_BOOKED
    return (LineAnswer(outcome.sequence if is_booked_twice else None),)


async def _apply(client: AsyncClient, operation: Operation) -> book_service_pb2.EventOutcome:
    """Return what an event did to the account, asked once; the client's own stream would be patient for longer than a call may take."""
    (line,) = operation.lines
    at = EXECUTED + timedelta(hours=line.about)
    event = lifecycle.funding(PERPETUAL, FUNDING_RATE, PRICE, at=at, reference=line.reference)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answers = client.apply_lifecycle_event(event, account=operation.account, request_id=operation.request_id, patience_s=TIMEOUT_S)
            (outcome,) = [answer.outcome async for answer in answers if answer.HasField("outcome")]
            return outcome
    except TimeoutError:
        raise DeadlineExceeded("no outcome in time", reason="DEADLINE_EXCEEDED", code=grpc.StatusCode.DEADLINE_EXCEEDED) from None
