"""Trades of a stream: what is recorded, and what becomes of each message."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.call_kinds import AnyConnection, One, ask_again, whole
from crossmargin_client.errors import CrossmarginError, InternalError, error_from_status
from crossmargin_client.requests import new_request_id
from crossmargin_client.retries import RETRIABLE


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
    """Return what became of one message.

    Raises:
        InternalError: The answer names another request, so that nobody can tell any more which answer is whose; all may be sent again.
    """
    asked = request.record.request_id
    if response.request_id not in {"", asked}:
        raise InternalError(
            f"the answer to request {asked!r} names request {response.request_id!r}; send again what was not answered",
            reason="INTERNAL",
            code=grpc.StatusCode.INTERNAL,
            request_id=asked,
        )
    if response.HasField("recorded"):
        return StreamedTrades(request, response.recorded, None)
    refusal = response.refusal
    return StreamedTrades(request, None, error_from_status(refusal.code, refusal.message, reason=refusal.reason, metadata=refusal.metadata))


def recorded_again(
    request: book_service_pb2.StreamTradesRequest, response: book_service_pb2.StreamTradesResponse
) -> One[StreamedTrades] | None:
    """Return the call that records what a message was refused for the moment, under its request id; None for any other answer."""
    code = next((code for code in RETRIABLE if response.HasField("refusal") and code.value[0] == response.refusal.code), None)
    return None if code is None else _RecordedAgain(request, code)


@dataclass(frozen=True, slots=True)
class _RecordedAgain(One[StreamedTrades]):
    request: book_service_pb2.StreamTradesRequest
    after: grpc.StatusCode

    def make(self, connection: AnyConnection) -> StreamedTrades:
        try:
            return StreamedTrades(self.request, self._call().make(connection), None)
        except CrossmarginError as error:
            return StreamedTrades(self.request, None, error)

    async def make_async(self, connection: AnyConnection) -> StreamedTrades:
        try:
            return StreamedTrades(self.request, await self._call().make_async(connection), None)
        except CrossmarginError as error:
            return StreamedTrades(self.request, None, error)

    def _call(self) -> One[book_service_pb2.RecordTradesResponse]:
        return ask_again(lambda to: to.books.RecordTrades, self.request.record, whole, after=self.after)
