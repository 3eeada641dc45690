"""Trades that go over a stream: one through each client, on which every message is an operation of its own, whatever the line does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client import AsyncClient, CrossmarginError, DeadlineExceeded, StreamedTrades, trades_of
from tests.faults.history import LineAnswer, Operation
from tests.faults.workload import TIMEOUT_S, Kind, draw_trades, trade_answers, trades_in

if TYPE_CHECKING:
    from tests.faults.rig import Rig


class TradeStreams:
    """A stream through each client, opened when it is first used and again when it has ended for good."""

    def __init__(self) -> None:
        self._open: dict[AsyncClient, _Stream] = {}

    def kind(self) -> Kind:
        """Return trades that are sent so."""
        return Kind("streamed trades", 5, lambda *drawn: replace(draw_trades(*drawn), kind="streamed trades"), self._send)

    async def end(self, rig: Rig) -> None:
        """Close the streams of a run whose operations are all decided; say how much went over them."""
        streams = [self._open.pop(client) for client in rig.clients.values() if client in self._open]
        rig.remarks.append(f"{sum(stream.answered for stream in streams)} operations over streams that were open in the end")
        for stream in streams:
            await stream.close()

    async def _send(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        if client not in self._open or self._open[client].is_over:
            self._open[client] = _Stream(client)
        message = trades_of(operation.account, *trades_in(operation), request_id=operation.request_id)
        return trade_answers((await self._open[client].answer(message)).result)


class _Stream:
    """One conversation of a client. Answers come in the order of the messages, so each is handed to who waits longest."""

    def __init__(self, client: AsyncClient) -> None:
        self._messages: asyncio.Queue[book_service_pb2.StreamTradesRequest] = asyncio.Queue()
        self._waiting: deque[asyncio.Future[StreamedTrades]] = deque()
        self._talking = asyncio.create_task(self._talk(client))
        self.answered = 0

    @property
    def is_over(self) -> bool:
        """Whether the client has given the stream up."""
        return self._talking.done()

    async def answer(self, message: book_service_pb2.StreamTradesRequest) -> StreamedTrades:
        """Return the answer to a message, in the time that a call would be given."""
        answered: asyncio.Future[StreamedTrades] = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        self._messages.put_nowait(message)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await answered
        except TimeoutError:
            raise DeadlineExceeded("no answer on the stream", reason="DEADLINE_EXCEEDED", code=grpc.StatusCode.DEADLINE_EXCEEDED) from None

    async def close(self) -> None:
        """End the conversation where it is."""
        self._talking.cancel()
        await asyncio.wait({self._talking})

    async def _talk(self, client: AsyncClient) -> None:
        failure = CrossmarginError("the stream was closed", reason="CLOSED", code=grpc.StatusCode.CANCELLED)
        try:
            async for answer in client.stream_trades(self._sent()):
                self.answered += 1
                self._hand_on(lambda one, answer=answer: one.set_result(answer))
        except CrossmarginError as error:
            failure = error
        finally:
            while self._waiting:
                self._hand_on(lambda one: one.set_exception(failure))

    async def _sent(self) -> AsyncIterator[book_service_pb2.StreamTradesRequest]:
        while True:
            yield await self._messages.get()

    def _hand_on(self, tell) -> None:
        one = self._waiting.popleft()
        # Who waited as long as a call may take has gone.
        if not one.done():
            tell(one)
