"""Calls of any RPC by its name, and what the gate said to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from crossmargin.adapters.grpc_server.access_policy import PACKAGE
from crossmargin.adapters.grpc_server.server import PROTECTED_SERVICES
from tests.integration.grpc_rig import PATIENCE_S, Refusal, unpacked

T = TypeVar("T")
AT_ONCE: Final = 32
HUNG_UP = "Internal error from Core"
"""What grpc's own client says, and not the service, when it was writing as the service hung up: the status is lost; call again."""
AGED = "Debug Text: max_age"
"""What it says when a connection had lived as long as one may just as a call began: on the next one it is answered."""
_TRIES = 20
_PATIENCE_OF = {"WatchCallNotices": 2.0}
"""Seconds, of a stream that has nothing to tell: that its caller was let in shows in that nobody hangs up."""


def methods() -> dict[str, MethodDescriptor]:
    """Every RPC that the server answers, by its short name."""
    return {f"{_short(service)}/{method.name}": method for service in PROTECTED_SERVICES for method in service.methods}


def _short(service: ServiceDescriptor) -> str:
    return service.full_name.removeprefix(PACKAGE)


@dataclass(frozen=True)
class Answer:
    """What came of a call: the first message, or how it was refused."""

    message: Message | None = None
    refusal: Refusal | None = None

    @property
    def verdict(self) -> str:
        """What the gate said: nobody, denied, unknown (a client or an account), or in; AssertionError when the call never came to it."""
        if self.refusal is None:
            return "in"
        assert self.refusal.reason or self.refusal.code == "DEADLINE_EXCEEDED", self.refusal
        if self.refusal.code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
            return {"UNAUTHENTICATED": "nobody", "PERMISSION_DENIED": "denied"}[self.refusal.code]
        return "unknown" if self.refusal.reason in {"UNKNOWN_CLIENT", "UNKNOWN_ACCOUNT"} else "in"


async def all_of(work: Iterable[Awaitable[T]]) -> list[T]:
    """Await many calls, some of them at a time, and return what each came to, in their order."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def in_turn(one: Awaitable[T]) -> T:
        async with slots:
            return await one

    return await asyncio.gather(*(in_turn(one) for one in work))


async def answer_to(channel: grpc.aio.Channel, method: MethodDescriptor, request: Message, metadata=()) -> Answer:
    """Make a call with one request and return its first answer."""
    for _ in range(_TRIES):
        answer = await _answer_once(channel, method, request, metadata)
        if answer.refusal is None or answer.refusal.message != HUNG_UP:
            return answer
    raise AssertionError(f"{method.full_name}: {answer}")


async def _answer_once(channel: grpc.aio.Channel, method: MethodDescriptor, request: Message, metadata) -> Answer:
    path = f"/{method.containing_service.full_name}/{method.name}"
    forms = {"request_serializer": _bytes, "response_deserializer": GetMessageClass(method.output_type).FromString}
    options = {"metadata": tuple(metadata), "timeout": _PATIENCE_OF.get(method.name, PATIENCE_S)}
    try:
        if not method.server_streaming:
            if method.client_streaming:
                call = channel.stream_unary(path, **forms)(**options)
                await _say(call, request)
                return Answer(await call)
            return Answer(await channel.unary_unary(path, **forms)(request, **options))
        if method.client_streaming:
            return await _conversation(channel.stream_stream(path, **forms)(**options), request)
        call = channel.unary_stream(path, **forms)(request, **options)
        try:
            async for message in call:
                return Answer(message)
        finally:
            call.cancel()
        return Answer()
    except grpc.aio.AioRpcError as error:
        return Answer(refusal=unpacked(error))


async def _say(call, request: Message) -> None:
    # Written by hand: what grpc makes of an iterator, it reports as an internal error when the service hangs up while it writes.
    with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
        await call.write(request)
        await call.done_writing()


async def _conversation(call: grpc.aio.StreamStreamCall, request: Message) -> Answer:
    await _say(call, request)
    message = await call.read()
    if message is not grpc.aio.EOF:
        call.cancel()
        return _refused(message) or Answer(message)
    if await call.code() is grpc.StatusCode.OK:
        return Answer()
    raise grpc.aio.AioRpcError(
        await call.code(), await call.initial_metadata(), await call.trailing_metadata(), details=await call.details()
    )


def _refused(message: Message) -> Answer | None:
    """The refusal of a message on a stream that goes on without it, as the call of its own that it could have been would have ended."""
    if "refusal" not in message.DESCRIPTOR.fields_by_name or not message.HasField("refusal"):
        return None
    refusal = message.refusal
    code = next(code for code in grpc.StatusCode if code.value[0] == refusal.code)
    return Answer(refusal=Refusal(code.name, refusal.message, refusal.reason, dict(refusal.metadata), {}, None))


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()
