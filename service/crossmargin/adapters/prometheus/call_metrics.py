"""Margin calls: those that are open, their age, and what happens to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.call_life import CallNotice, CallState, MarginCall, NoticeKind


class CallMetrics(Collector):
    """See `CallReports`. Clients with an open call are few, so each has series of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._families: tuple[GaugeMetricFamily, ...] = ()
        self._changes = Counter(
            "crossmargin_margin_call_changes",
            "What happened to margin calls, as far as this process did it: issued, increased, met, waived, escalated and others.",
            ["kind"],
            registry=registry,
        )
        for kind in NoticeKind:
            self._changes.labels(kind.value)
        registry.register(self)

    def calls_seen(self, calls: Sequence[MarginCall]) -> None:
        """Publish the calls that are open in place of those that were."""
        families = tuple(_families([call for call in calls if call.is_open]))
        with self._lock:
            self._families = families

    def withdraw_calls(self) -> None:
        """Publish no calls."""
        with self._lock:
            self._families = ()

    def call_changed(self, notice: CallNotice) -> None:
        """Count what was done to a call."""
        self._changes.labels(notice.kind.value).inc()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is open."""
        with self._lock:
            families = self._families
        yield from families


def _families(calls: Sequence[MarginCall]) -> Iterator[GaugeMetricFamily]:
    states = [call.state for call in calls]
    by_state = GaugeMetricFamily("crossmargin_margin_calls_open", "Margin calls that are open, by their state.", labels=["state"])
    for state in CallState:
        if state in states or state in {CallState.ISSUED, CallState.ESCALATED}:
            by_state.add_metric([state.value], states.count(state))
    yield by_state
    by_client: dict[str, list[MarginCall]] = defaultdict(list)
    for call in calls:
        by_client[call.account.client_id].append(call)
    outstanding = GaugeMetricFamily(
        "crossmargin_margin_call_outstanding_usd", "What a client is still to deliver on open margin calls.", labels=["client"]
    )
    issued = GaugeMetricFamily(
        "crossmargin_margin_call_issued_timestamp_seconds",
        "When a client's oldest open margin call was issued (Unix time).",
        labels=["client"],
    )
    due = GaugeMetricFamily(
        "crossmargin_margin_call_due_timestamp_seconds",
        "When the first of a client's open margin calls is due (Unix time).",
        labels=["client"],
    )
    for client, own in sorted(by_client.items()):
        outstanding.add_metric([client], float(sum((call.outstanding for call in own), Decimal(0))))
        issued.add_metric([client], _first(call.issued_at for call in own))
        due.add_metric([client], _first(call.due_at for call in own))
    yield from (outstanding, issued, due)


def _first(moments: Iterable[datetime]) -> float:
    return min(moments).timestamp()
