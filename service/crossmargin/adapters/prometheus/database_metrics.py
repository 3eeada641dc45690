"""The pool of database connections, read whenever Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class _PoolFigure:
    name: str
    help_text: str
    statistic: str
    unit: float = 1.0


POOL_GAUGES: Final = (
    _PoolFigure("crossmargin_database_connections", "Connections to the database that are open.", "pool_size"),
    _PoolFigure("crossmargin_database_connections_idle", "Open connections that nobody uses just now.", "pool_available"),
    _PoolFigure("crossmargin_database_connections_limit", "Most connections that this process opens.", "pool_max"),
    _PoolFigure("crossmargin_database_waiting", "Requests that wait for a connection just now.", "requests_waiting"),
)
POOL_COUNTERS: Final = (
    _PoolFigure("crossmargin_database_requests", "Times a connection was asked for.", "requests_num"),
    _PoolFigure("crossmargin_database_requests_queued", "Times a connection was asked for and none was idle.", "requests_queued"),
    _PoolFigure(
        "crossmargin_database_requests_failed",
        "Times no connection became free in time: the caller was told SERVICE_BUSY.",
        "requests_errors",
    ),
    _PoolFigure("crossmargin_database_wait_seconds", "Time spent waiting for a connection, added up.", "requests_wait_ms", 1e-3),
    _PoolFigure("crossmargin_database_connections_lost", "Connections found broken and replaced.", "connections_lost"),
    _PoolFigure("crossmargin_database_connection_errors", "Attempts to connect that failed.", "connections_errors"),
)
RETRY_CAUSES: Final = ("conflict", "lost", "busy")
ALONE_CAUSES: Final = ("left_out", "spoiled", "conflict", "busy", "lost", "down", "overflow", "defect")
_TOGETHER: Final = "facts_together_"
_TOGETHER_UP_TO: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class DatabaseMetrics(Collector):
    """Publishes a pool's statistics as they are at the moment of the scrape.

    Args:
        registry: Where to publish.
        read: Returns statistics under the names of psycopg's pool, and retried writes by their cause and transactions of facts by their
            number; one that is missing counts as zero.
            Called on the admin thread, so it must not block.
    """

    def __init__(self, registry: CollectorRegistry, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]:
        """Yield a family for each figure."""
        statistics = self._read()
        for figure in POOL_GAUGES:
            yield GaugeMetricFamily(figure.name, figure.help_text, value=_value(figure, statistics))
        for figure in POOL_COUNTERS:
            yield CounterMetricFamily(figure.name, figure.help_text, value=_value(figure, statistics))
        retries = CounterMetricFamily(
            "crossmargin_database_write_retries",
            "Writes tried again after a conflict with another, a lost connection, or a lock that was busy. Nothing is booked twice.",
            labels=["cause"],
        )
        for cause in RETRY_CAUSES:
            retries.add_metric([cause], statistics.get(f"writes_retried_{cause}", 0))
        yield retries
        yield _facts_together(statistics)
        yield _facts_alone(statistics)


def _facts_together(statistics: Mapping[str, int]) -> HistogramMetricFamily:
    sizes = {int(name.removeprefix(_TOGETHER)): count for name, count in statistics.items() if name.startswith(_TOGETHER)}
    buckets = [(f"{most:.1f}", sum(count for size, count in sizes.items() if size <= most)) for most in _TOGETHER_UP_TO]
    return HistogramMetricFamily(
        "crossmargin_database_facts_together",
        "Facts, such as calls of RecordTrades, that one transaction was begun for: those that were waiting when the writer became free.",
        buckets=[*buckets, ("+Inf", sum(sizes.values()))],
        sum_value=sum(size * count for size, count in sizes.items()),
    )


def _facts_alone(statistics: Mapping[str, int]) -> CounterMetricFamily:
    alone = CounterMetricFamily(
        "crossmargin_database_facts_alone",
        "Facts that were taken out of a transaction with others and written by themselves: their account was held, closed, limited or "
        "unknown (left_out), a decision failed (spoiled), or the transaction as a whole did. Nothing is booked twice.",
        labels=["cause"],
    )
    for cause in ALONE_CAUSES:
        alone.add_metric([cause], statistics.get(f"facts_alone_{cause}", 0))
    return alone


def _value(figure: _PoolFigure, statistics: Mapping[str, int]) -> float:
    return statistics.get(figure.statistic, 0) * figure.unit
