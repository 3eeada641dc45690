"""Lifecycle events that are due, of the process that leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class LifecycleMetrics(Collector):
    """Publishes the last count. See `DueEventReports`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._due: Sequence[datetime] | None = None
        registry.register(self)

    def due_events_seen(self, due: Sequence[datetime]) -> None:
        """Publish a count in place of the one before."""
        with self._lock:
            self._due = tuple(due)

    def withdraw_due_events(self) -> None:
        """Publish nothing: another process leads, or nobody knows."""
        with self._lock:
            self._due = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what there is of the last count."""
        with self._lock:
            due = self._due
        if due is None:
            return
        yield GaugeMetricFamily(
            "crossmargin_lifecycle_events_due",
            "Lifecycle events that are due and not booked, once for each account that they are missing in. Expected: 0.",
            value=len(due),
        )
        yield GaugeMetricFamily(
            "crossmargin_lifecycle_oldest_due_timestamp_seconds",
            "Since when the oldest of them is due (Unix time); 0 when there is none.",
            value=min((moment.timestamp() for moment in due), default=0.0),
        )
