"""Real processes say the same bits as threads do, are started again when they are killed, and are gone when nobody is left to work for."""

from __future__ import annotations

import asyncio
import errno
import operator
import os
import signal
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.runtime import kept_parts, process_pool
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.process_pool import ProcessComputePool
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Band
from crossmargin.domain.stress import StressKind
from crossmargin.engine.stress import prepared, stressed_block
from crossmargin.engine.stress_library import StressScenario
from crossmargin.usecases import house_blocks
from crossmargin.usecases.margin_house import MarginHouse
from tests.unit.engine.stressed_books import SCENARIOS, a_book, a_run
from tests.unit.usecases.house_states import a_house, a_state, a_view

LOST = a_state("beta", "lost", {"USD": 5, "GHOST": 1})
FALLEN = a_state("delta", "core", {"USD": 10, "PERP-LINEAR-USD": (3, 180_360)})
PID = "__import__('os').getpid()"


@asynccontextmanager
async def processes(count=2, **how):
    threads = ThreadComputePool(2)
    pool = ProcessComputePool(threads, count, **({"least_blocks": 1} | how))
    try:
        yield pool
    finally:
        pool.close()
        threads.close()


async def read(pool, shared, work, blocks):
    return [result async for result in pool.over_blocks(shared, work, blocks)]


async def said(pool, *words):
    """What Python says of some words over there. Processes have the service installed and not its tests."""
    return await read(pool, eval, operator.call, words)


def a_view_with_a_ghost(view):
    why = DomainError(Reason.MISSING_RISK_FACTOR, "no spot:GHOST", factor="spot:GHOST")
    return replace(view, market=replace(view.market, unavailable={InstrumentId("GHOST"): why}))


async def a_house_run(pool, view, *, after=lambda done: None):
    """What a monitor finds of a house: one account cannot be valued, one has fallen since the run before and is explained."""
    states = dict(sorted((a_house() | {each.account.ref: each for each in (LOST, FALLEN)}).items()))
    house = MarginHouse(Counted(pool, after), MemoryLeadership(MemoryDatabase()))
    totals = await house.totals(states, view, epoch=0)
    bands = {FALLEN.account.ref: Band.HEALTHY}
    results, failed = await house.margins(states, replace(view, house=totals), epoch=0, bands=bands)
    assert (len(results), failed) == (10, {LOST.account.ref: Reason.MISSING_RISK_FACTOR})
    assert [ref for ref, result in results.items() if result.contributions] == [FALLEN.account.ref]
    return totals.document, list(map(repr, results.values()))


class Counted:
    """A pool that says how many blocks it has done."""

    def __init__(self, pool, after):
        self.pool, self.after, self.done, self.run = pool, after, 0, pool.run

    async def over_blocks(self, shared, work, blocks):
        async with aclosing(self.pool.over_blocks(shared, work, blocks)) as results:
            async for result in results:
                self.done += 1
                self.after(self.done)
                yield result


@pytest.fixture(scope="module")
def expected():
    """What threads find, at two markets."""
    threads = ThreadComputePool(2)
    views = [a_view_with_a_ghost(a_view(average_daily_volume=volume)) for volume in ("2000", "500")]
    yield [(view, asyncio.run(a_house_run(threads, view))) for view in views]
    threads.close()


@pytest.mark.parametrize(("count", "size"), [(1, 4), (2, 1), (3, 20)])
async def test_processes_say_the_same_bits_as_threads_however_many_there_are(monkeypatch, expected, count, size):
    monkeypatch.setattr(house_blocks, "BLOCK_ACCOUNTS", size)
    async with processes(count) as pool:
        for view, found in (*expected, expected[0]):
            assert await a_house_run(pool, view) == found
        assert len(pool.process_ids) == count


async def test_a_ramp_between_parameter_sets_and_a_stress_run_have_the_same_bits_there(expected):
    (view, _), (before, _) = expected
    ramped = replace(view, previous=before, fraction=view.fraction / 4)
    run = a_run(view.market, *(StressScenario(f"move {place}", StressKind.AD_HOC, SCENARIOS.shocks[place]) for place in (3, 9)))
    books = [a_book({"USD": 100_000 + size, "BTC": size, "PERP-LINEAR-USD": (-size, -60_120 * size)}) for size in range(1, 7)]
    accounts = prepared(run, books)
    work = [(place, accounts[start : start + 2]) for place in (0, 1) for start in (0, 2, 4)]
    threads = ThreadComputePool(1)
    async with processes() as pool:
        assert await a_house_run(pool, ramped) == await a_house_run(threads, ramped)
        there, here = [await read(each, run, stressed_block, work) for each in (pool, threads)]
    threads.close()
    for one, other in zip(here, there, strict=True):
        assert one.accounts == other.accounts
        assert np.array(list(one.profits.positions.values())).tobytes() == np.array(list(other.profits.positions.values())).tobytes()


async def test_work_is_done_elsewhere_in_order_and_what_somebody_waits_for_is_done_here():
    async with processes() as pool:
        assert await pool.run(os.getpid) == os.getpid()
        there = await said(pool, *[PID] * 12)
        assert os.getpid() not in there
        assert set(there) <= set(pool.process_ids)
        assert await read(pool, 10, operator.add, range(30)) == list(range(10, 40))


async def test_a_process_knows_no_password_and_is_nicer_than_we_are(monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_DATABASE_URL", "postgresql://owner:secret@db/books")
    monkeypatch.setenv("PGPASSWORD", "secret")
    async with processes(1) as pool:
        (environment, niceness) = await said(pool, "dict(__import__('os').environ)", "__import__('os').nice(0)")
    assert "secret" not in str(environment)
    assert niceness == min(19, os.nice(0) + 5)


async def test_two_runs_at_once_share_the_processes(expected):
    (view, found), (other, found_there) = expected
    async with processes() as pool:
        together = await asyncio.gather(a_house_run(pool, view), a_house_run(pool, other), a_house_run(pool, view))
    assert together == [found, found_there, found]


async def test_a_process_that_is_killed_in_the_middle_of_a_run_is_started_again_and_its_blocks_done_again(monkeypatch, expected):
    monkeypatch.setattr(house_blocks, "BLOCK_ACCOUNTS", 1)
    (view, found), _ = expected
    async with processes() as pool:
        await a_house_run(pool, view)
        before = list(pool.process_ids)

        def kill_one(done):
            if done == 13:
                os.kill(pool.process_ids[0], signal.SIGKILL)

        with capture_logs() as told:
            assert await a_house_run(pool, view, after=kill_one) == found
            await until(lambda: len(pool.process_ids) == 2 and pool.process_ids != before)
        assert [each["exit_code"] for each in lost(told)] == [-signal.SIGKILL]
        assert len(set(before) & set(pool.process_ids)) == 1
        assert await a_house_run(pool, view) == found


async def test_a_block_that_ends_every_process_is_done_here(tmp_path):
    """The first two processes that get it die of it; it would end us as well, were it not that by then it has been there twice."""
    mark = tmp_path / "deaths"
    mark.touch()
    dies = f"mark.write_text(mark.read_text() + 'x') < 3 and __import__('os').kill({PID}, 9)"
    deadly = f"(lambda mark: {dies} or {PID})(__import__('pathlib').Path({str(mark)!r}))"
    async with processes() as pool:
        with capture_logs() as told:
            done = await said(pool, PID, deadly, PID, PID)
        assert done[1] == os.getpid()
        assert os.getpid() not in (done[0], *done[2:])
        assert len(lost(told)) == 2


async def test_a_process_that_keeps_a_block_to_itself_is_ended():
    async with processes(1, longest_s=1.0) as pool:
        await said(pool, PID)
        (first,) = pool.process_ids
        os.kill(first, signal.SIGSTOP)
        assert os.getpid() not in await said(pool, PID, PID)
        assert first not in pool.process_ids


async def test_when_no_process_lives_runs_stay_on_threads(monkeypatch):
    monkeypatch.setattr(process_pool.sys, "executable", "/bin/false")
    async with processes() as pool:
        with capture_logs() as told:
            assert await read(pool, 10, operator.add, range(6)) == list(range(10, 16))
            assert set(await said(pool, PID)) == {os.getpid()}
        assert sum(each["event"] == "runs stay on threads for a while" for each in told) == 1


async def test_without_room_for_what_a_run_shares_it_stays_on_threads(monkeypatch, expected):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_parts.KeptParts, "cut", full)
    (view, found), _ = expected
    async with processes() as pool:
        with capture_logs() as told:
            assert await a_house_run(pool, view) == found
        assert {each["event"] for each in told} == {"a run stays on threads"}
        assert pool.process_ids == []


async def test_a_closed_pool_starts_no_process(expected):
    async with processes() as pool:
        pool.close()
        assert set(await said(pool, PID)) == {os.getpid()}
        assert pool.process_ids == []


async def test_what_fails_there_fails_here_and_the_process_lives_on():
    async with processes(1) as pool:
        with pytest.raises(ZeroDivisionError):
            await read(pool, 1, operator.truediv, [1, 0])
        (living,) = pool.process_ids
        assert await said(pool, PID) == [living]


async def test_short_runs_stay_on_threads_and_start_nothing():
    async with processes(2, least_blocks=8) as pool:
        assert set(await said(pool, *[PID] * 7)) == {os.getpid()}
        assert pool.process_ids == []
        assert os.getpid() not in await said(pool, *[PID] * 8)
        assert os.getpid() not in await said(pool, *[PID] * 4)
        assert set(await said(pool, *[PID] * 3)) == {os.getpid()}


async def test_whoever_stops_reading_stops_the_work():
    begun = []

    def blocks():
        for place in range(1_000):
            begun.append(place)
            yield place

    async with processes() as pool:
        async with aclosing(pool.over_blocks(10, operator.add, blocks())) as results:
            assert await anext(results) == 10
        assert len(begun) <= 8
        assert await read(pool, 1, operator.add, [1]) == [2]


async def test_processes_end_when_there_has_been_no_run_for_a_while_and_come_back_with_the_next(expected):
    (view, found), _ = expected
    async with processes(2, idle_s=0.05) as pool:
        assert await a_house_run(pool, view) == found
        await until(lambda: pool.process_ids == [])
        assert files_in_memory() == 0
        assert await a_house_run(pool, view) == found


async def test_of_markets_that_are_over_nothing_is_kept():
    views = [a_view_with_a_ghost(a_view()) for _ in range(4)]
    async with processes() as pool:
        for view in views:
            await a_house_run(pool, view)
            kept = await said(pool, *["len([one for one in __import__('gc').get_objects() if type(one).__name__ == 'RevaluedMarket'])"] * 8)
        assert max(kept) <= 1
        assert files_in_memory() <= 2, "a market and its scenarios"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_whoever_started_it(end):
    """Both processes have our end of the pipe: it is at its end once the last of the three is gone, in the middle of a block as well."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as starter:
        assert [starter.stdout.readline() for _ in range(2)] == ["asleep\n"] * 2
        starter.send_signal(end)
        rest, _ = starter.communicate(timeout=60)
        assert rest == ""


STARTER = """
import asyncio, operator
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.process_pool import ProcessComputePool

async def work():
    pool = ProcessComputePool(ThreadComputePool(), 2, least_blocks=1)
    asleep = "print('asleep', flush=True) or __import__('time').sleep(600)"
    async for _ in pool.over_blocks(eval, operator.call, [asleep] * 4):
        pass

asyncio.run(work())
"""


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - of a process, which sets no event here
            await asyncio.sleep(0.01)


def lost(told):
    return [each for each in told if each["event"] == "a process for runs was lost"]


def files_in_memory():
    """How many files without a name this process has open. One may be closed between two looks."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += "memfd:crossmargin" in str(each.readlink())
        except OSError:
            continue
    return found
