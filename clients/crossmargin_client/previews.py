"""Previews of a stream: what is asked, and what is answered to each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crossmargin.api.v1 import book_service_pb2, margin_service_pb2
from crossmargin_client.errors import CrossmarginError, error_from_status


@dataclass(frozen=True, slots=True)
class StreamedPreview:
    """The answer to one preview of a stream.

    Attributes:
        request: What was asked, with its `correlation_id`.
        preview: The margin before and after; None when it failed. error: Why it did.
    """

    request: margin_service_pb2.StreamPreviewsRequest
    preview: margin_service_pb2.PreviewTradesResponse | None
    error: CrossmarginError | None

    @property
    def result(self) -> margin_service_pb2.PreviewTradesResponse:
        """The preview; raises why there is none."""
        if self.preview is None:
            raise self.error or AssertionError("an answer has either a preview or an error")
        return self.preview


def preview_request(
    account: str,
    trades: Iterable[book_service_pb2.Trade],
    *,
    min_seq: int = 0,
    correlation_id: str = "",
    timeout_s: float | None = None,
) -> margin_service_pb2.StreamPreviewsRequest:
    """Return a preview for `stream_previews`, of 1 to 256 trades; `correlation_id` is the caller's own name for it.

    `timeout_s` is how long it may take from when the service reads it, at most 10 seconds, which is what it may without.
    """
    preview = margin_service_pb2.PreviewTradesRequest(account=account, trades=trades, min_seq=min_seq)
    if timeout_s is not None and timeout_s <= 0:
        raise ValueError(f"timeout_s was {timeout_s}; expected more than zero, or None for as long as a preview may take")
    # A millisecond at least: none at all would be as long as it may take.
    timeout_ms = 0 if timeout_s is None else max(1, round(timeout_s * 1e3))
    return margin_service_pb2.StreamPreviewsRequest(correlation_id=correlation_id, preview=preview, timeout_ms=timeout_ms)


def streamed_preview(
    request: margin_service_pb2.StreamPreviewsRequest, response: margin_service_pb2.StreamPreviewsResponse
) -> StreamedPreview:
    """Return what became of one preview."""
    if response.HasField("preview"):
        return StreamedPreview(request, response.preview, None)
    refusal = response.refusal
    return StreamedPreview(
        request, None, error_from_status(refusal.code, refusal.message, reason=refusal.reason, metadata=refusal.metadata)
    )
