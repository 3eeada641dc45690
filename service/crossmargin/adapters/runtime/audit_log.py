"""The audit trail in the log."""

from __future__ import annotations

import structlog

from crossmargin.domain.audit_event import AuditEvent, AuditKind

log = structlog.get_logger()


def log_audit_event(event: AuditEvent) -> None:
    """Log an event: a denial as a warning, a privileged call as news. What is logged is what is stored, and no part of the request."""
    write = log.warning if event.kind is AuditKind.DENIED else log.info
    write(
        "audit",
        kind=event.kind.value,
        principal=event.principal,
        roles=sorted(role.value for role in event.roles),
        method=event.method,
        clients=list(event.clients),
        reason=event.reason,
        workload=event.workload,
        token=event.token,
    )
