"""The kinds of calls there are, and how one of each is made through either client.

A call is said once, as `ask(method, request, what is returned of the answer)` and its like; nothing is sent before it is made.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import grpc

from crossmargin_client.connection import Connection, Services, start
from crossmargin_client.errors import error_from_call
from crossmargin_client.requests import PagedRequest, PagedResponse, next_page, request_id_of
from crossmargin_client.retries import Attempts, Reconnections, backoff_s

Request = TypeVar("Request")
Response = TypeVar("Response")
PageRequest = TypeVar("PageRequest", bound=PagedRequest)
PageResponse = TypeVar("PageResponse", bound=PagedResponse)
Result = TypeVar("Result")
Item = TypeVar("Item")
AnyConnection: TypeAlias = Connection[Any, Any]
TIMEOUT_FACTOR_OF_UPLOADS: Final = 6
"""An upload moves more than any other call; its deadline is this many times that of the others."""


class One(ABC, Generic[Result]):
    """A call that comes back with one result, made again while that is safe and the deadline has not passed."""

    @abstractmethod
    def make(self, connection: AnyConnection) -> Result:
        """Make the call and return its result."""

    @abstractmethod
    async def make_async(self, connection: AnyConnection) -> Result:
        """Make the call through an asyncio connection."""


class Many(ABC, Generic[Item]):
    """A call that comes back with items, one after another as they are asked for."""

    @abstractmethod
    def make(self, connection: AnyConnection) -> Iterator[Item]:
        """Make the call and yield its items."""

    @abstractmethod
    def make_async(self, connection: AnyConnection) -> AsyncIterator[Item]:
        """Make the call through an asyncio connection."""


def whole(response: Response) -> Response:
    """Return an answer as it is: what is handed on when that is all of it."""
    return response


def ask(
    method: Callable[[Services], grpc.UnaryUnaryMultiCallable[Request, Response]], request: Request, result: Callable[[Response], Result]
) -> One[Result]:
    """Return the call that sends a request and returns `result` of its answer."""
    return _Ask(method, lambda: request, result, request_id=request_id_of(request))


def ask_again(
    method: Callable[[Services], grpc.UnaryUnaryMultiCallable[Request, Response]],
    request: Request,
    result: Callable[[Response], Result],
    *,
    after: grpc.StatusCode,
) -> One[Result]:
    """Return the call that sends, after a while, what was sent another way and failed with the status `after`."""
    return _Ask(method, lambda: request, result, request_id=request_id_of(request), after=after)


def upload(
    method: Callable[[Services], grpc.StreamUnaryMultiCallable[Request, Response]],
    messages: Sequence[Request],
    result: Callable[[Response], Result],
) -> One[Result]:
    """Return the call that sends messages, all of them again after a break, and returns `result` of the one answer."""
    return _Ask(method, lambda: iter(messages), result, timeout_factor=TIMEOUT_FACTOR_OF_UPLOADS)


def exchange(
    method: Callable[[Services], grpc.StreamStreamMultiCallable[Request, Response]], messages: Sequence[Request]
) -> One[list[Response]]:
    """Return the call that sends messages and returns the answer to each; after a break it sends those that were not answered."""
    return _Exchange(method, messages)


def pages(
    method: Callable[[Services], grpc.UnaryUnaryMultiCallable[PageRequest, PageResponse]],
    request: PageRequest,
    items: Callable[[PageResponse], Iterable[Item]],
) -> Many[Item]:
    """Return the call that asks for page after page and yields `items` of each."""
    return _Pages(method, request, items)


def run(method: Callable[[Services], grpc.UnaryStreamMultiCallable[Request, Response]], request: Request) -> Many[Response]:
    """Return the call that yields what the service finds, and is not continued when it breaks."""
    return _Run(method, request)


def _never(_: object) -> bool:
    return False


def watch(
    method: Callable[[Services], grpc.UnaryStreamMultiCallable[Request, Response]],
    request: Request,
    item: Callable[[Response], Item | None],
    *,
    ends: Callable[[Response | None], bool] = _never,
    patience_s: float,
) -> Many[Item]:
    """Return the call that yields what a stream says, and opens it again when it breaks.

    Args:
        method: What streams.
        request: Sent whenever the stream is opened; `item` may write into it where the next stream shall go on.
        item: What is yielded of a response; None for one that says nothing new.
        ends: Whether all was said with a response, or, for None, with a stream that the service closed in good order.
        patience_s: Seconds without anything new after which a broken stream is not opened again.
    """
    return _Watch(method, request, item, ends, patience_s)


@dataclass(frozen=True, slots=True)
class _Ask(One[Result]):
    method: Callable[[Services], Any]
    message: Callable[[], object]
    result: Callable[[Any], Result]
    request_id: str = ""
    timeout_factor: float = 1
    after: grpc.StatusCode | None = None

    def _attempts(self, connection: AnyConnection) -> Attempts:
        return Attempts(self.timeout_factor * connection.timeout_s, request_id=self.request_id, after=self.after)

    def make(self, connection: AnyConnection) -> Result:
        attempts = self._attempts(connection)
        if self.after is not None:
            time.sleep(backoff_s(0))
        while True:
            try:
                return self.result(start(connection, self.method, self.message(), timeout_s=attempts.remaining_s))
            except grpc.RpcError as failure:
                time.sleep(attempts.delay_after(failure))

    async def make_async(self, connection: AnyConnection) -> Result:
        attempts = self._attempts(connection)
        if self.after is not None:
            await asyncio.sleep(backoff_s(0))
        while True:
            try:
                return self.result(await start(connection, self.method, self.message(), timeout_s=attempts.remaining_s))
            except grpc.RpcError as failure:
                await asyncio.sleep(attempts.delay_after(failure))


@dataclass(frozen=True, slots=True)
class _Exchange(One[list[Response]]):
    method: Callable[[Services], Any]
    messages: Sequence[object]

    def make(self, connection: AnyConnection) -> list[Response]:
        answers: list[Response] = []
        attempts = Attempts(connection.timeout_s)
        while len(answers) < len(self.messages):
            stream = start(connection, self.method, iter(self.messages[len(answers) :]), timeout_s=attempts.remaining_s)
            try:
                for answer in stream:
                    answers.append(answer)  # noqa: PERF402 - what was answered before a break counts
            except grpc.RpcError as failure:
                time.sleep(attempts.delay_after(failure))
        return answers

    async def make_async(self, connection: AnyConnection) -> list[Response]:
        answers: list[Response] = []
        attempts = Attempts(connection.timeout_s)
        while len(answers) < len(self.messages):
            stream = start(connection, self.method, iter(self.messages[len(answers) :]), timeout_s=attempts.remaining_s)
            try:
                async for answer in stream:
                    answers.append(answer)  # noqa: PERF401 - what was answered before a break counts
            except grpc.RpcError as failure:
                await asyncio.sleep(attempts.delay_after(failure))
        return answers


@dataclass(frozen=True, slots=True)
class _Pages(Many[Item], Generic[PageRequest, PageResponse, Item]):
    method: Callable[[Services], grpc.UnaryUnaryMultiCallable[PageRequest, PageResponse]]
    request: PageRequest
    items: Callable[[PageResponse], Iterable[Item]]

    def make(self, connection: AnyConnection) -> Iterator[Item]:
        following: PageRequest | None = self.request
        while following is not None:
            page = ask(self.method, following, whole).make(connection)
            yield from self.items(page)
            following = next_page(following, page)

    async def make_async(self, connection: AnyConnection) -> AsyncIterator[Item]:
        following: PageRequest | None = self.request
        while following is not None:
            page = await ask(self.method, following, whole).make_async(connection)
            for item in self.items(page):
                yield item
            following = next_page(following, page)


@dataclass(frozen=True, slots=True)
class _Run(Many[Response]):
    method: Callable[[Services], Any]
    request: object

    def make(self, connection: AnyConnection) -> Iterator[Response]:
        stream = start(connection, self.method, self.request)
        try:
            yield from stream
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        finally:
            stream.cancel()

    async def make_async(self, connection: AnyConnection) -> AsyncIterator[Response]:
        stream = start(connection, self.method, self.request)
        try:
            async for response in stream:
                yield response
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        finally:
            stream.cancel()


@dataclass(frozen=True, slots=True)
class _Watch(Many[Item]):
    method: Callable[[Services], Any]
    request: object
    item: Callable[[Any], Item | None]
    ends: Callable[[Any], bool]
    patience_s: float

    def make(self, connection: AnyConnection) -> Iterator[Item]:
        connections = Reconnections(self.patience_s)
        while True:
            stream = start(connection, self.method, self.request)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    item = self.item(response)
                    if item is not None:
                        connections.heard()
                        yield item
                    if self.ends(response):
                        return
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            if failure is None and self.ends(None):
                return
            time.sleep(connections.delay_after(failure))

    async def make_async(self, connection: AnyConnection) -> AsyncIterator[Item]:
        connections = Reconnections(self.patience_s)
        while True:
            stream = start(connection, self.method, self.request)
            failure: grpc.RpcError | None = None
            try:
                async for response in stream:
                    item = self.item(response)
                    if item is not None:
                        connections.heard()
                        yield item
                    if self.ends(response):
                        return
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            if failure is None and self.ends(None):
                return
            await asyncio.sleep(connections.delay_after(failure))
