"""Calls as part of the caller's trace (extra `otel`): a span for each attempt, and its context sent along.

    with Client("127.0.0.1:50051", interceptors=tracing_interceptors()) as client:
        ...

Without these interceptors a client knows nothing of OpenTelemetry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

    Every attempt has a span, so that retries show. That of a stream ends with the stream, and is sent then: one that is watched for hours
    is not to be seen before. A stream that its reader gives up is no error.
    """
    return (_SyncTracing(trace.get_tracer("crossmargin_client", tracer_provider=provider)),)


def async_tracing_interceptors(provider: TracerProvider | None = None) -> Sequence[Any]:
    """Return the interceptors for an `AsyncClient`; see `tracing_interceptors`."""
    tracer = trace.get_tracer("crossmargin_client", tracer_provider=provider)
    streams = _AsyncStreams(tracer)
    return (_AsyncUnaryTracing(tracer), _AsyncServerStreamTracing(streams), _AsyncClientStreamTracing(streams), _AsyncBidiTracing(streams))


class _SyncTracing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        span = _begun(self._tracer, client_call_details.method)
        with _inside(span):
            call = continuation(_SyncDetails(client_call_details), request)
        _end(span, call.code())  # waits for the answer, as the client would
        return call

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return self._stream(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return self._stream(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return self._stream(continuation, client_call_details, request_iterator)

    def _stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:  # noqa: ANN401
        span = _begun(self._tracer, details.method)
        with _inside(span):
            call = continuation(_SyncDetails(details), requests)
        call.add_done_callback(lambda ended: _end(span, ended.code()))
        return call


class _AsyncUnaryTracing(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        span = _begun(self._tracer, _text(client_call_details.method))
        with _inside(span):
            call = await continuation(_async_details(client_call_details), request)
        await _end_with(span, call)
        return call


class _AsyncStreams:
    """Opens streams inside spans that end with them."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: set[asyncio.Task[None]] = set()

    async def opened(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:  # noqa: ANN401
        span = _begun(self._tracer, _text(details.method))
        with _inside(span):
            call = await continuation(_async_details(details), requests)
        ending = asyncio.create_task(_end_with(span, call))
        self._open.add(ending)  # a task that nobody holds may be collected before it is done
        ending.add_done_callback(self._open.discard)
        return call


class _AsyncServerStreamTracing(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, streams: _AsyncStreams) -> None:
        self._streams = streams

    async def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await self._streams.opened(continuation, client_call_details, request)


class _AsyncClientStreamTracing(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, streams: _AsyncStreams) -> None:
        self._streams = streams

    async def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return await self._streams.opened(continuation, client_call_details, request_iterator)


class _AsyncBidiTracing(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, streams: _AsyncStreams) -> None:
        self._streams = streams

    async def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:  # noqa: ANN401
        return await self._streams.opened(continuation, client_call_details, request_iterator)


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


def _begun(tracer: Tracer, path: str) -> Span:
    service, method = path.removeprefix("/").split("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return tracer.start_span(f"{service}/{method}", kind=SpanKind.CLIENT, attributes=attributes)


@contextmanager
def _inside(span: Span) -> Iterator[None]:
    """Run the block inside a span, which ends only if the block fails."""
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException:
        span.end()
        raise


async def _end_with(span: Span, call: Any) -> None:  # noqa: ANN401 - a call of any kind
    """End a span once its call has ended; whoever stops waiting for that has given the call up."""
    try:
        code = await call.code()
    except asyncio.CancelledError:
        _end(span, grpc.StatusCode.CANCELLED)
        raise
    _end(span, code)


def _end(span: Span, code: grpc.StatusCode) -> None:
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    if code in FAULTS:
        span.set_status(Status(StatusCode.ERROR, code.name))
    span.end()


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
