"""The audit trail on the wire."""

from __future__ import annotations

from typing import Final

from crossmargin.adapters.grpc_server.wire.values import inverse, moment_from_message, moment_to_message
from crossmargin.api.v1 import audit_service_pb2 as pb
from crossmargin.domain.audit_event import AuditKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import ClientId
from crossmargin.usecases.ports.audit_event import AuditFilter, StoredAuditEvent

_KINDS: Final = {pb.AUDIT_KIND_DENIED: AuditKind.DENIED, pb.AUDIT_KIND_PRIVILEGED_CALL: AuditKind.PRIVILEGED_CALL}
_KIND_VALUES: Final = inverse(_KINDS)


def audit_event_to_message(stored: StoredAuditEvent) -> pb.AuditEvent:
    """Return the message of a stored event."""
    event = stored.event
    return pb.AuditEvent(
        number=stored.number,
        event_time=moment_to_message(event.at),
        kind=_KIND_VALUES[event.kind],
        principal=event.principal,
        roles=sorted(role.value for role in event.roles),
        method=event.method,
        client_ids=event.clients,
        cause=event.reason,
        workload=event.workload,
        token=event.token,
    )


def filter_from_request(request: pb.ListAuditEventsRequest) -> AuditFilter:
    """Return which events are asked for; INVALID_ARGUMENT when no moment can be in their time."""
    start = moment_from_message(request.start_time, what="start_time") if request.HasField("start_time") else None
    end = moment_from_message(request.end_time, what="end_time") if request.HasField("end_time") else None
    if start is not None and end is not None and start >= end:
        expected = f"later than start_time {start.isoformat()}"
        raise DomainError(Reason.INVALID_ARGUMENT, f"end_time was {end.isoformat()}; expected {expected}", field="end_time")
    return AuditFilter(
        principal=request.principal or None,
        client_id=ClientId(request.client_id) if request.client_id else None,
        kind=_KINDS.get(request.kind),
        start=start,
        end=end,
    )
