"""PendingRequestService: what awaits a second person."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

import re
from typing import Final

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import bad_page_token, cut_page, page_request
from crossmargin.adapters.grpc_server.wire.pending_request import filter_from_request, pending_to_message
from crossmargin.api.v1 import pending_request_service_pb2 as pb
from crossmargin.api.v1.pending_request_service_pb2_grpc import PendingRequestServiceServicer
from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.usecases.ports.pending_request import pending_key
from crossmargin.usecases.use_cases import UseCases

_KEY: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 [0-9a-f]{16}", re.ASCII)


class PendingRequestService(PendingRequestServiceServicer):
    """What one person has asked for and a second one has to ask for as well."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def ListPendingRequests(self, request: pb.ListPendingRequestsRequest, context: Context) -> pb.ListPendingRequestsResponse:
        """List pending requests."""
        chosen = filter_from_request(request)
        asked = page_request(f"pending requests {chosen}", page_size=request.page_size, page_token=request.page_token)
        if asked.after is not None and not _KEY.fullmatch(asked.after):
            raise bad_page_token(request.page_token)
        found = await self._use_cases.pending.list_pending(chosen, asked.page)
        items, token = cut_page(asked, found, pending_key)
        return pb.ListPendingRequestsResponse(pending_requests=map(pending_to_message, items), next_page_token=token)

    async def GetPendingRequest(self, request: pb.GetPendingRequestRequest, context: Context) -> pb.GetPendingRequestResponse:
        """Return one pending request."""
        found = await self._use_cases.pending.get_pending(PendingRequestId(request.pending_id))
        return pb.GetPendingRequestResponse(pending_request=pending_to_message(found))

    async def CancelPendingRequest(self, request: pb.CancelPendingRequestRequest, context: Context) -> pb.CancelPendingRequestResponse:
        """End a pending request without effect."""
        caller = caller_of(context, request.request_id)
        ended = await self._use_cases.cancel_pending_request(PendingRequestId(request.pending_id), caller=caller)
        return pb.CancelPendingRequestResponse(pending_request=pending_to_message(ended))
