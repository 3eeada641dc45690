"""A span for every call, as part of its caller's trace, with the status that our promise gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

FAULTS: Final = frozenset({"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""Codes that use up the error budget. A refusal is an answer, and a call that its caller cancels is nobody's fault."""
_NUMBERS: Final = {code.name: code.value[0] for code in grpc.StatusCode}
_PROPAGATOR: Final = TraceContextTextMapPropagator()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class RpcMetrics(Protocol):
    """Where calls are counted."""

    def started(self, service: str, method: str, kind: str) -> None:
        """See `RpcMetrics` of the server."""
        ...

    def refused(self, service: str, method: str, reason: str) -> None:
        """See `RpcMetrics` of the server."""
        ...

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        """See `RpcMetrics` of the server."""
        ...


class SpanInterceptor(grpc.aio.ServerInterceptor):
    """Runs every call inside a span. It has to come before the interceptor that counts calls.

    No exception is recorded: its text may quote the request, and traces leave the machine.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the method's handler inside a span; None for a method that does not exist."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        service, method = handler_call_details.method.removeprefix("/").split("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        parent = _parent_of(handler_call_details)

        def spanned(behavior: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
            async def call(request: Any, context: Any) -> Any:  # noqa: ANN401 - whatever the method takes and returns
                with self._tracer.start_as_current_span(
                    f"{service}/{method}",
                    parent,
                    SpanKind.SERVER,
                    attributes,
                    record_exception=False,
                    set_status_on_exception=False,
                ):
                    return await behavior(request, context)

            return call

        make, behavior = _maker(handler)
        return make(spanned(behavior), request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer)


class SpanningRpcMetrics:
    """Counts calls, and tells the span of each how it ended."""

    def __init__(self, counted: RpcMetrics) -> None:
        self._counted = counted

    def started(self, service: str, method: str, kind: str) -> None:
        """Count a call that starts."""
        self._counted.started(service, method, kind)

    def refused(self, service: str, method: str, reason: str) -> None:
        """Count a call that was refused, and note why."""
        trace.get_current_span().set_attribute("crossmargin.reason", reason)
        self._counted.refused(service, method, reason)

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        """Count a call that has ended, and note its code; an error only where the fault is ours."""
        span = trace.get_current_span()
        span.set_attribute("rpc.grpc.status_code", _NUMBERS[code])
        if code in FAULTS:
            span.set_status(Status(StatusCode.ERROR, code))
        self._counted.handled(service, method, kind, code, seconds)


def _parent_of(details: grpc.HandlerCallDetails) -> Context:
    # Which trace it is part of, and nothing more: a tracestate may say anything, and what callers say does not leave with the spans.
    headers = {name: value for name, value in details.invocation_metadata or () if name == "traceparent" and isinstance(value, str)}
    return _PROPAGATOR.extract(headers, Context())


def _maker(handler: Handler) -> tuple[Callable[..., Handler], Callable[..., Any]]:
    for make, behavior in (
        (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
        (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
    ):
        if behavior is not None:
            return make, behavior
    raise ValueError("a handler without a behavior")
