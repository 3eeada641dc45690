"""What awaits a second person, on the wire."""

from __future__ import annotations

from typing import Final

from crossmargin.adapters.grpc_server.wire.values import inverse, moment_to_message
from crossmargin.api.v1 import pending_request_service_pb2 as pb
from crossmargin.domain.identifiers import ClientId, PendingRequestId
from crossmargin.domain.pending_request import PendingRequest, PendingState
from crossmargin.usecases.ports.pending_request import PendingFilter

_STATES: Final = {
    pb.PENDING_STATE_AWAITING_SECOND_PERSON: PendingState.AWAITING,
    pb.PENDING_STATE_CONFIRMED: PendingState.CONFIRMED,
    pb.PENDING_STATE_CANCELLED: PendingState.CANCELLED,
    pb.PENDING_STATE_EXPIRED: PendingState.EXPIRED,
}
_STATE_VALUES: Final = inverse(_STATES)


def pending_to_message(pending: PendingRequest) -> pb.PendingRequest:
    """Return the message of a stored pending request."""
    return pb.PendingRequest(
        pending_id=pending.pending_id,
        verb=pending.asked.verb,
        words=pending.asked.words,
        client_id=pending.asked.client_id or "",
        asked_by=pending.asked_by,
        ask_time=None if pending.asked_at is None else moment_to_message(pending.asked_at),
        expire_time=None if pending.expires_at is None else moment_to_message(pending.expires_at),
        state=_STATE_VALUES[pending.state],
        ended_by=pending.ended_by,
        end_time=None if pending.ended_at is None else moment_to_message(pending.ended_at),
    )


def filter_from_request(request: pb.ListPendingRequestsRequest) -> PendingFilter:
    """Return which pending requests are asked for."""
    return PendingFilter(client_id=ClientId(request.client_id) if request.client_id else None, state=_STATES.get(request.state))


def confirmed_name(text: str) -> PendingRequestId | None:
    """Return the pending request that a call confirms; None when it confirms none."""
    return PendingRequestId(text) if text else None
