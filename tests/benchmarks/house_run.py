"""A whole house run as the monitor makes it: PostgreSQL, blocks, storing, calls. What moves costs, what stands does not, others go on."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.leadership import PostgresLeadership
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.cores import cores_at_hand, default_process_count
from crossmargin.adapters.runtime.process_pool import LEAST_BLOCKS, ProcessComputePool
from crossmargin.app.ports import Ports, postgres_ports, store_shipped_parameters
from crossmargin.app.serving import SWITCH_INTERVAL_S
from crossmargin.app.use_cases import build_use_cases
from crossmargin.domain.book import Trade
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.review_calls import ReviewCalls
from crossmargin.usecases.review_liquidations import ReviewLiquidations
from crossmargin.usecases.run_house import RunHouse
from crossmargin.usecases.use_cases import UseCases
from tests.benchmarks.furniture import COINS, EXECUTED, Furniture, coin_of
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, say, summary
from tests.benchmarks.load import FILL
from tests.benchmarks.machine import pin, unpin
from tests.benchmarks.service_rig import bench_postgres, database_of

ACCOUNTS, QUICK_ACCOUNTS, POSITIONS = 500, 300, 200
MOVED_SHARE: Final = 50
"""One account of so many moves between two runs."""
THREADS: Final = 2
IDLE_S: Final = 3.0
_TICK_S: Final = 0.001
_PREVIEW_EVERY_S: Final = 0.02
_BETWEEN: Final = timedelta(seconds=1)
_MOVE: Final = (
    "UPDATE position SET quantity = quantity + 1 WHERE instrument_id = 'P00000' AND client_id = ANY ('{{{clients}}}')",
    "UPDATE account_head SET sequence = sequence + 1, chain_hash = sha256(chain_hash) WHERE client_id = ANY ('{{{clients}}}')",
)
_CASH: Final = """
INSERT INTO position (client_id, account_id, book_id, instrument_id, quantity, cost)
SELECT 'load' || n, 'core', 'main', 'USD', 1e12, 0 FROM generate_series(1, {accounts}) AS n
"""
_numbers = count(1)


def run(plan: Plan) -> list[Measured]:
    """Return the rows of a house run."""
    accounts = QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS
    postgres, _ = bench_postgres()
    name = database_of(Furniture(POSITIONS))
    for statement in (*FILL, _CASH):
        postgres.execute(statement.format(accounts=accounts, each=POSITIONS), name)
    postgres.execute("VACUUM ANALYZE", name)
    unpin()
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is imported is left out of later collections, as in the service
    try:
        found = asyncio.run(_rounds(plan, accounts, postgres.service_url_of(name), lambda sql: postgres.execute(sql, name)))
    finally:
        sys.setswitchinterval(before)
        pin(0)
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return found


@dataclass(frozen=True, slots=True)
class Took:
    """What one run took of the clock, of this process's processor and of the others', and how late timers and previews were meanwhile."""

    clock_s: float
    processor_s: float
    elsewhere_s: float
    late_s: Sequence[float]
    previews_s: Sequence[float]


class _House:
    """A replica with its monitor, and nothing that runs by itself."""

    def __init__(self, ports: Ports, leadership: PostgresLeadership, accounts: int, pool: ProcessComputePool) -> None:
        self.ports, self.accounts, self.pool = ports, accounts, pool
        self.market = CurrentMarket(ports.instruments, ports.market, ports.parameters, ports.compute)
        self.use_cases: UseCases = build_use_cases(ports, self.market)
        calls = ReviewCalls(ports.writer, ports.calls, ports.breakers, ports.call_reports, ports.clock)
        liquidations = ReviewLiquidations(ports.writer, ports.liquidations, ports.liquidation_reports, ports.compute, ports.clock)
        metrics = MarginMetrics(CollectorRegistry())
        self.monitor = RunHouse(
            ports.books, self.market, ports.compute, metrics, leadership, ports.history, ports.clock, calls, liquidations
        )
        self._at = datetime.now(UTC)

    async def run(self) -> None:
        """Make one run of the whole house."""
        failed = await self.monitor.run_once(await self.ports.books.account_sequences(), await self.market())
        if failed:
            raise RuntimeError(f"accounts failed: {failed}")

    async def move_market(self) -> None:
        """Publish another market, revalued before anything is timed."""
        self._at, number = self._at + _BETWEEN, next(_numbers)
        levels = {FactorId.parse(f"spot:{coin}"): Decimal(f"{price * (1 + 0.0001 * number):.4f}") for coin, price in COINS.items()}
        await self.use_cases.publish_snapshot(MarketSnapshot(self._at, levels, {}), principal="bench")
        await self.market()

    async def preview(self) -> None:
        """Preview a trade that was never previewed before."""
        number = next(_numbers)
        account = AccountRef(ClientId(f"load{1 + number % self.accounts}"), AccountId("core"))
        name = InstrumentId("P00001")
        price = Decimal(f"{COINS[coin_of(name)]:.2f}")
        await self.use_cases.preview_trades(account, [Trade(account, BookId("main"), name, Decimal(number), price, EXECUTED)])


@asynccontextmanager
async def _house(url: str, accounts: int) -> AsyncIterator[_House]:
    database, threads, leadership = Database(url), ThreadComputePool(THREADS), PostgresLeadership(url)
    pool = ProcessComputePool(threads, default_process_count(cores_at_hand()))
    await database.open()
    try:
        # The first long run of a process waits for others to start; what is timed are those after it.
        async for _ in pool.over_blocks(0, operator.add, range(2 * LEAST_BLOCKS)):
            pass
        ports = postgres_ports(database, compute=pool, registry=CollectorRegistry(), halt_alert_s=60.0)
        await store_shipped_parameters(ports)
        if not await leadership.try_lead():
            raise LeadershipLostError("somebody else leads in a database of our own")
        yield _House(ports, leadership, accounts, pool)
    finally:
        await leadership.close()
        await database.close()
        pool.close()
        threads.close()


async def _took(house: _House, work: Callable[[], Awaitable[None]], preview: Callable[[], Awaitable[None]] | None) -> Took:
    late: list[float] = []
    previews: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            late.append(time.perf_counter() - before - _TICK_S)

    async def previewing() -> None:
        while preview is not None:
            await asyncio.sleep(_PREVIEW_EVERY_S)
            before = time.perf_counter()
            await preview()
            previews.append(time.perf_counter() - before)

    beside = [asyncio.create_task(tick()), asyncio.create_task(previewing())]
    began, used, elsewhere = time.perf_counter(), time.process_time(), _processor_of(house.pool.process_ids)
    await work()
    there = _processor_of(house.pool.process_ids) - elsewhere
    took = Took(time.perf_counter() - began, time.process_time() - used, there, late, previews)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    return took


@dataclass(frozen=True, slots=True)
class Round:
    """The runs of one round, each of a replica that begins with nothing: everything new; as many as move at the same market; at another."""

    first: Took
    moved: Took
    market: Took
    idle: Took
    idle_previews: Took
    run_previews: Took


_Side: TypeAlias = Callable[[Round], float]


async def _rounds(plan: Plan, accounts: int, url: str, execute: Callable[[str], object]) -> list[Measured]:
    rounds: list[Round] = []
    for place in range(plan.rounds):
        while len(rounds) == place:
            say(f"house run: round {place + 1} of {plan.rounds}")
            # On a machine that is too busy to be heard of within its lease a round is made again.
            with suppress(LeadershipLostError):
                rounds.append(await _round(accounts, url, execute))
    return _rows(accounts, rounds)


async def _round(accounts: int, url: str, execute: Callable[[str], object]) -> Round:
    clients = ",".join(f"load{1 + place}" for place in range(0, accounts, MOVED_SHARE))

    def move() -> None:
        for statement in _MOVE:
            execute(statement.format(clients=clients))

    async with _house(url, accounts) as house:
        await house.move_market()
        idle = await _took(house, lambda: asyncio.sleep(IDLE_S), None)
        first = await _took(house, house.run, None)
        await asyncio.to_thread(move)
        moved = await _took(house, house.run, None)
        await asyncio.to_thread(move)
        await house.move_market()
        market = await _took(house, house.run, None)
        for _ in range(20):
            await house.preview()
        idle_previews = await _took(house, lambda: asyncio.sleep(IDLE_S), house.preview)
        await house.move_market()
        run_previews = await _took(house, house.run, house.preview)
    return Round(first, moved, market, idle, idle_previews, run_previews)


def _rows(accounts: int, rounds: Sequence[Round]) -> list[Measured]:
    house = f"house run, {accounts:,} x {POSITIONS}"

    def cost(path: str, against: str, goal: float, note: str, sides: tuple[_Side, _Side]) -> Measured:
        pairs = [(sides[0](one), sides[1](one)) for one in rounds]
        return summary((path, against), Goal(Ratio.COST, goal), [own / other for own, other in pairs], pairs, note)

    def speed(took: Callable[[Round], Took]) -> str:
        clock_s, used_s = (_median(value(took(one)) for one in rounds) for value in (_clock_s, _processor_s))
        there_s = _median(took(one).elsewhere_s for one in rounds)
        each = f"{1e3 * used_s / accounts:.2f} ms of this process and {1e3 * there_s / accounts:.2f} of the others each"
        return f"{accounts / clock_s:,.0f} accounts a second; {each}"

    new, largest, idle = (
        1e3 * _median(_at(of(one).late_s, share) for one in rounds)
        for of, share in ((_first, 0.99), (_at_market, 1.0), (lambda one: one.idle, 1.0))
    )
    late = f"a timer of 1 ms; reading and storing included. All read anew {new:.1f} ms; largest {largest:.1f}, idle {idle:.1f}"
    anew = f"first: {speed(_first)}; then {speed(lambda one: one.moved)}"
    return [
        cost(f"{house}, 2% moved, same market", "the first run", 0.1, anew, (lambda one: one.moved.clock_s, lambda one: one.first.clock_s)),
        cost(
            f"{house}, 2% moved, another market",
            "the first run",
            1.0,
            speed(_at_market),
            (lambda one: one.market.clock_s, lambda one: one.first.clock_s),
        ),
        cost(f"event loop, p99 of lateness, {house}", "idle", 2.0, late, (_late_in_run, lambda one: _at(one.idle.late_s, 0.99))),
        *(
            cost(
                f"preview p{100 * share:.0f} in a {house}",
                "without a run",
                2.0,
                "another account each time",
                (
                    lambda one, share=share: _at(one.run_previews.previews_s, share),
                    lambda one, share=share: _at(one.idle_previews.previews_s, share),
                ),
            )
            for share in (0.5, 0.95)
        ),
    ]


def _first(one: Round) -> Took:
    return one.first


def _at_market(one: Round) -> Took:
    return one.market


def _late_in_run(one: Round) -> float:
    return _at(one.market.late_s, 0.99)


def _median(values: Iterable[float]) -> float:
    found = sorted(values)
    return found[len(found) // 2]


def _clock_s(took: Took) -> float:
    return took.clock_s


def _processor_s(took: Took) -> float:
    return took.processor_s


def _at(values: Sequence[float], share: float) -> float:
    return max(sorted(values)[min(int(share * len(values)), len(values) - 1)], 1e-6)


def _processor_of(process_ids: Iterable[int]) -> float:
    """Return the processor time of processes until now, in seconds; of one that is gone none."""
    found = 0.0
    for process_id in process_ids:
        with suppress(OSError):
            fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
