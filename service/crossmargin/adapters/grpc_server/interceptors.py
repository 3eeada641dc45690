"""What every call goes through: the gate, size, form, field rules, its time, its status, and being counted."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status
from protovalidate import Validator

from crossmargin.adapters.grpc_server.access_gate import AccessGate
from crossmargin.adapters.grpc_server.call_limits import CallLimits
from crossmargin.adapters.grpc_server.context import Context
from crossmargin.adapters.grpc_server.conversation import Asked
from crossmargin.adapters.grpc_server.status import DeadlineExceededError, code_of, status_of
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.caller import Caller

LONGEST_CALL_S: Final = 10.0
LONGEST_WRITE_S: Final = 2.0
LARGEST_REQUEST_BYTES: Final = 256 * 1024
ANSWERED_EACH: Final[Mapping[str, str]] = {
    "/crossmargin.api.v1.MarginService/StreamPreviews": "PreviewTrades",
    "/crossmargin.api.v1.BookService/StreamTrades": "RecordTrades",
}
"""Streams on which every message is answered by itself, and the call that each is counted as."""
REAUTHORISE_S: Final = 10.0
"""How often a stream is asked whether its caller would still be let in. One that would not is ended within this and a moment."""
FRESH_S: Final = 1.0
"""How long what was found of a caller holds for messages that are answered each by itself."""
# A client gives up on its own clock, and its deadline travels rounded up by at most 1%. So a call that is cancelled with less than this
# left was not cancelled by anybody: its time was over.
_DEADLINE_ROUNDING: Final = 0.02
_DEADLINE_JITTER_S: Final = 0.02

T = TypeVar("T")
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_KINDS: Final[Mapping[tuple[bool, bool], tuple[str, Callable[..., Handler]]]] = {
    (False, False): ("unary", grpc.unary_unary_rpc_method_handler),
    (True, False): ("client_stream", grpc.stream_unary_rpc_method_handler),
    (False, True): ("server_stream", grpc.unary_stream_rpc_method_handler),
    (True, True): ("bidi_stream", grpc.stream_stream_rpc_method_handler),
}


class RpcMetrics(Protocol):
    """Where calls are counted."""

    def started(self, service: str, method: str, kind: str) -> None:
        """Count a call whose request has arrived. `kind` is unary, client_stream, server_stream or bidi_stream."""
        ...

    def refused(self, service: str, method: str, reason: str) -> None:
        """Count a call that was refused for a reason of the API, by its code."""
        ...

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        """Count a call that has ended, under the name of its status code; every call that started ends once."""
        ...


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of the API: what it is called, the largest request it takes, and what it does.

    Attributes:
        path: As on the wire, such as /crossmargin.api.v1.MarginService/GetMargin.
        parse: Reads a request; raises DecodeError.
        behavior: The service's own method, of a request (or an iterator of them) and the context.
    """

    path: str
    service: str
    name: str
    kind: str
    largest_request: int
    parse: Callable[[bytes], Message]
    behavior: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class _OneOfStream:
    """Counts the messages of a stream, each as a call of the method that it could have been, of the kind that the stream is."""

    metrics: RpcMetrics
    service: str
    method: str
    kind: str

    def started(self) -> None:
        self.metrics.started(self.service, self.method, self.kind)

    def refused(self, reason: str) -> None:
        self.metrics.refused(self.service, self.method, reason)

    def handled(self, code: str, seconds: float) -> None:
        self.metrics.handled(self.service, self.method, self.kind, code, seconds)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of the server.

    A call passes the gate before anything of it is read. Requests are read here and not by grpc, so that one that is too large, malformed
    or against the field rules ends with a status of ours. Unary calls end within 10 s, or sooner if the caller says so; streams last as
    long as the caller likes, but a stream whose reader does not read for 2 s is cut, because what it has not read is kept in memory.
    """

    def __init__(
        self,
        gate: AccessGate,
        metrics: RpcMetrics,
        validator: Validator,
        *,
        largest_requests: Mapping[str, int],
        reauthorise_s: float = REAUTHORISE_S,
        limits: CallLimits | None = None,
    ) -> None:
        self._limits = limits
        self._gate = gate
        self._reauthorise_s = reauthorise_s
        self._metrics = metrics
        self._validator = validator
        self._largest_requests = largest_requests
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped; None for a method that does not exist, which grpc answers with UNIMPLEMENTED."""
        path = handler_call_details.method
        # Wrapped once: this interceptor is the last of the server, so the handler of a path is always the same.
        if path not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[path] = self._wrap(path, handler)
        return self._wrapped[path]

    def _wrap(self, path: str, handler: Handler) -> Handler:
        service, name = path.removeprefix("/").split("/")
        streams = (handler.request_streaming, handler.response_streaming)
        kind, make = _KINDS[streams]
        parse: Any = handler.request_deserializer
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        method = _Method(path, service, name, kind, self._largest_requests.get(path, LARGEST_REQUEST_BYTES), parse, behavior)
        if handler.response_streaming:
            call = self._streaming_call(method)
        else:
            call = self._client_streaming_call(method) if handler.request_streaming else self._unary_call(method)
        return make(call, request_deserializer=None, response_serializer=handler.response_serializer)

    def _unary_call(self, method: _Method) -> Callable[..., Awaitable[object]]:
        async def call(raw: bytes, context: Context) -> object:
            def work(caller: Caller) -> Awaitable[object]:
                return _in_time(context, lambda: method.behavior(self._read(method, caller, raw), context))

            return await self._answer(method, context, work)

        return call

    def _client_streaming_call(self, method: _Method) -> Callable[..., Awaitable[object]]:
        async def call(messages: AsyncIterator[bytes], context: Context) -> object:
            def work(caller: Caller) -> Awaitable[object]:
                behavior = method.behavior(self._read_whole(method, caller, messages, context), context)
                return self._while_admitted(method, caller, context, behavior)

            return await self._answer(method, context, work)

        return call

    def _streaming_call(self, method: _Method) -> Callable[..., Awaitable[object]]:
        async def call(incoming: bytes | AsyncIterator[bytes], context: Context) -> None:
            def work(caller: Caller) -> Awaitable[None]:
                request: Any = incoming
                if isinstance(incoming, bytes):
                    request = self._read(method, caller, incoming)
                elif method.path in ANSWERED_EACH:
                    request = self._read_each(method, caller, incoming, context)
                else:
                    request = self._read_all(method, caller, incoming)
                return self._while_admitted(method, caller, context, _write_all(method.behavior(request, context), context))

            await self._answer(method, context, work)

        return call

    async def _answer(self, method: _Method, context: Context, work: Callable[[Caller], Awaitable[T]]) -> T:
        """Return what `work` returns to whoever is let in; end the call with the status of what it raises. Counted in every case."""
        self._metrics.started(method.service, method.name, method.kind)
        began = time.perf_counter()
        allowed_s = context.time_remaining()

        def ended(code: grpc.StatusCode) -> None:
            self._metrics.handled(method.service, method.name, method.kind, code.name, time.perf_counter() - began)

        try:
            caller = self._gate.admit(method.path, context)
            with self._limited(method, caller, allowed_s):
                answer = await work(caller)
        except asyncio.CancelledError:
            ended(_code_of_cancellation(context, allowed_s))
            raise
        except grpc.aio.AbortError:
            ended(context.code())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status and not its text
            status = status_of(error, method=f"{method.service}/{method.name}")
            if isinstance(error, DomainError):
                self._metrics.refused(method.service, method.name, error.reason.code)
            # Counted first: a client that does not read may keep the status waiting.
            ended(code_of(status))
            await context.abort_with_status(rpc_status.to_status(status))
        ended(grpc.StatusCode.OK)
        return answer

    def _limited(self, method: _Method, caller: Caller, allowed_s: float | None) -> AbstractContextManager[None]:
        rule = self._gate.policy[method.path] if self._limits is not None else None
        if self._limits is None or rule is None or rule.roles is None:
            return nullcontext()
        if method.kind == "unary" and allowed_s is None:
            sentence = f"{method.name} came without a deadline; give one of at most {LONGEST_CALL_S:.0f} s"
            raise DomainError(Reason.INVALID_ARGUMENT, sentence, field="deadline", expected=f"at most {LONGEST_CALL_S:.0f} s")
        return self._limits.admitted(caller.principal, is_urgent=rule.is_urgent, is_stream=method.kind != "unary")

    async def _while_admitted(self, method: _Method, caller: Caller, context: Context, work: Awaitable[T]) -> T:
        """Return what `work` returns, unless its caller is not let in any more before it does."""
        denials: list[DomainError] = []

        async def watch(limit: asyncio.Timeout) -> None:
            while not denials:
                await asyncio.sleep(self._reauthorise_s)
                try:
                    self._gate.check_still_admitted(method.path, caller, context)
                except DomainError as denial:
                    denials.append(denial)
            limit.reschedule(0)

        try:
            async with asyncio.timeout(None) as limit:
                watching = asyncio.create_task(watch(limit))
                try:
                    return await work
                finally:
                    watching.cancel()
        except TimeoutError:
            if limit.expired():
                raise denials[0] from None
            raise

    def _parsed(self, method: _Method, raw: bytes) -> Message | None:
        """Return a message that has not been looked at, or None for one that is too large or none at all."""
        if len(raw) > method.largest_request:
            return None
        try:
            return method.parse(raw)
        except DecodeError:
            return None

    def _read(self, method: _Method, caller: Caller, raw: bytes, parsed: Message | None = None) -> Message:
        if len(raw) > method.largest_request:
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"request of {method.name} was {len(raw)} bytes; expected at most {method.largest_request}; split it",
                value=len(raw),
                expected=method.largest_request,
            )
        message = self._parsed(method, raw) if parsed is None else parsed
        if message is None:
            raise DomainError(
                Reason.INVALID_ARGUMENT, f"request of {method.name} is not the message that the API defines; generate the client from it"
            )
        self._validator.validate(message)
        self._gate.check_clients(method.path, caller, message)
        return message

    async def _read_each(
        self, method: _Method, caller: Caller, messages: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Asked[Message]]:
        """Yield every message with what stands in its way. A caller who would not be let in any more ends the stream at the next one."""
        metrics = _OneOfStream(self._metrics, method.service, ANSWERED_EACH[method.path], method.kind)
        limits, looked_at = self._limits, time.monotonic()
        is_urgent = self._gate.policy[method.path].is_urgent
        async for raw in messages:
            if time.monotonic() - looked_at > FRESH_S:
                self._gate.check_still_admitted(method.path, caller, context)
                looked_at = time.monotonic()
            message, refusal = self._parsed(method, raw), None
            try:
                self._read(method, caller, raw, message)
            except Exception as error:  # noqa: BLE001 - it is the answer to this message
                refusal = error
            yield Asked(
                method.parse(b"") if message is None else message,
                refusal,
                f"{method.service}/{method.name}",
                metrics,
                nullcontext if limits is None else partial(limits.admitted, caller.principal, is_urgent=is_urgent, is_stream=False),
            )

    async def _read_all(self, method: _Method, caller: Caller, messages: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for raw in messages:
            yield self._read(method, caller, raw)

    async def _read_whole(
        self, method: _Method, caller: Caller, messages: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Message]:
        async for message in self._read_all(method, caller, messages):
            yield message
        await _check_caller_is_there(context)


async def _in_time(context: Context, work: Callable[[], Awaitable[T]]) -> T:
    left_s = context.time_remaining()
    allowed_s = LONGEST_CALL_S if left_s is None else min(left_s, LONGEST_CALL_S)
    try:
        async with asyncio.timeout(allowed_s) as limit:
            return await work()
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceededError(allowed_s) from None
        raise


async def _check_caller_is_there(context: Context) -> None:
    # A stream that was cancelled, or broken by a message beyond the server's limit, looks to the reader like one that ended. Headers can
    # only be sent on a call that is alive, so half a request is never taken for a whole one.
    try:
        await context.send_initial_metadata(())
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None


async def _write_all(responses: Awaitable[None] | AsyncGenerator[Message, None], context: Context) -> None:
    if inspect.isawaitable(responses):
        await responses  # a behavior that writes by itself
        return
    async with aclosing(responses):
        async for response in responses:
            await _write(response, context)


async def _write(response: Message, context: Context) -> None:
    try:
        async with asyncio.timeout(LONGEST_WRITE_S) as limit:
            await context.write(response)
    except TimeoutError:
        if not limit.expired():
            raise
        raise DomainError(
            Reason.SERVICE_BUSY, f"the stream was not read for {LONGEST_WRITE_S:.0f} s and was cut; call again and read on"
        ) from None
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None  # the caller is gone


def _code_of_cancellation(context: Context, allowed_s: float | None) -> grpc.StatusCode:
    left_s = context.time_remaining()
    if allowed_s is not None and left_s is not None and left_s <= allowed_s * _DEADLINE_ROUNDING + _DEADLINE_JITTER_S:
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
