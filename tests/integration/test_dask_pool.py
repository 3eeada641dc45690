"""Two real workers of a cluster say the same bits as the threads of one process, of stress and of a house run, and stop when told to."""

from __future__ import annotations

import contextlib
import operator
import os
import signal
from contextlib import aclosing
from dataclasses import replace

import distributed
import numpy as np
import pytest
from structlog.testing import capture_logs

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.dask_pool import DaskComputePool
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.stress import StressKind
from crossmargin.engine.stress import prepared, stressed_block
from crossmargin.engine.stress_library import StressScenario
from crossmargin.usecases.margin_house import MarginHouse
from tests.unit.engine.stressed_books import INSTRUMENTS, SCENARIOS, a_book, a_market, a_run
from tests.unit.usecases.house_states import a_house, a_state, a_view

HELD = {"USD", "BTC", "ETH", "PERP-LINEAR-USD", "CALL-CASH"}
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in HELD])
BOOKS = [a_book({"USD": 100_000 + size, "BTC": size, "PERP-LINEAR-USD": (-size, -60_120 * size)}) for size in range(1, 7)]
MOVES = [StressScenario(f"move {place}", StressKind.AD_HOC, SCENARIOS.shocks[place]) for place in (3, 9)]


async def read(pool, shared, work, blocks):
    return [result async for result in pool.over_blocks(shared, work, blocks)]


async def a_house_run(pool):
    """What a monitor finds of a house, one of whose accounts cannot be valued; of a market with an instrument that cannot be."""
    lost = a_state("beta", "lost", {"USD": 5, "GHOST": 1})
    states, view = a_house() | {lost.account.ref: lost}, a_view()
    why = DomainError(Reason.MISSING_RISK_FACTOR, "no spot:GHOST", factor="spot:GHOST")
    view = replace(view, market=replace(view.market, unavailable={InstrumentId("GHOST"): why}))
    house = MarginHouse(pool, MemoryLeadership(MemoryDatabase()))
    totals = await house.totals(states, view, epoch=0)
    results, failed = await house.margins(states, replace(view, house=totals), epoch=0)
    assert (len(results), failed) == (9, {lost.account.ref: Reason.MISSING_RISK_FACTOR})
    return totals.document, list(map(repr, results.values()))


async def test_a_cluster_says_the_same_bits_as_threads_do():
    threads = ThreadComputePool(2)
    run = a_run(MARKET, *MOVES)
    accounts = prepared(run, BOOKS)
    work = [(place, accounts[start : start + 2]) for place in range(len(MOVES)) for start in range(0, len(accounts), 2)]
    async with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, asynchronous=True, dashboard_address=None) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        pool = DaskComputePool(threads, client)
        there = await read(pool, run, stressed_block, work)
        async with aclosing(pool.over_blocks(run, stressed_block, work)) as results:
            assert (await anext(results)).accounts == there[0].accounts
        assert await pool.run(lambda: 7) == 7
        assert os.getpid() not in await where(pool)
        spread = await a_house_run(pool)
    here = await read(threads, run, stressed_block, work)
    assert spread == await a_house_run(threads)
    threads.close()
    for one, other in zip(here, there, strict=True):
        assert one.accounts == other.accounts
        assert np.array(list(one.profits.positions.values())).tobytes() == np.array(list(other.profits.positions.values())).tobytes()
        assert one.profits.groups == other.profits.groups


async def test_a_run_whose_cluster_goes_away_is_ended_here_and_the_next_one_made_here():
    threads = ThreadComputePool(2)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(threads.close)
        cluster = await stack.enter_async_context(
            distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, asynchronous=True, dashboard_address=None)
        )
        client = await stack.enter_async_context(distributed.Client(cluster.scheduler_address, asynchronous=True))
        pool, seen = DaskComputePool(threads, client, longest_s=10.0), []
        with capture_logs() as said:
            assert os.getpid() not in await where(pool)
        assert given_up(said) == []
        with capture_logs() as said:
            async with aclosing(pool.over_blocks(10, operator.add, range(12))) as results:
                async for result in results:
                    seen.append(result)
                    if len(seen) == 3:
                        await cluster.close()
        assert (seen, len(given_up(said))) == (list(range(10, 22)), 1)
        with capture_logs() as said:
            assert set(await where(pool)) == {os.getpid()}
        assert given_up(said) == [], "nobody asks a cluster that is known to be away"


async def test_blocks_that_a_worker_keeps_to_itself_are_done_here_and_what_fails_there_fails_here():
    threads = ThreadComputePool(1)
    async with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, asynchronous=True, dashboard_address=None) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        with pytest.raises(ZeroDivisionError):
            await read(DaskComputePool(threads, client), 1, operator.truediv, [1, 0])
        worker = cluster.workers[0].pid
        os.kill(worker, signal.SIGSTOP)
        try:
            with capture_logs() as said:
                assert await read(DaskComputePool(threads, client, longest_s=0.5), 10, operator.add, range(4)) == [10, 11, 12, 13]
        finally:
            os.kill(worker, signal.SIGCONT)
        assert [each["why"] for each in given_up(said)] == ["TimeoutError"]
    threads.close()


async def where(pool):
    """Return the processes that work for a pool. Workers have the service installed and not its tests, so it is asked in words."""
    return await read(pool, eval, operator.call, ["__import__('os').getpid()"] * 4)


def given_up(said):
    return [each for each in said if each["event"] == "the cluster was given up for a run"]
