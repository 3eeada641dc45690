"""Sixteen callers race for one limit, on every account at once and over two replicas: approvals never come over it together."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import psycopg

from crossmargin_client import (
    AsyncClient,
    Busy,
    PreconditionFailed,
    account_name,
    cash,
    crypto_asset,
    exposure_limits,
    order,
    perpetual,
)
from tests.faults.bench import Bench
from tests.faults.replicas import SERVE, Replica
from tests.faults.rig import Result
from tests.faults.two_persons import set_limits
from tests.unit.usecases.house import a_history

RACERS: Final = 16
ACCOUNTS: Final = 150
BEFORE_LOCK: Final = ("-m", "tests.faults.mutant_service", "books-before-lock")
"""Without the lock itself the chain of the ledger refuses the second of two that were decided on the same head. So the mistake that lets
approvals through is to look before the lock at what is decided on."""
PRICE: Final = 60_000
LIMIT_CONTRACTS: Final = 10
CONTRACTS_EACH: Final = 3
_MEASURE_S: Final = 10.0
_AT_A_TIME: Final = 8
"""Accounts raced for at once: 128 orders under way."""
_OVER: Final = """
SELECT count(*), max(held) FROM (
    SELECT sum(quantity::numeric) AS held FROM reservation WHERE state = 'active' GROUP BY client_id, account_id
) AS open_orders WHERE held > %s
"""
_APPROVED: Final = "SELECT count(*) FROM reservation"


@dataclass(frozen=True, slots=True)
class Race:
    """What a race came to, as the database tells it.

    Attributes:
        seconds: How long it took.
        hot_per_s: Decisions a second on one account for which all race; 0 when that was not measured.
        apart_per_s: On accounts of their own.
    """

    account_count: int
    over: int
    worst: Decimal
    approved: int
    refused: int
    seconds: float
    hot_per_s: float
    apart_per_s: float


async def race(bench: Bench, account_count: int = ACCOUNTS, *, program: Sequence[str] = SERVE, measure_s: float = 0.0) -> Race:
    """Return how many accounts came over their limit, on two replicas of the program and a database of their own.

    Afterwards sixteen callers decide as fast as they can, for `measure_s` each: all on one account, and each on one of its own.
    """
    name = f"race_{time.monotonic_ns()}"
    bench.postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    folder = bench.folder / name
    folder.mkdir(parents=True)
    url = bench.postgres.url_of(name)
    replicas = [
        Replica(f"replica-{number}", Path(folder), bench.postgres.service_url_of(name), program, ("--no-monitor",)) for number in (1, 2)
    ]
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        async with AsyncClient(replicas[0].address, timeout_s=60) as one, AsyncClient(replicas[1].address, timeout_s=60) as other:
            clients = (one, other)
            accounts = await _furnish(one, account_count)
            # The first question makes each replica's market, so that the race is not for that.
            await asyncio.gather(*(client.get_margin(accounts[0]) for client in clients))
            began = time.monotonic()
            refused = await _race_for(bench, accounts, clients)
            seconds = time.monotonic() - began
            # Before anybody decides on the accounts without a limit.
            over, worst, approved = await asyncio.to_thread(_standing, url)
            hot, apart = 0.0, 0.0
            if measure_s:
                free = await _furnish_more(one, RACERS)
                hot = await _decisions_per_second(clients, free[:1] * RACERS, measure_s)
                apart = await _decisions_per_second(clients, free, measure_s)
    finally:
        for replica in replicas:
            await replica.kill()
    return Race(account_count, over, worst, approved, refused, seconds, hot, apart)


def _standing(url: str) -> tuple[int, Decimal, int]:
    """Return how many accounts are over their limit, what the worst holds, and how many orders were approved."""
    with psycopg.connect(url) as connection:
        over, worst = connection.execute(_OVER, [LIMIT_CONTRACTS]).fetchone()
        (approved,) = connection.execute(_APPROVED).fetchone()
    return over, worst or Decimal(0), approved


async def race_run(bench: Bench) -> Result:
    """Return the long form: 150 accounts, none over its limit; and nearly all of them over it when books are read before the lock."""
    began = time.monotonic()
    kept = await race(bench, measure_s=_MEASURE_S)
    broken = await race(bench, 30, program=BEFORE_LOCK)
    result = Result("race", operations=kept.account_count * RACERS, calls=(kept.account_count + broken.account_count) * RACERS)
    result.findings += race_findings(kept)
    if broken.over < 0.9 * broken.account_count:
        result.findings.append(
            f"looking before the lock, only {broken.over} of {broken.account_count} accounts came over: the race proves little"
        )
    result.remarks += [
        f"{kept.over} of {kept.account_count} accounts over their limit, {kept.approved} approved, {kept.refused} refused",
        f"they were asked in {kept.seconds:.0f} s",
        f"{RACERS} callers decide {kept.apart_per_s:.0f} times a second on an account each, and {kept.hot_per_s:.0f} on one account",
        f"looking before the lock {broken.over} of {broken.account_count}, the worst at {broken.worst} of {LIMIT_CONTRACTS}",
    ]
    result.seconds = time.monotonic() - began
    return result


def race_findings(found: Race) -> list[str]:
    """Return what is wrong about a race with the lock: anything over the limit, and anything that would have fitted."""
    findings = []
    if found.over:
        findings.append(f"over their limit: {found.over} of {found.account_count} accounts, the worst at {found.worst}")
    fitting = LIMIT_CONTRACTS // CONTRACTS_EACH * found.account_count
    if found.approved != fitting:
        findings.append(f"approved: {found.approved}; {fitting} fit")
    if found.approved + found.refused != RACERS * found.account_count:
        findings.append(f"answered: {found.approved} + {found.refused}; {RACERS * found.account_count} were asked")
    return findings


async def _furnish(client: AsyncClient, account_count: int) -> list[str]:
    for instrument in (
        cash("USD", collateral_class="USD"),
        crypto_asset("BTC", collateral_class="BTC"),
        perpetual("BTC-PERP", underlying="BTC", settlement="USD"),
    ):
        await client.create_instrument(instrument)
    history = a_history("spot:BTC")
    await client.import_history(history.dates, {str(factor): column for factor, column in history.levels.items()})
    now = datetime.now(UTC)
    await client.publish_snapshot(now, {"spot:BTC": PRICE})
    return await _open_accounts(client, [account_name(f"racer-{number}", "core") for number in range(account_count)])


async def _furnish_more(client: AsyncClient, count: int) -> list[str]:
    return await _open_accounts(client, [account_name(f"free-{number}", "core") for number in range(count)])


async def _open_accounts(client: AsyncClient, names: list[str]) -> list[str]:
    now = datetime.now(UTC)
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def open_account(name: str) -> None:
        async with turns:
            await client.create_client(name.split("/")[1], "A racer")
            await client.create_account(name, "Core")
            await client.deposit(name, "USD", 10_000_000, received_at=now)
            await set_limits(client, exposure_limits(name, gross=LIMIT_CONTRACTS * PRICE))

    await asyncio.gather(*map(open_account, names))
    return names


async def _race_for(bench: Bench, accounts: Sequence[str], clients: Sequence[AsyncClient]) -> int:
    turns = asyncio.Semaphore(_AT_A_TIME)
    raced = 0

    async def race_on(name: str) -> int:
        nonlocal raced
        async with turns:
            refused = sum(await asyncio.gather(*(_ask(clients[racer % len(clients)], name) for racer in range(RACERS))))
            raced += 1
            bench.tell("race", f"{raced} of {len(accounts)} accounts")
            return refused

    return sum(await asyncio.gather(*map(race_on, accounts)))


async def _ask(client: AsyncClient, account: str) -> bool:
    """Return whether one order was refused for the limit; whoever finds the service busy asks again, any other failure ends the race."""
    wanted, request_id = order("BTC-PERP", CONTRACTS_EACH, PRICE, lifetime=timedelta(hours=1)), uuid.uuid4().hex
    while True:
        try:
            await client.reserve_margin(account, wanted, request_id=request_id)
        except Busy:
            continue
        except PreconditionFailed as refused:
            if refused.reason != "LIMIT_EXCEEDED":
                raise
            return True
        return False


async def _decisions_per_second(clients: Sequence[AsyncClient], accounts: Sequence[str], seconds: float) -> float:
    """Return how many orders are reserved for in a second by one caller on each of the accounts, which releases every one again."""
    until, decided = time.monotonic() + seconds, 0

    async def decide(client: AsyncClient, account: str) -> None:
        nonlocal decided
        while time.monotonic() < until:
            # Half a contract each, of which sixteen fit the limit, so that none is refused.
            with contextlib.suppress(Busy):
                approved = await client.reserve_margin(account, order("BTC-PERP", "0.5", PRICE, lifetime=timedelta(hours=1)))
                decided += 1
                await client.release_reservation(account, approved.reservation.reservation)

    began = time.monotonic()
    await asyncio.gather(*(decide(clients[number % len(clients)], account) for number, account in enumerate(accounts)))
    return decided / (time.monotonic() - began)
