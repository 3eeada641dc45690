"""A greedy caller waits alone; a halt never waits behind previews."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from crossmargin.adapters.grpc_server import call_limits
from crossmargin.adapters.grpc_server.call_limits import CallBudget, CallLimits, TokenBuckets
from crossmargin.domain.errors import DomainError, Reason

BUDGET = CallBudget(calls_per_s=10, urgent_calls_per_s=5, burst_s=0.5, most_calls=2, most_urgent_calls=1, most_streams=2)


class Timer:
    """Seconds that pass when told to."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def limits(timer) -> CallLimits:
    return CallLimits(BUDGET, timer)


def call(limits: CallLimits, principal: str = "alice", *, is_urgent: bool = False, is_stream: bool = False) -> None:
    with limits.admitted(principal, is_urgent=is_urgent, is_stream=is_stream):
        pass


def refusal_of(limits: CallLimits, *arguments, **options) -> DomainError:
    with pytest.raises(DomainError) as refused:
        call(limits, *arguments, **options)
    return refused.value


def test_a_principal_gets_his_burst_and_then_his_rate(limits, timer):
    for _ in range(5):
        call(limits)
    refused = refusal_of(limits)
    assert (refused.reason, refused.facts["retry_after_s"]) == (Reason.RATE_LIMITED, "0.100")
    timer.seconds += 0.0999
    assert refusal_of(limits).reason is Reason.RATE_LIMITED
    timer.seconds += 0.0002
    call(limits)
    assert refusal_of(limits).reason is Reason.RATE_LIMITED
    timer.seconds += 60
    for _ in range(5):
        call(limits)
    assert refusal_of(limits).reason is Reason.RATE_LIMITED


def test_one_principal_leaves_the_others_theirs(limits):
    for _ in range(5):
        call(limits)
    assert refusal_of(limits).reason is Reason.RATE_LIMITED
    call(limits, "bob")


def test_urgent_calls_have_a_budget_that_nothing_else_uses_up(limits):
    for _ in range(5):
        call(limits)
    assert refusal_of(limits).reason is Reason.RATE_LIMITED
    call(limits, is_urgent=True)
    call(limits, is_urgent=True)
    assert refusal_of(limits, is_urgent=True).reason is Reason.RATE_LIMITED


def test_a_full_service_still_takes_an_urgent_call(limits):
    with ExitStack() as running:
        for name in ("a", "b"):
            running.enter_context(limits.admitted(name, is_urgent=False, is_stream=False))
        assert refusal_of(limits, "c").reason is Reason.SERVICE_BUSY
        running.enter_context(limits.admitted("d", is_urgent=True, is_stream=False))
        assert refusal_of(limits, "e", is_urgent=True).reason is Reason.SERVICE_BUSY
    call(limits, "f")


def test_a_call_that_fails_gives_its_place_back(limits):
    for name in "abcdefgh":
        with pytest.raises(ZeroDivisionError), limits.admitted(name, is_urgent=False, is_stream=False):
            raise ZeroDivisionError
    call(limits, "z")


def test_streams_are_counted_by_principal_and_take_no_calls_place(limits):
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(limits.admitted("alice", is_urgent=False, is_stream=True))
        assert refusal_of(limits, is_stream=True).reason is Reason.RATE_LIMITED
        call(limits, "bob", is_stream=True)
        call(limits)
    call(limits, is_stream=True)


def test_names_that_come_and_go_do_not_fill_the_memory(timer, monkeypatch):
    monkeypatch.setattr(call_limits, "_MOST_PRINCIPALS", 3)
    buckets = TokenBuckets(1, 1, timer)
    for name in "abcdef":
        assert buckets.take(name) == 0
    assert len(buckets._levels) == 3
    assert buckets.take("f") > 0
