"""Streams on which every message is a request of its own, and is answered by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from crossmargin.adapters.grpc_server.status import DeadlineExceededError, code_of, status_of
from crossmargin.domain.errors import DomainError, Reason

MOST_IN_FLIGHT: Final = 32
"""Messages of one stream that are worked on, or whose answers are not read yet. The next one is read when there is room for it."""
_CANCELLED: Final = "CANCELLED"
_OK: Final = "OK"

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
Item = TypeVar("Item")


class MessageMetrics(Protocol):
    """Where messages are counted, each as a call of its own."""

    def started(self) -> None:
        """Count a message that has arrived."""
        ...

    def refused(self, reason: str) -> None:
        """Count a message that was refused, by the code of its reason."""
        ...

    def handled(self, code: str, seconds: float) -> None:
        """Count a message that was answered, under the name of the status that a call of its own would have had."""
        ...


@dataclass(frozen=True, slots=True)
class Asked(Generic[Request]):
    """One message of such a stream.

    Attributes:
        message: What was asked; empty when it could not be read.
        refusal: What stands in its way: that it cannot be read, breaks a rule, or names what its caller may not see.
        method: What its work is called in a log.
        metrics: Where it is counted.
        admitted: Room in what its caller, and all of them, may ask for.
    """

    message: Request
    refusal: Exception | None
    method: str
    metrics: MessageMetrics
    admitted: Callable[[], AbstractContextManager[None]]

    async def outcome(self, work: Callable[[], Awaitable[Response]], *, longest_s: float) -> Response | Status:
        """Return what `work` answers, or the status that a call of its own would have ended with. Counted in every case."""
        self.metrics.started()
        began = time.perf_counter()
        try:
            self._check()
            with self.admitted():
                answer = await _within(longest_s, work)
        except asyncio.CancelledError:
            self.metrics.handled(_CANCELLED, time.perf_counter() - began)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to this message and not the end of the stream
            status = status_of(error, method=self.method)
            if isinstance(error, DomainError):
                self.metrics.refused(error.reason.code)
            self.metrics.handled(code_of(status).name, time.perf_counter() - began)
            return status
        self.metrics.handled(_OK, time.perf_counter() - began)
        return answer

    def _check(self) -> None:
        if self.refusal is not None:
            raise self.refusal


class Stopping:
    """Tells streams that the service is about to stop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def stop(self) -> None:
        """Let streams end: they answer what they have read, and read nothing more."""
        self._event.set()

    async def wait(self) -> None:
        """Return when the service is about to stop."""
        await self._event.wait()


def service_stopping() -> DomainError:
    """Return what a stream ends with when the service stops."""
    return DomainError(
        Reason.SERVICE_STOPPING, "the service is stopping and has answered what it has read; call again and send what was not answered"
    )


async def in_order(
    messages: AsyncIterator[Item],
    answer: Callable[[Item], Awaitable[Response]],
    stopping: Stopping,
    *,
    most_in_flight: int = MOST_IN_FLIGHT,
) -> AsyncGenerator[Response, None]:
    """Yield the answer to each message, in the order of the messages, working on several at a time.

    A message is read when fewer than `most_in_flight` are waiting for their answers, or for these to be read.

    Raises:
        DomainError: SERVICE_STOPPING, once what was read before the service began to stop has been answered.
    """
    begun: asyncio.Queue[asyncio.Task[Response] | None] = asyncio.Queue()
    room = asyncio.Semaphore(most_in_flight)

    async def work_on(message: Item) -> Response:
        return await answer(message)

    async def read() -> None:
        await room.acquire()
        async for message in messages:
            begun.put_nowait(asyncio.create_task(work_on(message)))
            await room.acquire()

    reader, stop = asyncio.create_task(read()), asyncio.create_task(stopping.wait())
    reader.add_done_callback(lambda _: begun.put_nowait(None))
    # Not only told at the end of what is begun: answers that are read make room, and nothing more may be begun.
    stop.add_done_callback(lambda _: reader.cancel())
    try:
        while (task := await begun.get()) is not None:
            yield await task
            room.release()
        if stop.done():
            raise service_stopping()
        reader.result()  # what kept it from reading on is what ends the stream
    finally:
        reader.cancel()
        stop.cancel()
        while not begun.empty():
            left = begun.get_nowait()
            if left is not None:
                left.cancel()


async def _within(longest_s: float, work: Callable[[], Awaitable[Response]]) -> Response:
    try:
        async with asyncio.timeout(longest_s) as limit:
            return await work()
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceededError(longest_s) from None
        raise
