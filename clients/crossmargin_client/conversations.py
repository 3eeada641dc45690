"""Calls on which messages are sent one after another and each is answered, whatever the connection does meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import grpc

from crossmargin_client.call_kinds import AnyConnection, Many, One
from crossmargin_client.connection import Services, start
from crossmargin_client.retries import Reconnections

Request = TypeVar("Request")
Response = TypeVar("Response")
Item = TypeVar("Item")
MOST_UNANSWERED: Final = 64
"""Messages that an asyncio client takes before they are answered; what they come from waits then."""


def _never(_message: object, _response: object) -> None:
    return None


def converse(
    method: Callable[[Services], grpc.StreamStreamMultiCallable[Request, Response]],
    messages: Iterable[Request] | AsyncIterable[Request],
    item: Callable[[Request, Response], Item],
    *,
    patience_s: float,
    again: Callable[[Request, Response], One[Item] | None] = _never,
) -> Many[Item]:
    """Return the call that sends messages as they come and yields `item` of each with its answer, in their order.

    When the stream breaks it is opened again, and what was not answered is sent again, so it has to be safe to send twice.

    Args:
        method: What streams both ways, and answers in the order of the messages.
        messages: May wait for answers before it goes on. Only `AsyncClient` takes an asynchronous one.
        item: What is yielded of a message and its answer.
        patience_s: Seconds without an answer after which a broken stream is not opened again.
        again: The call that asks once more for what an answer refused for the moment, and yields its item; None for any other answer.
    """
    return _Converse(method, messages, item, patience_s, again)


@dataclass(frozen=True, slots=True)
class _Converse(Many[Item]):
    method: Callable[[Services], Any]
    messages: Iterable[Any] | AsyncIterable[Any]
    item: Callable[[Any, Any], Item]
    patience_s: float
    again: Callable[[Any, Any], One[Item] | None]

    def make(self, connection: AnyConnection) -> Iterator[Item]:
        if not isinstance(self.messages, Iterable):
            raise TypeError(
                f"messages were {type(self.messages).__name__}; a blocking client takes an iterable, AsyncClient an async one too"
            )
        sent, connections = _Sent(iter(self.messages)), Reconnections(self.patience_s)
        while True:
            stream = start(connection, self.method, sent.from_first_unanswered())
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    connections.heard()
                    message = sent.answered()
                    again = self.again(message, response)
                    yield self.item(message, response) if again is None else again.make(connection)
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            if sent.is_over(failure):
                return
            time.sleep(connections.delay_after(failure))

    async def make_async(self, connection: AnyConnection) -> AsyncIterator[Item]:
        sent: _AsyncSent[Any] = _AsyncSent()
        connections = Reconnections(self.patience_s)
        taking = asyncio.create_task(sent.take(self.messages))
        try:
            while True:
                stream = start(connection, self.method, sent.from_first_unanswered())
                failure: grpc.RpcError | None = None
                try:
                    async for response in stream:
                        connections.heard()
                        message = await sent.answered()
                        again = self.again(message, response)
                        yield self.item(message, response) if again is None else await again.make_async(connection)
                except grpc.RpcError as broken:
                    failure = broken
                finally:
                    stream.cancel()
                if sent.is_over(failure):
                    return
                await asyncio.sleep(connections.delay_after(failure))
        finally:
            taking.cancel()


class _Sent(Generic[Request]):
    """Messages from an iterator, numbered as they are taken, kept until they are answered.

    gRPC takes messages in a thread of each stream. The thread of a broken one may still be waiting for the next message: what it takes then
    is sent by the stream that came after it.
    """

    def __init__(self, messages: Iterator[Request]) -> None:
        self._messages = messages
        self._unanswered: dict[int, Request] = {}
        self._first = 0
        self._taking = threading.Lock()
        self._ended = False
        self._failure: Exception | None = None

    def from_first_unanswered(self) -> Iterator[Request]:
        """Yield the messages that are not answered, and those that follow."""
        number = self._first
        while True:
            message = self._unanswered.get(number)
            if message is None:
                with self._taking:
                    message = self._unanswered.get(number) or self._take(number)
            if message is None:
                return
            yield message
            number += 1

    def answered(self) -> Request:
        """Return the message that the next answer is to."""
        message = self._unanswered.pop(self._first)
        self._first += 1
        return message

    def is_over(self, failure: grpc.RpcError | None) -> bool:
        """Return whether all is said and answered; raises what kept the messages from going on."""
        if self._failure is not None:
            raise self._failure
        return failure is None and self._ended and not self._unanswered

    def _take(self, number: int) -> Request | None:
        if self._ended:
            return None
        try:
            message = next(self._messages)
        except StopIteration:
            self._ended = True
            return None
        except Exception as failure:  # noqa: BLE001 - raised where the answers are read, and not in a thread of gRPC
            self._ended, self._failure = True, failure
            return None
        self._unanswered[number] = message
        return message


class _AsyncSent(Generic[Request]):
    """The same for asyncio, where one task takes the messages, so that no stream that breaks does anything to what they come from."""

    def __init__(self) -> None:
        self._unanswered: dict[int, Request] = {}
        self._first = self._taken = 0
        self._changed = asyncio.Condition()
        self._ended = False
        self._failure: Exception | None = None

    async def take(self, messages: Iterable[Request] | AsyncIterable[Request]) -> None:
        """Take messages as long as not too many are unanswered."""
        try:
            if isinstance(messages, AsyncIterable):
                async for message in messages:
                    await self._put(message)
            else:
                for message in messages:
                    await self._put(message)
        except Exception as failure:  # noqa: BLE001 - raised where the answers are read
            self._failure = failure
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def from_first_unanswered(self) -> AsyncIterator[Request]:
        """Yield the messages that are not answered, and those that follow."""
        number = self._first
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: number < self._taken or self._ended)  # noqa: B023 - awaited here
            if number >= self._taken:
                return
            yield self._unanswered[number]
            number += 1

    async def answered(self) -> Request:
        """Return the message that the next answer is to."""
        message = self._unanswered.pop(self._first)
        self._first += 1
        async with self._changed:
            self._changed.notify_all()
        return message

    def is_over(self, failure: grpc.RpcError | None) -> bool:
        """Return whether all is said and answered; raises what kept the messages from going on."""
        if self._failure is not None:
            raise self._failure
        return failure is None and self._ended and not self._unanswered

    async def _put(self, message: Request) -> None:
        async with self._changed:
            self._unanswered[self._taken] = message
            self._taken += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: len(self._unanswered) < MOST_UNANSWERED)
