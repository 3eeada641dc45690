"""What a scrape costs: the time of the answer, and what the event loop of the service notices of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.request import urlopen

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.admin_server import AdminServer
from crossmargin.adapters.prometheus.exposition import page_of
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.domain.band_memory import BandState
from tests.unit.adapters.prometheus.results import a_result, an_account

GOAL_S = 0.1
LATE_GOAL_S = 0.005
_ROUNDS = 30
_TICK_S = 0.001


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of scrapes, of publishing the run before each, of processor time for a page, and how late timers were beside them."""

    scrapes: list[float]
    runs: list[float]
    pages: list[float]
    lag: list[float]
    quiet_lag: list[float]
    size: int


def print_cost(client_count: int) -> int:
    """Time scrapes of a house of so many clients, each after a new house run; return 1 when a median is above its goal."""
    results = _a_house(client_count)
    cost = measure_scrapes(client_count, _ROUNDS)
    print(
        f"{client_count:,} clients with an account each, {cost.size / 2**20:.2f} MiB a scrape, {_ROUNDS} scrapes, each of a new house run"
    )
    print(f"scrape, until its last byte is read: {_line(cost.scrapes)}; goal {1000 * GOAL_S:.0f} ms")
    print(f"processor time of a page: {_line(cost.pages)}")
    print(f"publishing a run, on the event loop: {_line(cost.runs)}")
    print(f"event loop, how late a timer of {1000 * _TICK_S:.0f} ms is during scrapes: {_line(cost.lag)}; goal {1000 * LATE_GOAL_S:.0f} ms")
    print(f"event loop, the same without scrapes: {_line(cost.quiet_lag)}")
    dropped = MarginMetrics(limited := CollectorRegistry(), client_limit=max(1, client_count // 2))
    dropped.publish_house(results, bands={}, failed={}, pegs={}, duration_s=1.0)
    print(f"with a cap of {max(1, client_count // 2):,} clients: {limited.get_sample_value('crossmargin_clients_dropped'):,.0f} dropped")
    return 0 if statistics.median(cost.scrapes) <= GOAL_S and statistics.median(cost.lag) <= LATE_GOAL_S else 1


def measure_scrapes(client_count: int, rounds: int) -> Cost:
    """Return what scrapes of a house of so many clients cost, each after a new house run."""
    registry = CollectorRegistry()
    metrics = MarginMetrics(registry)
    server = AdminServer("127.0.0.1", 0, registry, why_not_ready=lambda: None)
    server.start()
    try:
        return asyncio.run(_measure(metrics, registry, _a_house(client_count), f"http://127.0.0.1:{server.port}/metrics", rounds))
    finally:
        server.stop()


def _a_house(client_count: int) -> dict:
    """Return results of accounts whose figures have digits, as figures of a market do."""
    refs = [an_account(f"client-{number:04d}") for number in range(client_count)]
    return {
        ref: a_result(ref, utilization=f"0.{number * 7919 % 10**6:06d}", equity=f"{10**6 + number * 104729}.{number % 100:02d}")
        for number, ref in enumerate(refs)
    }


async def _measure(metrics: MarginMetrics, registry: CollectorRegistry, results: dict, url: str, rounds: int) -> Cost:
    bands = {ref: BandState(result.band, is_immediate=False) for ref, result in results.items()}
    cost = Cost([], [], [], [], [], 0)
    for _ in range(rounds):
        began = time.perf_counter()
        metrics.publish_house(results, bands=bands, failed={}, pegs={}, duration_s=1.0)
        cost.runs.append(time.perf_counter() - began)
        scrape = asyncio.create_task(asyncio.to_thread(_scrape, url))
        cost.lag.extend(await _lag_until(scrape))
        seconds, size = await scrape
        cost.scrapes.append(seconds)
        cost.quiet_lag.extend(await _lag_until(asyncio.create_task(asyncio.sleep(seconds))))
        metrics.publish_house(results, bands=bands, failed={}, pegs={}, duration_s=1.0)
        cost.pages.append(_processor_time(lambda: page_of(registry)))
    return replace(cost, size=size)


async def _lag_until(task: asyncio.Task) -> list[float]:
    """Return how late timers were until a task was done."""
    lag = []
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        lag.append(time.perf_counter() - before - _TICK_S)
    return lag


def _processor_time(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _scrape(url: str) -> tuple[float, int]:
    began = time.perf_counter()
    # The address is this process's own.
    with urlopen(url) as answer:  # noqa: S310
        size = len(answer.read())
    return time.perf_counter() - began, size


def _line(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    median, late, worst = statistics.median(ordered), ordered[int(0.99 * len(ordered))], ordered[-1]
    return f"median {1000 * median:.1f} ms, 99th percentile {1000 * late:.1f} ms, worst {1000 * worst:.1f} ms"
