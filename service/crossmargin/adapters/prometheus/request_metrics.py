"""Orders that are open, halts in force, and trades that were booked and are to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.halt import Halt
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.domain.trade_flag import TradeFlag


class RequestMetrics(Collector):
    """See `RequestReports`.

    Args:
        registry: Where to publish.
        halt_alert_s: How long a halt may last before somebody is alerted; published beside the halts, so that the alert reads it there.
    """

    def __init__(self, registry: CollectorRegistry, *, halt_alert_s: float) -> None:
        self._lock = Lock()
        self._families: tuple[GaugeMetricFamily, ...] = ()
        patience = Gauge("crossmargin_halt_alert_seconds", "How long a halt may last before somebody is alerted.", registry=registry)
        patience.set(halt_alert_s)
        self._flagged = Counter(
            "crossmargin_trades_flagged",
            "Trades booked that are to be looked at, by flag. `limit breached`: facts that took exposure over a limit, or further.",
            ["flag"],
            registry=registry,
        )
        for flag in TradeFlag:
            self._flagged.labels(flag.value)
        registry.register(self)

    def trades_flagged(self, flags: Iterable[TradeFlag]) -> None:
        """Count flags."""
        for flag in flags:
            self._flagged.labels(flag.value).inc()

    def requests_seen(self, reservations: Mapping[ReservationStatus, int], halts: Sequence[Halt]) -> None:
        """Publish what stands in place of what stood before."""
        families = (_reservation_family(reservations), _halt_family(halts))
        with self._lock:
            self._families = families

    def withdraw_requests(self) -> None:
        """Publish neither reservations nor halts."""
        with self._lock:
            self._families = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what stands."""
        with self._lock:
            families = self._families
        yield from families


def _reservation_family(reservations: Mapping[ReservationStatus, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_reservations",
        "Reservations that hold margin. `suspect`: past their time, and nobody has said what became of the order.",
        labels=["status"],
    )
    for status, number in reservations.items():
        family.add_metric([status.value], number)
    return family


def _halt_family(halts: Sequence[Halt]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_halt_timestamp_seconds",
        "When a halt that is in force began (Unix time), by its scope: `house`, or `clients/` and a client. No series: no halt.",
        labels=["scope"],
    )
    for halt in halts:
        # A switch turned in the database itself has no time; it has been in force for as long as anybody knows.
        family.add_metric([halt.scope], 0 if halt.changed_at is None else halt.changed_at.timestamp())
    return family
