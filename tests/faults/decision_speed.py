"""How long a decision takes beside the least it could: the same lock, insert and commit, written by hand and made in turn with it."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

import psycopg

from crossmargin_client import AsyncClient, account_name, order
from tests.faults.bench import Bench
from tests.faults.orders import PERPETUAL, PRICE, prepare_limited
from tests.faults.replicas import Replica
from tests.faults.rig import Result
from tests.faults.workload import EXECUTED, prepare

_ROUNDS: Final = 400
_WARM_UP: Final = 40
_LOCK: Final = b"SELECT sequence, chain_hash FROM account_head WHERE client_id = %s AND account_id = %s FOR UPDATE"
_INSERT: Final = b"""
WITH moved AS (
    UPDATE account_head SET sequence = sequence + 1 WHERE client_id = %s AND account_id = %s RETURNING client_id, account_id, sequence
)
INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash)
SELECT client_id, account_id, sequence, 'reservation', now(), 'by hand', %s, %s FROM moved
"""


async def decision_speed(bench: Bench, rounds: int = _ROUNDS) -> Result:
    """Return how long it takes to reserve margin through a replica, and to lock, insert and commit by hand, one after the other.

    Orders differ, so that what each of them needs is computed; what the account needs without it was, by the decision before.
    """
    name, began = f"speed_{time.monotonic_ns()}", time.monotonic()
    bench.postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    folder = bench.folder / name
    folder.mkdir(parents=True)
    url = bench.postgres.url_of(name)
    replica = Replica("replica", folder, bench.postgres.service_url_of(name), flags=("--no-monitor",))
    try:
        await replica.start()
        async with (
            AsyncClient(replica.address, timeout_s=60) as client,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as by_hand,
        ):
            desk = _Desk(client, account_name("l0", "core"))
            await prepare(client, 2)
            await prepare_limited(client, 1)
            took = await _in_turn(
                rounds,
                {
                    "by hand": lambda: _by_hand(by_hand, "c0", "a1"),
                    "reserve": desk.reserve,
                    "release": desk.release,
                    "deposit": lambda: client.deposit(account_name("c0", "a0"), "USD", 1, received_at=EXECUTED),
                    "read": lambda: client.list_positions(desk.account),
                },
            )
    finally:
        await replica.kill()
    result = Result("speed", seconds=time.monotonic() - began, calls=rounds * len(took))
    least = statistics.median(took["by hand"])
    result.remarks += [_line(what, seconds, least) for what, seconds in took.items()]
    return result


async def _in_turn(rounds: int, works: Mapping[str, Callable[[], Awaitable[object]]]) -> dict[str, list[float]]:
    took = defaultdict(list)
    for number in range(rounds + _WARM_UP):
        for what, work in works.items():
            began = time.perf_counter()
            await work()
            if number >= _WARM_UP:
                took[what].append(time.perf_counter() - began)
    return took


def _line(what: str, seconds: list[float], least: float) -> str:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, {p50 / least:.2f} times the lock, insert and commit by hand"


async def _by_hand(connection: psycopg.AsyncConnection, *name: str) -> None:
    await connection.execute(b"BEGIN")
    _, chain_hash = await (await connection.execute(_LOCK, name)).fetchone()
    await connection.execute(_INSERT, (*name, chain_hash, chain_hash))
    await connection.execute(b"COMMIT")


@dataclass
class _Desk:
    """Somebody who reserves for one order after the other, each of another size, and releases it again."""

    client: AsyncClient
    account: str
    reserved: int = 0
    _sizes: Iterator[int] = field(default_factory=itertools.count)

    async def reserve(self) -> None:
        contracts = Decimal(1) + Decimal(next(self._sizes) + 1) / 1000
        answer = await self.client.reserve_margin(self.account, order(PERPETUAL, contracts, PRICE, lifetime=timedelta(hours=1)))
        self.reserved = answer.reservation.reservation

    async def release(self) -> None:
        await self.client.release_reservation(self.account, self.reserved)
