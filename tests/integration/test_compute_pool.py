"""The pool for numpy work: it runs off the event loop, passes on what happens, and refuses work when closed."""

from __future__ import annotations

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
