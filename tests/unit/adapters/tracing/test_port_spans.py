"""What a call does shows inside its span: writes, turns at the database, stages of the engine. What nobody called for does not."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

import pytest
from opentelemetry.trace import StatusCode

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.writer import MemoryWriter
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.tracing.tracing import Tracing
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.engine_stage import stage_of
from crossmargin.usecases.ports.writing import Decision, WriteRequest
from tests.unit.adapters.tracing.recorded import Recorded


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture
def tracing(recorded):
    return Tracing(recorded.provider)


@pytest.fixture
def compute(tracing):
    pool = ThreadComputePool()
    yield tracing.compute(pool)
    pool.close()


def a_call(recorded):
    """The span of a call, in which the rest happens."""
    return recorded.provider.get_tracer("test").start_as_current_span("call")


def raising(error):
    def work():
        raise error

    return work


async def test_work_of_the_engine_is_a_span_named_after_who_asked_for_it(recorded, compute):
    with a_call(recorded) as call:
        assert await compute.run(lambda: 42) == 42
    (stage,) = recorded.spans("engine")
    assert stage.name == "engine test_work_of_the_engine_is_a_span_named_after_who_asked_for_it"
    assert stage.parent.span_id == call.get_span_context().span_id
    assert [event.name for event in stage.events] == ["computing"], "before it, the work waited for a thread"


async def test_small_work_is_a_span_as_any_other(recorded, compute):
    with a_call(recorded) as call:
        assert await compute.run_small(lambda: 42) == 42
    (stage,) = recorded.spans("engine")
    assert stage.name == "engine test_small_work_is_a_span_as_any_other"
    assert stage.parent.span_id == call.get_span_context().span_id
    assert [event.name for event in stage.events] == ["computing"], "before it, the work waited for its turn"


async def test_work_that_no_call_asked_for_is_no_span(recorded, compute):
    """A house run computes a thousand margins; each would be a trace of its own."""
    assert await compute.run(lambda: 42) == 42
    assert recorded.spans() == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DomainError(Reason.MISSING_RISK_FACTOR, "no level for spot:BTC"), StatusCode.UNSET),
        (DomainError(Reason.STORAGE_UNAVAILABLE, "the database does not answer"), StatusCode.ERROR),
        (KeyError("a secret"), StatusCode.ERROR),
    ],
    ids=["refused", "storage", "a bug"],
)
async def test_only_faults_of_ours_are_errors_and_no_text_is_kept(recorded, compute, error, status):
    with a_call(recorded), pytest.raises(type(error)):
        await compute.run(raising(error))
    (stage,) = recorded.spans("engine")
    assert stage.status.status_code is status
    assert (stage.status.description, stage.events[1:]) == (type(error).__name__ if status is StatusCode.ERROR else None, ())


async def test_a_write_says_whether_its_answer_was_there_already(recorded, tracing):
    writer = tracing.writer(MemoryWriter(MemoryDatabase()))

    async def decide(_):
        return Decision(response=b"")

    with a_call(recorded):
        for _ in range(2):
            await writer.write(WriteRequest("local", "Deposit", "one", sha256(b"one").digest()), decide)
    assert [(span.name, span.attributes["crossmargin.replayed"]) for span in recorded.spans("write")] == [
        ("write Deposit", False),
        ("write Deposit", True),
    ]


class _MarketOfToday:
    def __call__(self):
        return lambda: 1

    def _revalue(self):
        return lambda: 1


def test_a_stage_is_said_in_words():
    assert stage_of(_MarketOfToday()()) == "market_of_today"
    assert stage_of(_MarketOfToday()._revalue()) == "market_of_today.revalue"


def test_a_stage_is_named_after_the_function_it_was_written_in():
    assert stage_of(partial(max, 1, 2)) == "max"
    assert stage_of(lambda: 1) == "test_a_stage_is_named_after_the_function_it_was_written_in"
