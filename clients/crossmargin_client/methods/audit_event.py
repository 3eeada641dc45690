"""Who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from datetime import datetime

from crossmargin.api.v1 import audit_service_pb2
from crossmargin_client.call_kinds import Many, pages
from crossmargin_client.declaration import yields
from crossmargin_client.requests import PAGE_SIZE
from crossmargin_client.values import optional_timestamp


class AuditEventMethods:
    """Who was turned away, and who looked at what is not his own."""

    @yields
    def list_audit_events(
        self,
        *,
        principal: str = "",
        client_id: str = "",
        kind: audit_service_pb2.AuditKind.ValueType = audit_service_pb2.AUDIT_KIND_UNSPECIFIED,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Many[audit_service_pb2.AuditEvent]:
        """Yield who was turned away, and who looked at what is not his own, newest first: from `start` on and before `end`.

        For risk and auditors of the whole house; each page that is read is itself an event.
        """
        request = audit_service_pb2.ListAuditEventsRequest(
            principal=principal,
            client_id=client_id,
            kind=kind,
            start_time=optional_timestamp(start, field="start"),
            end_time=optional_timestamp(end, field="end"),
            page_size=PAGE_SIZE,
        )
        return pages(lambda to: to.audit.ListAuditEvents, request, lambda page: page.events)
