"""What the interceptor does when the caller goes away between two steps: moments that a real channel hits only by chance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from protovalidate import Validator

from crossmargin.adapters.grpc_server.interceptors import CallInterceptor
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.usecases.caller import Caller

SERVICE = "/crossmargin.api.v1.TestService/"


@dataclass
class Ends:
    """Remembers the codes that calls ended with."""

    codes: list[str] = field(default_factory=list)

    def started(self, service: str, method: str, kind: str) -> None:
        pass

    def refused(self, service: str, method: str, reason: str) -> None:
        pass

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        self.codes.append(code)


@dataclass
class GoneCaller:
    """The context of a call whose caller has gone, so that nothing can be sent; `left_s` is left of its time."""

    left_s: float | None = None

    def time_remaining(self) -> float | None:
        return self.left_s

    async def write(self, message: object) -> None:
        raise grpc.aio.InternalError("the batch failed")

    async def send_initial_metadata(self, metadata: object) -> None:
        raise grpc.aio.InternalError("the batch failed")


class OpenGate:
    """Lets everybody in."""

    def admit(self, path: str, context: object) -> Caller:
        return Caller("test")

    def check_clients(self, path: str, caller: Caller, request: object) -> None:
        pass


@dataclass
class Details:
    method: str
    invocation_metadata: tuple = ()


async def wrapped(handler, ends: Ends):
    async def continuation(_: object):
        return handler

    interceptor = CallInterceptor(OpenGate(), ends, Validator(), largest_requests={})
    return await interceptor.intercept_service(continuation, Details(SERVICE + "Do"))


async def test_a_stream_that_ends_because_its_caller_has_gone_is_not_taken_for_whole():
    ends, finished = Ends(), []

    async def collect(requests: AsyncIterator[market_pb.ImportHistoryRequest], _: object) -> market_pb.ImportHistoryResponse:
        finished.extend([request async for request in requests])
        return market_pb.ImportHistoryResponse()

    async def no_more_messages() -> AsyncIterator[bytes]:
        for raw in ():
            yield raw

    parse = market_pb.ImportHistoryRequest.FromString
    handler = await wrapped(grpc.stream_unary_rpc_method_handler(collect, request_deserializer=parse), ends)
    with pytest.raises(asyncio.CancelledError):
        await handler.stream_unary(no_more_messages(), GoneCaller())
    assert finished == []
    assert ends.codes == ["CANCELLED"]


async def test_a_message_that_cannot_be_written_is_no_fault_of_ours():
    ends, was_closed = Ends(), asyncio.Event()

    async def tell(request: object, _: object) -> AsyncIterator[margin_pb.WatchMarginResponse]:
        try:
            while True:
                yield margin_pb.WatchMarginResponse()
        finally:
            was_closed.set()

    handler = await wrapped(grpc.unary_stream_rpc_method_handler(tell, request_deserializer=margin_pb.Margin.FromString), ends)
    with pytest.raises(asyncio.CancelledError):
        await handler.unary_stream(b"", GoneCaller())
    assert was_closed.is_set()
    assert ends.codes == ["CANCELLED"]


@pytest.mark.parametrize(
    ("allowed_s", "left_s", "code"),
    [
        (None, None, "CANCELLED"),
        (5.0, 4.0, "CANCELLED"),
        (5.0, 0.0, "DEADLINE_EXCEEDED"),
        (60.0, 0.6, "DEADLINE_EXCEEDED"),
        (60.0, 2.0, "CANCELLED"),
        (0.05, 0.01, "DEADLINE_EXCEEDED"),
    ],
)
async def test_a_cancelled_call_whose_time_was_over_is_late(allowed_s, left_s, code):
    """A deadline travels rounded up by at most 1%, so a caller's own clock may end the call with that much left."""
    ends, caller = Ends(), GoneCaller(allowed_s)

    async def cancelled(_: object, context: GoneCaller) -> None:
        context.left_s = left_s
        raise asyncio.CancelledError

    handler = await wrapped(grpc.unary_unary_rpc_method_handler(cancelled, request_deserializer=margin_pb.Margin.FromString), ends)
    with pytest.raises(asyncio.CancelledError):
        await handler.unary_unary(b"", caller)
    assert ends.codes == [code]


async def test_a_method_that_does_not_exist_is_left_to_grpc():
    assert await wrapped(None, Ends()) is None
