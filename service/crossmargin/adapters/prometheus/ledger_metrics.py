"""What guards the ledger, of the process that leads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.audit_anchor import Anchor
from crossmargin.domain.ledger_audit import Finding

ANCHOR_FAILURES: Final = ("refused", "storage", "file")


@dataclass(frozen=True, slots=True)
class _Check:
    finding_counts: Mapping[str, int]
    entry_count: int
    duration_s: float
    finished_at: float


class LedgerMetrics(Collector):
    """Publishes the last anchor and the last check. See `LedgerReports`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._anchor: Anchor | None = None
        self._anchor_failures = Counter(
            "crossmargin_ledger_anchor_failures",
            "Anchors that could not be taken: refused, because the ledger contradicts earlier ones; storage; file.",
            ["reason"],
            registry=registry,
        )
        self._check: _Check | None = None
        self._check_failures = Counter(
            "crossmargin_ledger_check_failures", "Checks of the ledger that could not be made; they are tried again.", registry=registry
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

    def ledger_checked(self, findings: Mapping[str, Sequence[Finding]], *, entry_count: int, duration_s: float) -> None:
        """Publish a check in place of the one before."""
        counts = {name: len(found) for name, found in findings.items()}
        with self._lock:
            self._check = _Check(counts, entry_count, duration_s, time.time())

    def check_failed(self, reason: str) -> None:  # noqa: ARG002 - the reason is for the log
        """Count a check that could not be made."""
        self._check_failures.inc()

    def withdraw_ledger(self) -> None:
        """Publish neither anchor nor check: another process leads."""
        with self._lock:
            self._anchor, self._check = None, None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what there is of the last anchor."""
        with self._lock:
            anchor, check = self._anchor, self._check
        if check is not None:
            yield from _check_families(check)
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


def _check_families(check: _Check) -> Iterator[GaugeMetricFamily]:
    findings = GaugeMetricFamily(
        "crossmargin_ledger_check_findings",
        "What the last check of the ledger found to be wrong, by its parts: sums of entries, heads, and each projection. Expected: 0.",
        labels=["check"],
    )
    for name, count in sorted(check.finding_counts.items()):
        findings.add_metric([name], count)
    yield findings
    yield GaugeMetricFamily(
        "crossmargin_ledger_check_entries", "Entries whose postings the last check of the ledger summed.", value=check.entry_count
    )
    yield GaugeMetricFamily(
        "crossmargin_ledger_check_duration_seconds", "How long the last check of the ledger took.", value=check.duration_s
    )
    yield GaugeMetricFamily(
        "crossmargin_ledger_check_timestamp_seconds", "When the last check of the ledger ended (Unix time).", value=check.finished_at
    )
