"""What awaits a second person."""

from __future__ import annotations

from crossmargin.api.v1 import pending_request_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import new_request_id


class PendingRequestMethods:
    """What awaits a second person."""

    @yields
    def list_pending_requests(
        self,
        client_id: str = "",
        *,
        state: pending_request_service_pb2.PendingState.ValueType = pending_request_service_pb2.PENDING_STATE_AWAITING_SECOND_PERSON,
    ) -> Many[pending_request_service_pb2.PendingRequest]:
        """Yield what awaits a second person, or with another `state` what has become of it; of one client or of all, oldest first."""
        request = pending_request_service_pb2.ListPendingRequestsRequest(client_id=client_id, state=state)
        return pages(lambda to: to.pending_requests.ListPendingRequests, request, lambda page: page.pending_requests)

    @answers
    def get_pending_request(self, pending_id: str) -> One[pending_request_service_pb2.PendingRequest]:
        """Return what awaits a second person, or what has become of it."""
        request = pending_request_service_pb2.GetPendingRequestRequest(pending_id=pending_id)
        return ask(lambda to: to.pending_requests.GetPendingRequest, request, lambda answer: answer.pending_request)

    @answers
    def cancel_pending_request(self, pending_id: str, *, request_id: str | None = None) -> One[pending_request_service_pb2.PendingRequest]:
        """End what awaits a second person without effect, and return it."""
        request = pending_request_service_pb2.CancelPendingRequestRequest(request_id=request_id or new_request_id(), pending_id=pending_id)
        return ask(lambda to: to.pending_requests.CancelPendingRequest, request, lambda answer: answer.pending_request)
