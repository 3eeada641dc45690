"""Trades of a stream: what is recorded, and what becomes of each message."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.errors import CrossmarginError, error_from_status
from crossmargin_client.requests import new_request_id


@dataclass(frozen=True, slots=True)
class StreamedTrades:
    """The answer to one message of a stream of trades.

    Attributes:
        request: What was sent, with its request id.
        recorded: What became of each of its trades; None when it failed. error: Why it did.
    """

    request: book_service_pb2.StreamTradesRequest
    recorded: book_service_pb2.RecordTradesResponse | None
    error: CrossmarginError | None

    @property
    def result(self) -> book_service_pb2.RecordTradesResponse:
        """What became of its trades; raises why there is nothing of it."""
        if self.recorded is None:
            raise self.error or AssertionError("an answer has either trades or an error")
        return self.recorded


def trades_of(account: str, *trades: book_service_pb2.Trade, request_id: str | None = None) -> book_service_pb2.StreamTradesRequest:
    """Return a message for `stream_trades`: 1 to 256 trades of one account, which are booked together, in their order.

    `request_id` names it, so that it is booked once however often it is sent; made anew unless given.
    """
    record = book_service_pb2.RecordTradesRequest(request_id=request_id or new_request_id(), account=account, trades=trades)
    return book_service_pb2.StreamTradesRequest(record=record)


def streamed_trades(request: book_service_pb2.StreamTradesRequest, response: book_service_pb2.StreamTradesResponse) -> StreamedTrades:
    """Return what became of one message."""
    if response.HasField("recorded"):
        return StreamedTrades(request, response.recorded, None)
    refusal = response.refusal
    return StreamedTrades(request, None, error_from_status(refusal.code, refusal.message, reason=refusal.reason, metadata=refusal.metadata))
