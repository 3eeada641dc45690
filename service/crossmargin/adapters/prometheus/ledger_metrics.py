"""What guards the ledger, of the process that leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.audit_anchor import Anchor

ANCHOR_FAILURES: Final = ("refused", "storage", "file")


class LedgerMetrics(Collector):
    """Publishes the last anchor. See `LedgerReports`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._anchor: Anchor | None = None
        self._anchor_failures = Counter(
            "crossmargin_ledger_anchor_failures",
            "Anchors that could not be taken: refused, because the ledger contradicts earlier ones; storage; file.",
            ["reason"],
            registry=registry,
        )
        for reason in ANCHOR_FAILURES:
            self._anchor_failures.labels(reason)
        registry.register(self)

    def anchor_taken(self, anchor: Anchor) -> None:
        """Publish an anchor in place of the one before."""
        with self._lock:
            self._anchor = anchor

    def anchor_failed(self, reason: str, details: Sequence[str]) -> None:  # noqa: ARG002 - details are for the log
        """Count an anchor that could not be taken."""
        self._anchor_failures.labels(reason).inc()

    def withdraw_ledger(self) -> None:
        """Publish no anchor: another process leads."""
        with self._lock:
            self._anchor = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what there is of the last anchor."""
        with self._lock:
            anchor = self._anchor
        if anchor is not None:
            yield GaugeMetricFamily("crossmargin_ledger_anchor_number", "Number of the last anchor of the ledger.", value=anchor.number)
            yield GaugeMetricFamily(
                "crossmargin_ledger_anchor_timestamp_seconds",
                "When the last anchor of the ledger was taken (Unix time).",
                value=anchor.taken_at.timestamp(),
            )
            yield GaugeMetricFamily(
                "crossmargin_ledger_anchored_entries", "Entries of all accounts that the last anchor covers.", value=anchor.entry_count
            )
