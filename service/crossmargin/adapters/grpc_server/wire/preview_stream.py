"""Previews of a stream on the wire: how long they may take, and why one failed."""

from __future__ import annotations

from typing import Final

from google.rpc.status_pb2 import Status

from crossmargin.adapters.grpc_server.status import info_of
from crossmargin.api.v1 import margin_service_pb2 as pb

LONGEST_PREVIEW_S: Final = 10.0
"""As of any unary call."""


def seconds_to_answer(message: pb.StreamPreviewsRequest) -> float:
    """Return how long a preview may take."""
    return message.timeout_ms / 1e3 or LONGEST_PREVIEW_S


def preview_refusal(status: Status) -> pb.PreviewRefusal:
    """Return the message of the status that a call of PreviewTrades would have ended with."""
    info = info_of(status)
    return pb.PreviewRefusal(code=status.code, reason=info.reason, message=status.message, metadata=info.metadata)
