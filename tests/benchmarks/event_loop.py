"""The event loop in the middle of a house run beside an idle one, the way production has it: what every caller waits for meanwhile."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeAlias

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.cores import cores_at_hand, default_process_count
from crossmargin.adapters.runtime.process_pool import ProcessComputePool
from crossmargin.app.serving import SWITCH_INTERVAL_S
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.margin_house import MarginHouse, States
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn
from tests.benchmarks.houses import A_SNAPSHOT, a_market, a_packed_house, parameters_of_the_house
from tests.benchmarks.machine import pin, unpin

ACCOUNTS, QUICK_ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 1_200, 400, 200, 2_000, 1_000
THREADS: Final = 2
_TICK_S: Final = 0.001
_KNOCKER: Final = """
import socket, struct, sys, time
door = socket.socket(fileno=int(sys.argv[1]))
while True:
    time.sleep(0.001)
    door.sendall(struct.pack("d", time.perf_counter()))
"""
_Work: TypeAlias = Callable[[ProcessComputePool], Awaitable[object]]
_Meter: TypeAlias = Callable[[asyncio.Future[object]], Awaitable[Sequence[float]]]


def run(plan: Plan) -> list[Measured]:
    """Return the rows of a timer's lateness, of how late another process is heard, and of two processes beside one."""
    accounts = QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS
    parameters, market = parameters_of_the_house(), a_market(INSTRUMENTS, SCENARIOS)
    states, view = a_packed_house(accounts, POSITIONS, market), MarketView(A_SNAPSHOT, market, parameters, 1)

    async def run_house(pool: ProcessComputePool) -> None:
        await _run(pool, states, view)

    async def rest(_: ProcessComputePool) -> None:
        await asyncio.sleep(1.0)

    unpin()
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is imported is left out of later collections, as in the service
    count = default_process_count(cores_at_hand())
    late = [
        in_turn(
            f"{what}, house run of {accounts:,} accounts",
            "idle",
            Goal(Ratio.COST, 2.0),
            ours=lambda meter=meter: asyncio.run(_late(run_house, meter, count)),
            theirs=lambda meter=meter: asyncio.run(_late(rest, meter, count)),
            plan=plan,
            note=f"{count} processes on as many cores, which the loop has too; {note}",
        )
        for what, meter, note in (
            ("event loop, p99 of lateness", _timer, "a timer of 1 ms, which asyncio rounds up to a whole one after whatever else it hears"),
            ("event loop, p99 until another process is heard", _knocks, "a byte string each millisecond, from its sending"),
        )
    ]
    faster = in_turn(
        f"house run of {accounts:,} accounts, two processes",
        "one process",
        Goal(Ratio.SPEED, 1.7),
        ours=lambda: asyncio.run(_seconds(run_house, 2)),
        theirs=lambda: asyncio.run(_seconds(run_house, 1)),
        plan=plan,
        note="totals and margins in brief of a market that is new; the leader works beside them",
    )
    sys.setswitchinterval(before)
    pin(0)
    return [*late, faster]


async def _run(pool: ProcessComputePool, states: States, view: MarketView) -> None:
    """Run the house at a market that no process has been sent yet."""
    house = MarginHouse(pool, MemoryLeadership(MemoryDatabase()))
    new = replace(view, market=replace(view.market))
    totals = await house.totals(states, new, epoch=0)
    await house.margins(states, new if totals is None else replace(new, house=totals), epoch=0)


@asynccontextmanager
async def _started(work: _Work, count: int):
    """Yield processes that have done it once: they know the instruments by then, as they do in production."""
    threads = ThreadComputePool(THREADS)
    pool = ProcessComputePool(threads, count)
    await work(pool)
    yield pool
    pool.close()
    threads.close()


async def _seconds(work: _Work, count: int) -> float:
    async with _started(work, count) as pool:
        began = time.perf_counter()
        await work(pool)
        return time.perf_counter() - began


async def _late(work: _Work, meter: _Meter, count: int) -> float:
    async with _started(work, count) as pool:
        late = await meter(asyncio.ensure_future(work(pool)))
        return max(sorted(late)[int(0.99 * len(late))], 1e-6)


async def _timer(working: asyncio.Future[object]) -> Sequence[float]:
    late = []
    while not working.done():
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        late.append(time.perf_counter() - before - _TICK_S)
    await working
    return late


async def _knocks(working: asyncio.Future[object]) -> Sequence[float]:
    """The clock is the machine's, so that both processes read the same one."""
    late: list[float] = []
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def hear() -> None:
        now = time.perf_counter()
        late.extend(now - sent for (sent,) in struct.iter_unpack("d", ours.recv(65_536)))

    with ours, theirs:
        knocker = _knocker(theirs.fileno())
        asyncio.get_running_loop().add_reader(ours, hear)
        await working
        asyncio.get_running_loop().remove_reader(ours)
        knocker.kill()
        knocker.wait()
    return late


def _knocker(door: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _KNOCKER, str(door)], pass_fds=[door])
