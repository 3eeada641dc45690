"""Everything that a process that traces is given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from opentelemetry.sdk.trace import TracerProvider
from structlog.typing import Processor

from crossmargin.adapters.tracing.log_fields import add_trace_ids
from crossmargin.adapters.tracing.port_spans import SpanningComputePool, SpanningWriter, Spans
from crossmargin.adapters.tracing.provider import otlp_provider
from crossmargin.adapters.tracing.rpc_spans import RpcMetrics, SpanInterceptor, SpanningRpcMetrics
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Writer


class Tracing:
    """Wraps what is to be traced; whoever does not ask for it wraps nothing, and pays nothing.

    Attributes:
        interceptor: Runs calls in spans; it comes before all others.
        log_fields: Processors of log lines.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        tracer = provider.get_tracer("crossmargin")
        self._spans = Spans(tracer)
        self.interceptor = SpanInterceptor(tracer)
        self.log_fields: Sequence[Processor] = (add_trace_ids,)

    @classmethod
    def by_otlp(cls, version: str) -> Tracing:
        """Return tracing that sends its spans to a collector."""
        return cls(otlp_provider(version))

    def rpc_metrics(self, counted: RpcMetrics) -> RpcMetrics:
        """Return counters that tell the span of a call how it ended."""
        return SpanningRpcMetrics(counted)

    def writer(self, writer: Writer) -> Writer:
        """Return a writer whose writes are spans."""
        return SpanningWriter(writer, self._spans)

    def compute(self, pool: ComputePool) -> ComputePool:
        """Return a pool whose work is a span."""
        return SpanningComputePool(pool, self._spans)

    def database_turn(self) -> AbstractContextManager[object]:
        """Return a span around one turn at the database: the wait for a connection, and a transaction or a read."""
        return self._spans.inside("database turn", **{"db.system.name": "postgresql"})

    def close(self) -> None:
        """Send what is still to be sent."""
        self._provider.shutdown()
