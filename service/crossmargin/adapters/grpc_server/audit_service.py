"""AuditService: who was turned away, and who looked at what is not his own."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from crossmargin.adapters.grpc_server.context import Context
from crossmargin.adapters.grpc_server.paging import cut_page, page_request, sequence_after
from crossmargin.adapters.grpc_server.wire.audit_event import audit_event_to_message, filter_from_request
from crossmargin.api.v1 import audit_service_pb2 as pb
from crossmargin.api.v1.audit_service_pb2_grpc import AuditServiceServicer
from crossmargin.usecases.use_cases import UseCases


class AuditService(AuditServiceServicer):
    """The audit trail, for those who may read it."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Context) -> pb.ListAuditEventsResponse:
        """List events."""
        chosen = filter_from_request(request)
        asked = page_request(f"audit events {chosen}", page_size=request.page_size, page_token=request.page_token)
        sequence_after(asked.after, request.page_token)
        found = await self._use_cases.audit.list_events(chosen, asked.page)
        items, token = cut_page(asked, found, lambda stored: str(stored.number))
        return pb.ListAuditEventsResponse(events=map(audit_event_to_message, items), next_page_token=token)
