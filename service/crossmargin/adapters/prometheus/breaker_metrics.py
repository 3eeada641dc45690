"""Which breakers are tripped."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from crossmargin.domain.breaker import Breaker, BreakerKind


class BreakerMetrics:
    """See `BreakerReports`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tripped = Gauge(
            "crossmargin_breaker_tripped",
            "1 while a breaker is tripped: margin calls or liquidations stand still until a person resets it.",
            ["breaker"],
            registry=registry,
        )
        self._trips = Counter("crossmargin_breaker_trips", "Times a breaker has tripped.", ["breaker"], registry=registry)
        for kind in BreakerKind:
            self._tripped.labels(kind.value)
            self._trips.labels(kind.value)

    def breaker_tripped(self, kind: BreakerKind, cause: str) -> None:  # noqa: ARG002 - the cause is for the log
        """Count a trip."""
        self._trips.labels(kind.value).inc()

    def breakers_seen(self, breakers: Sequence[Breaker]) -> None:
        """Publish which breakers are tripped."""
        for breaker in breakers:
            self._tripped.labels(breaker.kind.value).set(breaker.is_tripped)
