"""Calls to the service, under the names that gRPC dashboards query."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram


@dataclass(frozen=True, slots=True)
class _MethodMetrics:
    """What is counted of one method, found once: `handled` by status code, as the codes come."""

    started: Counter
    seconds: Histogram
    handled: dict[str, Counter]


class RpcMetrics:
    """Counts every call when it starts and when it ends, however it ends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["grpc_type", "grpc_service", "grpc_method"]
        self._started = Counter("grpc_server_started", "Calls started.", labels, registry=registry)
        self._handled = Counter("grpc_server_handled", "Calls ended, by status code.", [*labels, "grpc_code"], registry=registry)
        self._seconds = Histogram("grpc_server_handling_seconds", "Time from start to end of a call.", labels, registry=registry)

        self._refused = Counter(
            "crossmargin_requests_refused",
            "Calls refused, by method and by the reason that the caller was told, such as HALTED or INSUFFICIENT_MARGIN.",
            ["grpc_service", "grpc_method", "reason"],
            registry=registry,
        )
        self._methods: dict[tuple[str, str, str], _MethodMetrics] = {}

    def started(self, service: str, method: str, kind: str) -> None:
        """Count a call that starts. `kind` is unary, client_stream, server_stream or bidi_stream."""
        self._of(kind, service, method).started.inc()

    def refused(self, service: str, method: str, reason: str) -> None:
        """Count a call that was refused, by the code of its reason."""
        self._refused.labels(service, method, reason).inc()

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        """Count a call that has ended with a status code such as OK or CANCELLED."""
        known = self._of(kind, service, method)
        if code not in known.handled:
            known.handled[code] = self._handled.labels(kind, service, method, code)
        known.handled[code].inc()
        known.seconds.observe(seconds)

    def _of(self, kind: str, service: str, method: str) -> _MethodMetrics:
        key = (kind, service, method)
        if key not in self._methods:
            self._methods[key] = _MethodMetrics(self._started.labels(*key), self._seconds.labels(*key), {})
        return self._methods[key]
