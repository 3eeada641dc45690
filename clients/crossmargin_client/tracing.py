"""Calls as part of the caller's trace (extra `otel`): a span for each attempt, and its context sent along.

    with Client("127.0.0.1:50051", interceptors=tracing_interceptors()) as client:
        ...

Without these interceptors a client knows nothing of OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
import grpc.aio
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""Codes of a failure. A refusal, such as FAILED_PRECONDITION for INSUFFICIENT_MARGIN, is an answer."""
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def tracing_interceptors(provider: TracerProvider | None = None) -> Sequence[Any]:
    """Return the interceptors for a `Client`; spans go to `provider`, or to the process's own when none is given.

    Unary calls get a span for each attempt, so that retries show. Streams get none, because they last as long as their reader likes, but
    belong to the span that they were opened in.
    """
    return (_SyncTracing(trace.get_tracer("crossmargin_client", tracer_provider=provider)),)


def async_tracing_interceptors(provider: TracerProvider | None = None) -> Sequence[Any]:
    """Return the interceptors for an `AsyncClient`; see `tracing_interceptors`."""
    tracer = trace.get_tracer("crossmargin_client", tracer_provider=provider)
    return (_AsyncUnaryTracing(tracer), _AsyncServerStreamTracing(), _AsyncClientStreamTracing(), _AsyncBidiStreamTracing())


class _SyncTracing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        with _attempt(self._tracer, client_call_details.method) as span:
            call = continuation(_SyncDetails(client_call_details), request)
            _end(span, call.code())  # waits for the answer, as the client would
            return call

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return continuation(_SyncDetails(client_call_details), request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return continuation(_SyncDetails(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return continuation(_SyncDetails(client_call_details), request_iterator)


class _AsyncUnaryTracing(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        with _attempt(self._tracer, _text(client_call_details.method)) as span:
            call = await continuation(_async_details(client_call_details), request)
            _end(span, await call.code())
            return call


class _AsyncServerStreamTracing(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(_async_details(client_call_details), request)


class _AsyncClientStreamTracing(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return await continuation(_async_details(client_call_details), request_iterator)


class _AsyncBidiStreamTracing(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return await continuation(_async_details(client_call_details), request_iterator)


class _SyncDetails(grpc.ClientCallDetails):
    """The details of a call with the trace's context among its metadata."""

    def __init__(self, details: Any) -> None:  # noqa: ANN401 - grpc's own, whose type has no fields
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = (*(details.metadata or ()), *_context_headers().items())
        self.credentials = details.credentials
        self.wait_for_ready = getattr(details, "wait_for_ready", None)
        self.compression = getattr(details, "compression", None)


def _async_details(details: Any) -> grpc.aio.ClientCallDetails:  # noqa: ANN401 - as above
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *_context_headers().items())
    return grpc.aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)


def _context_headers() -> dict[str, str]:
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


def _attempt(tracer: Tracer, path: str) -> Any:  # noqa: ANN401 - a context manager of the span, whose type is OpenTelemetry's own
    service, method = path.removeprefix("/").split("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return tracer.start_as_current_span(
        f"{service}/{method}", kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    )


def _end(span: Span, code: grpc.StatusCode) -> None:
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if code in FAULTS:
        span.set_status(Status(StatusCode.ERROR, code.name))


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
