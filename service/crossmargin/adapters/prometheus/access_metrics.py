"""Who was turned away, and how long the server's certificate still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from crossmargin.domain.audit_event import AuditEvent, AuditKind


class AccessMetrics:
    """Counts denials by their cause. Names of callers and clients are in the audit trail and not here."""

    def __init__(self, registry: CollectorRegistry, *, causes: Iterable[str] = ()) -> None:
        self._denied = Counter(
            "crossmargin_access_denied",
            "Calls denied for who made them, by cause, such as token_time, role or foreign_client.",
            ["cause"],
            registry=registry,
        )
        for cause in causes:
            # From zero on, so that the first denial is an increase and not a new series.
            self._denied.labels(cause)
        self._privileged = Counter(
            "crossmargin_access_privileged_calls",
            "Calls let through and kept in the audit trail: what an auditor looks at, and calls that the access policy marks.",
            registry=registry,
        )

        self._expiry = Gauge(
            "crossmargin_access_certificate_expiry_timestamp_seconds",
            "When the server's TLS certificate ends (Unix time); 0 in insecure mode, which has none.",
            registry=registry,
        )

    def recorded(self, event: AuditEvent) -> None:
        """Count an event of the audit trail."""
        if event.kind is AuditKind.DENIED:
            self._denied.labels(event.reason).inc()
        else:
            self._privileged.inc()

    def watch_certificate(self, not_after: Callable[[], datetime]) -> None:
        """Publish when the server's certificate ends, as it is whenever somebody asks."""
        self._expiry.set_function(lambda: not_after().timestamp())
