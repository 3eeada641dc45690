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
    pool, held = ThreadComputePool(2), _Held()
    results = pool.over_blocks(held, _Held.work, range(5))
    first = asyncio.ensure_future(anext(results))
    try:
        assert await asyncio.to_thread(held.began.acquire, timeout=60)
        assert await asyncio.wait_for(pool.run(lambda: 7), timeout=30) == 7
        assert not first.done()
    finally:
        held.may_end.set()
    assert [await first, *[result async for result in results]] == list(range(5))
    pool.close()


@pytest.mark.parametrize(("threads", "at_once"), [(1, 1), (2, 1), (3, 2)])
async def test_blocks_leave_a_thread_to_others(threads, at_once):
    pool, held = ThreadComputePool(threads), _Held()
    results = pool.over_blocks(held, _Held.work, range(6))
    first = asyncio.ensure_future(anext(results))
    for _ in range(at_once):
        assert await asyncio.to_thread(held.began.acquire, timeout=60)
    # One more would have begun by now: it was handed over with the others.
    one_more = await asyncio.to_thread(held.began.acquire, timeout=0.2)
    held.may_end.set()
    assert [await first, *[result async for result in results]] == list(range(6))
    assert not one_more
    pool.close()


class _Held:
    """Blocks that begin, and end when they may."""

    def __init__(self):
        self.began, self.may_end = threading.Semaphore(0), threading.Event()

    def work(self, block):
        self.began.release()
        assert self.may_end.wait(timeout=60)
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
