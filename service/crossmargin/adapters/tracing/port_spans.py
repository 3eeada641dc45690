"""Spans of what a call does: its writes, its turns at the database, and its stages of the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from crossmargin.domain.errors import DomainError, ErrorKind
from crossmargin.usecases.engine_stage import stage_of
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decide, DecideOnBooks, WriteOutcome, Writer, WriteRequest

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")
_OUR_KINDS: Final = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.EXHAUSTED})


class Spans:
    """Makes spans inside those that are being recorded, and none elsewhere: a house run of a thousand accounts is no trace."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def inside(self, name: str, **attributes: str) -> Iterator[Span | None]:
        """Run the block in a span. It ends as an error when the fault is ours, by the type of what was raised and not by its text."""
        if not trace.get_current_span().is_recording():
            yield None
            return
        with self._tracer.start_as_current_span(name, attributes=attributes, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield span
            except Exception as error:
                if not isinstance(error, DomainError) or error.reason.kind in _OUR_KINDS:
                    span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
                raise


class SpanningWriter:
    """A writer whose every write is a span: from its key reserved to its commit, tries that met a conflict or a lost line included."""

    def __init__(self, writer: Writer, spans: Spans) -> None:
        self._writer = writer
        self._spans = spans

    async def write(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        """See `Writer.write`."""
        with self._spans.inside(f"write {request.method}", **{"db.system.name": "postgresql"}) as span:
            return _noted(span, await self._writer.write(request, decide))

    async def decide(self, request: WriteRequest, decide: DecideOnBooks) -> WriteOutcome:
        """See `Writer.decide`."""
        with self._spans.inside(f"decide {request.method}", **{"db.system.name": "postgresql"}) as span:
            return _noted(span, await self._writer.decide(request, decide))


class SpanningComputePool:
    """A compute pool whose work is a span, named after the use case that asked for it; its wait for a thread or its turn is an event."""

    def __init__(self, pool: ComputePool, spans: Spans) -> None:
        self._pool = pool
        self._spans = spans

    async def run(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run`."""
        return await self._spanned(self._pool.run, work)

    async def _spanned(self, run: Callable[[Callable[[], T]], Awaitable[T]], work: Callable[[], T]) -> T:
        with self._spans.inside(f"engine {stage_of(work)}") as span:
            if span is None:
                return await run(work)

            def computing() -> T:
                span.add_event("computing")
                return work()

            return await run(computing)

    async def run_small(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run_small`."""
        return await self._spanned(self._pool.run_small, work)

    def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """See `ComputePool.over_blocks`. Without spans: a run over the house has thousands of blocks, and lasts longer than a trace."""
        return self._pool.over_blocks(shared, work, blocks)


def _noted(span: Span | None, outcome: WriteOutcome) -> WriteOutcome:
    if span is not None:
        span.set_attribute("crossmargin.replayed", outcome.replayed)
    return outcome
