"""Requests that may be refused: orders and withdrawals of accounts with a limit, on which nothing else moves."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from crossmargin_client import AsyncClient, account_name, exposure_limits, order, perpetual
from tests.faults.history import Line, LineAnswer, Operation
from tests.faults.two_persons import set_limits
from tests.faults.workload import Kind
from tests.unit.usecases.house import a_history

PRICE: Final = 60_000
"""Of bitcoin, in the market and in every order, so that a limit in money is one in contracts."""
LIMIT_CONTRACTS: Final = 10
DEPOSIT: Final = 10_000_000
SET_UP: Final = "prepare"
"""Reference of what was there before callers came."""
_PERPETUAL: Final = "BTC-PERP"
_LIFETIME_S: Final = 86_400


async def prepare_limited(client: AsyncClient, count: int) -> list[str]:
    """Create a market and accounts with money and a limit, and return their names. Cash and bitcoin are there already."""
    await client.create_instrument(perpetual(_PERPETUAL, underlying="BTC", settlement="USD"), request_id=f"prepare-{_PERPETUAL}")
    history = a_history("spot:BTC")
    await client.import_history(history.dates, {str(factor): column for factor, column in history.levels.items()})
    now = datetime.now(UTC)
    await client.publish_snapshot(now, {"spot:BTC": PRICE})
    names = [account_name(f"l{number}", "core") for number in range(count)]
    for number, name in enumerate(names):
        await client.create_client(f"l{number}", "A client with a limit", request_id=f"prepare-l{number}")
        await client.create_account(name, "Core", request_id=f"prepare-{name}")
        await client.deposit(name, "USD", DEPOSIT, received_at=now, reference=SET_UP, request_id=f"prepare-{name}-deposit")
        await set_limits(client, exposure_limits(name, gross=LIMIT_CONTRACTS * PRICE))
    return names


class OrderBook:
    """The open orders of all accounts, from which some are cancelled again, so that there is always something to decide."""

    def __init__(self) -> None:
        self._open: dict[str, list[int]] = defaultdict(list)
        self._told: set[tuple[str, int]] = set()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of operations of these accounts."""
        return (
            Kind("reserve", 4, self._draw_reserve, self._send_reserve, has_limit=True),
            Kind("release", 3, self._draw_release, self._send_release, has_limit=True),
            Kind("withdraw", 1, _draw_withdrawal, _send_withdrawal, has_limit=True),
        )

    def _draw_reserve(self, chance: random.Random, account: str, request_id: str) -> Operation:
        contracts = chance.randint(1, 4)
        # What the entry of an approval says: all of the order, what it costs, and who asked for it.
        reference = f"main {_PERPETUAL} {contracts} {PRICE} - resting {_LIFETIME_S} {contracts * PRICE} - local {request_id}/1"
        return Operation(request_id, "reserve", account, (Line(reference, _PERPETUAL, Decimal(0)),))

    async def _send_reserve(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        _, instrument_id, contracts, price, *_, reference = operation.lines[0].reference.split(" ")
        wanted = order(instrument_id, contracts, price, lifetime=timedelta(seconds=_LIFETIME_S), reference=reference)
        answer = await client.reserve_margin(operation.account, wanted, request_id=operation.request_id)
        number = answer.reservation.reservation
        if (operation.account, number) not in self._told:
            self._told.add((operation.account, number))
            self._open[operation.account].append(number)
        return (LineAnswer(number),)

    def _draw_release(self, chance: random.Random, account: str, request_id: str) -> Operation:
        if not self._open[account]:
            return self._draw_reserve(chance, account, request_id)
        number = self._open[account].pop(chance.randrange(len(self._open[account])))
        return Operation(request_id, "release", account, (Line(f"{number} released", _PERPETUAL, Decimal(0)),))

    async def _send_release(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
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
