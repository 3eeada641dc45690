"""The engine's work is timed on its thread and named after who asked for it, and what it raises is raised."""

from __future__ import annotations

import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.engine_metrics import EngineMetrics, TimedComputePool
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool

STAGE = {"stage": "evaluate"}


def evaluate(work):
    def asked():
        return work()

    return asked


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def compute(registry):
    pool = ThreadComputePool()
    yield TimedComputePool(pool, EngineMetrics(registry))
    pool.close()


async def test_work_is_counted_under_the_function_that_asked_for_it(registry, compute):
    assert await compute.run(evaluate(lambda: 42)) == 42
    assert registry.get_sample_value("crossmargin_engine_seconds_count", STAGE) == 1
    assert registry.get_sample_value("crossmargin_engine_wait_seconds_count") == 1


async def test_work_that_fails_is_counted_and_its_error_raised(registry, compute):
    def fail():
        raise ValueError("no level")

    with pytest.raises(ValueError, match="no level"):
        await compute.run(evaluate(fail))
    assert registry.get_sample_value("crossmargin_engine_seconds_count", STAGE) == 1


async def test_waiting_for_a_thread_is_not_computing(registry, compute):
    """The first holds the only thread until the second waits for it; the second computes nothing."""
    is_asked = threading.Event()
    first = asyncio.ensure_future(compute.run(evaluate(lambda: is_asked.wait(10) and threading.Event().wait(0.05))))
    second = asyncio.ensure_future(compute.run(evaluate(lambda: None)))
    await asyncio.sleep(0)
    is_asked.set()
    await asyncio.gather(first, second)
    waited = registry.get_sample_value("crossmargin_engine_wait_seconds_sum")
    assert waited >= 0.05
    assert registry.get_sample_value("crossmargin_engine_seconds_bucket", {**STAGE, "le": "0.025"}) == 1


async def test_blocks_go_to_the_pool_as_they_are(registry, compute):
    assert [found async for found in compute.over_blocks(10, lambda shared, block: shared + block, [1, 2])] == [11, 12]
    assert registry.get_sample_value("crossmargin_engine_seconds_count", STAGE) is None


async def test_small_work_is_counted_as_any_other_and_done_where_it_is(registry, compute):
    assert await compute.run_small(evaluate(threading.current_thread)) is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        await compute.run_small(evaluate(lambda: 1 // 0))
    assert registry.get_sample_value("crossmargin_engine_seconds_count", STAGE) == 2
    assert registry.get_sample_value("crossmargin_engine_wait_seconds_count") == 2
