"""What a scrape costs: the time of the answer, and what the event loop of the service notices of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from urllib.request import urlopen

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.admin_server import AdminServer
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from tests.unit.adapters.prometheus.results import a_result, an_account

GOAL_S = 0.1
_ROUNDS = 30
_TICK_S = 0.001


def print_cost(client_count: int) -> int:
    """Time scrapes of a house of so many clients, each after a new house run; return 1 when the median is above the goal."""
    results = _a_house(client_count)
    scrapes, runs, size, lag = measure_scrapes(client_count, _ROUNDS)
    print(f"{client_count:,} clients with an account each, {size / 2**20:.2f} MiB a scrape, {_ROUNDS} scrapes, each of a new house run")
    print(f"scrape, until its last byte is read: {_line(scrapes)}; goal {1000 * GOAL_S:.0f} ms")
    print(f"publishing a run, on the event loop: {_line(runs)}")
    print(f"event loop, how late a timer of {1000 * _TICK_S:.0f} ms is during scrapes: {_line(lag)}")
    dropped = MarginMetrics(limited := CollectorRegistry(), client_limit=max(1, client_count // 2))
    dropped.publish_house(results, bands={}, failed={}, pegs={}, duration_s=1.0)
    print(f"with a cap of {max(1, client_count // 2):,} clients: {limited.get_sample_value('crossmargin_clients_dropped'):,.0f} dropped")
    return 0 if statistics.median(scrapes) <= GOAL_S else 1


def measure_scrapes(client_count: int, rounds: int) -> tuple[list[float], list[float], int, list[float]]:
    """Return seconds of each scrape and of publishing each run, the bytes of a scrape, and how late timers were meanwhile."""
    registry = CollectorRegistry()
    metrics = MarginMetrics(registry)
    server = AdminServer("127.0.0.1", 0, registry, why_not_ready=lambda: None)
    server.start()
    try:
        return asyncio.run(_measure(metrics, _a_house(client_count), f"http://127.0.0.1:{server.port}/metrics", rounds))
    finally:
        server.stop()


def _a_house(client_count: int) -> dict:
    return {ref: a_result(ref) for ref in (an_account(f"client-{number:04d}") for number in range(client_count))}


async def _measure(metrics: MarginMetrics, results: dict, url: str, rounds: int) -> tuple[list[float], list[float], int, list[float]]:
    scrapes, runs, lag, size = [], [], [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        metrics.publish_house(results, bands={}, failed={}, pegs={}, duration_s=1.0)
        runs.append(time.perf_counter() - began)
        scrape = asyncio.create_task(asyncio.to_thread(_scrape, url))
        while not scrape.done():
            before = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            lag.append(time.perf_counter() - before - _TICK_S)
        seconds, size = await scrape
        scrapes.append(seconds)
    return scrapes, runs, size, lag


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
