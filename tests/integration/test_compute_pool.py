"""The pool for numpy work: it runs off the event loop, passes on what happens, and refuses work when closed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool


async def test_work_runs_in_a_thread_of_its_own_and_its_result_comes_back():
    pool = ThreadComputePool()
    assert await pool.run(threading.get_ident) != threading.get_ident()
    pool.close()


async def test_what_work_raises_comes_back():
    pool = ThreadComputePool()

    def fail():
        raise ArithmeticError("singular")

    with pytest.raises(ArithmeticError, match="singular"):
        await pool.run(fail)
    pool.close()


async def test_what_somebody_waits_for_is_not_behind_the_blocks_of_a_long_run():
    pool, may_end = ThreadComputePool(2), threading.Event()
    results = pool.over_blocks(may_end, _wait, range(5))
    first = asyncio.ensure_future(anext(results))
    try:
        assert await asyncio.wait_for(pool.run(lambda: 7), timeout=30) == 7
        assert not first.done()
    finally:
        may_end.set()
    assert [await first, *[result async for result in results]] == list(range(5))
    pool.close()


@pytest.mark.parametrize(("threads", "at_once"), [(1, 1), (2, 1), (3, 2)])
async def test_blocks_leave_a_thread_to_others_and_come_back_in_order(threads, at_once):
    pool, gate = ThreadComputePool(threads), _Gate(at_once)
    assert [block async for block in pool.over_blocks(gate, _Gate.passed, range(6))] == list(range(6))
    assert gate.most == at_once
    pool.close()


def _wait(may_end, block):
    assert may_end.wait(timeout=60)
    return block


class _Gate:
    """Lets nobody through before so many are inside, but for those that would have to wait for ever, and knows how many were."""

    def __init__(self, at_once):
        self._inside, self.most, self._lock = 0, 0, threading.Lock()
        self._full = threading.Barrier(at_once)

    def passed(self, block):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._full.wait(timeout=60)
        with self._lock:
            self._inside -= 1
        return block


async def test_a_closed_pool_refuses_work_in_words():
    pool = ThreadComputePool(2)
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run(threading.get_ident)


async def test_the_clock_tells_utc_and_goes_forward():
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0)
    assert before.utcoffset().total_seconds() == 0
    assert clock.now() >= before
