"""How callers are told apart."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry

from crossmargin.adapters.grpc_server.call_limits import CallBudget
from crossmargin.adapters.grpc_server.context import local_caller
from crossmargin.adapters.grpc_server.denial import Cause
from crossmargin.adapters.grpc_server.secure_access import SecureFiles, secure_access
from crossmargin.adapters.grpc_server.server import Access
from crossmargin.adapters.prometheus.access_metrics import AccessMetrics
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.keep_audit import KeepAudit
from crossmargin.usecases.ports.runtime import Clock

log = structlog.get_logger()


def access(settings: Settings, audit: KeepAudit, clock: Clock, registry: CollectorRegistry) -> Access:
    """Return how callers are told apart: by certificate and token, or, on this machine alone, not at all.

    Raises:
        StartError: What it takes is not configured, or cannot be used.
    """
    metrics = AccessMetrics(registry, causes=[cause.name.lower() for cause in Cause])

    def record(event: AuditEvent) -> None:
        metrics.recorded(event)
        audit.record(event)

    if settings.insecure:
        what = "whoever is on this machine may do everything, without TLS and without a token"
        log.warning("INSECURE", what=what, grpc_address=settings.grpc_address)
        return Access(local_caller, record, clock)
    files = [settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file, settings.allow_list_file, settings.token_keys_file]
    given = [file for file in files if file is not None]
    if len(given) < len(files) or settings.token_issuer is None or settings.token_audience is None:
        raise StartError("TLS and tokens are not configured; see `crossmargin config show`")
    try:
        access, expiry = secure_access(
            SecureFiles(*given),
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            longest_token_s=settings.token_longest_s,
            longest_connection_s=settings.connection_longest_s,
            budget=CallBudget(
                calls_per_s=settings.calls_per_s,
                urgent_calls_per_s=settings.urgent_calls_per_s,
                most_calls=settings.most_calls,
                most_streams=settings.most_streams,
            ),
            record=record,
            clock=clock,
        )
    except (OSError, ValueError) as error:
        raise StartError(f"what tells callers apart cannot be used: {error}") from error
    metrics.watch_certificate(expiry)
    return access
