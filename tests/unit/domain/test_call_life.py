"""A call lives by its rules: every step from every state, and what the monitor does by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.call_agreement import house_agreement
from crossmargin.domain.call_life import (
    LONGEST_TEXT,
    OPEN_STATES,
    CallStanding,
    CallState,
    CallTrigger,
    DisputeReason,
    NoticeKind,
    acknowledge,
    check_text,
    dispute,
    escalate,
    escalate_overdue,
    issue,
    review,
    waive,
)
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, SnapshotId

D = Decimal
CORE = AccountRef(ClientId("alpha"), AccountId("core"))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STANDING = CallStanding(
    sequence=5,
    snapshot_id=SnapshotId("0" * 32),
    utilization=D("0.9"),
    needed=D(100_000),
    delivered=None,
    is_called_for=True,
    is_past_the_line=False,
    is_provisional=False,
)
CALL = issue(CORE, STANDING, house_agreement(CORE.client_id), CallTrigger.BAND, None, at=NOW, by="crossmargin").call


def reviewed(call=CALL, *, least="1000", may_press=True, **changes):
    standing = replace(STANDING, sequence=9, **changes)
    return review(call, standing, least_increase=D(least), at=NOW, by="crossmargin", may_press=may_press)


def in_state(state):
    closed_at = None if state in OPEN_STATES else NOW
    return replace(CALL, state=state, closed_at=closed_at)


def test_a_call_is_issued_for_what_is_needed_and_numbered_after_the_one_before():
    assert (CALL.number, CALL.state, CALL.amount, CALL.outstanding, CALL.last_notice) == (1, CallState.ISSUED, D(100_000), D(100_000), 1)
    assert CALL.due_at == datetime(2026, 3, 3, 16, tzinfo=UTC)
    met = replace(CALL, state=CallState.MET, closed_at=NOW, last_notice=4)
    change = issue(CORE, STANDING, house_agreement(CORE.client_id), CallTrigger.SCHEDULE, met, at=NOW, by="crossmargin")
    assert (change.call.number, change.notice.sequence, change.notice.reason) == (2, 5, "schedule")


def test_part_of_it_is_recognised_and_each_entry_once():
    first = reviewed(delivered=D("40000.5"))
    assert (first.notice.kind, first.call.state, first.call.met, first.call.recognised_to) == (
        NoticeKind.PARTIALLY_MET,
        CallState.PARTIALLY_MET,
        D("40000.5"),
        9,
    )
    # What was recognised raises nothing: the rest is what is still needed.
    assert reviewed(first.call, needed=D(60_000)) is None
    second = reviewed(first.call, delivered=D("59999.5"))
    assert (second.notice.kind, second.call.state, second.call.outstanding, second.call.closed_at) == (
        NoticeKind.MET,
        CallState.MET,
        0,
        NOW,
    )


def test_what_came_in_before_a_call_meets_nothing_of_it_and_no_entry_is_ever_looked_at_again():
    assert (CALL.sequence, CALL.recognised_to) == (5, 5)
    later = replace(CALL, recognised_to=12)
    assert reviewed(later, delivered=D(40_000)).call.recognised_to == 12, "the margin was of an entry before"


def test_a_call_is_as_provisional_as_the_market_it_was_issued_on_until_two_persons_press_it():
    doubted = replace(STANDING, is_provisional=True)
    call = issue(CORE, doubted, house_agreement(CORE.client_id), CallTrigger.BAND, None, at=NOW, by="crossmargin").call
    assert call.is_provisional
    assert not escalate(call, at=NOW, by="alice and bob", text="no answer").call.is_provisional


def test_nothing_is_outstanding_on_a_closed_call():
    assert waive(CALL, at=NOW, by="alice and bob", text="moved out").call.outstanding == 0
    assert not replace(in_state(CallState.WAIVED)).is_overdue(CALL.due_at)


def test_a_call_is_raised_by_a_cent_at_least():
    assert reviewed(least="0") is None
    assert reviewed(least="0", needed=D("100000.01")).call.amount == D("100000.01")


def test_what_was_taken_out_again_is_not_met():
    part = reviewed(delivered=D(40_000)).call
    back = reviewed(part, delivered=D(-30_000))
    assert (back.notice.kind, back.call.met) == (NoticeKind.PARTIALLY_MET, D(10_000))
    assert reviewed(part, delivered=D(-90_000)).call.met == 0


def test_an_account_that_recovers_needs_no_call():
    assert reviewed(is_called_for=False, needed=D(0)).call.state is CallState.RESCINDED
    part = reviewed(delivered=D(40_000)).call
    assert reviewed(part, is_called_for=False, needed=D(0)).call.state is CallState.MET


def test_a_deficit_that_grows_raises_the_call_and_asks_for_a_new_word():
    known = replace(CALL, state=CallState.ACKNOWLEDGED)
    assert reviewed(known, needed=D(100_999)) is None
    raised = reviewed(known, needed=D(101_000))
    assert (raised.notice.kind, raised.call.amount, raised.call.state) == (NoticeKind.INCREASED, D(101_000), CallState.ISSUED)
    assert raised.call.due_at == CALL.due_at
    part = replace(CALL, state=CallState.PARTIALLY_MET, met=D(40_000))
    assert reviewed(part, needed=D(70_000)).call.amount == D(110_000), "what came in counts"


def test_past_the_liquidation_line_a_call_goes_to_the_liquidation_authority():
    change = reviewed(is_past_the_line=True)
    assert (change.call.state, change.notice.reason, change.call.amount) == (CallState.ESCALATED, "liquidation line", D(100_000))
    assert reviewed(change.call, is_past_the_line=True, needed=D(500_000)).notice.kind is NoticeKind.INCREASED
    assert reviewed(change.call, is_past_the_line=True, delivered=D(40_000)).call.state is CallState.ESCALATED


def test_a_call_that_is_escalated_and_raised_at_one_moment_is_one_notice_with_the_amount_of_now():
    change = reviewed(is_past_the_line=True, needed=D(500_000))
    assert (change.notice.kind, change.notice.amount, change.call.amount) == (NoticeKind.ESCALATED, D(500_000), D(500_000))
    assert reviewed(change.call, is_past_the_line=True, needed=D(500_000)) is None, "and nothing after it"
    known = replace(CALL, state=CallState.ACKNOWLEDGED)
    assert reviewed(known, is_past_the_line=True, needed=D(100_999)).call.amount == D(100_000), "too little to raise it"
    assert reviewed(known, is_past_the_line=True, needed=D(50_000)).call.amount == D(100_000), "a call is never lowered"


def test_breakers_press_nobody_but_recognise_what_comes():
    assert reviewed(may_press=False, is_past_the_line=True, needed=D(900_000)) is None
    assert reviewed(may_press=False, delivered=D(100_000)).call.state is CallState.MET


def test_a_provisional_call_is_pressed_once_it_is_confirmed():
    provisional = replace(CALL, is_provisional=True)
    late = CALL.due_at + timedelta(seconds=1)
    assert escalate_overdue(provisional, at=late, by="crossmargin") is None
    confirmed = reviewed(provisional)
    assert (confirmed.notice.kind, confirmed.call.is_provisional) == (NoticeKind.CONFIRMED, False)
    assert reviewed(provisional, is_provisional=True, is_past_the_line=True) is None


def test_an_overdue_call_is_escalated_once_and_not_a_moment_before():
    assert escalate_overdue(CALL, at=CALL.due_at - timedelta(microseconds=1), by="crossmargin") is None
    change = escalate_overdue(replace(CALL, state=CallState.DISPUTED), at=CALL.due_at, by="crossmargin")
    assert (change.call.state, change.notice.reason) == (CallState.ESCALATED, "overdue")
    assert escalate_overdue(change.call, at=CALL.due_at, by="crossmargin") is None
    assert escalate_overdue(in_state(CallState.MET), at=CALL.due_at, by="crossmargin") is None


STEPS = {
    "acknowledge": (lambda call: acknowledge(call, at=NOW, by="carol"), {CallState.ISSUED, CallState.DISPUTED}, CallState.ACKNOWLEDGED),
    "dispute": (
        lambda call: dispute(call, DisputeReason.AMOUNT, at=NOW, by="carol", text="too much"),
        OPEN_STATES - {CallState.ESCALATED},
        CallState.DISPUTED,
    ),
    "waive": (lambda call: waive(call, at=NOW, by="alice and bob", text="moved out"), OPEN_STATES, CallState.WAIVED),
    "escalate": (
        lambda call: escalate(call, at=NOW, by="alice and bob", text="cannot be reached"),
        OPEN_STATES - {CallState.ESCALATED},
        CallState.ESCALATED,
    ),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("state", CallState)
def test_every_step_is_taken_from_the_states_that_allow_it_and_refused_from_the_others(name, state):
    step, allowed, after = STEPS[name]
    call = in_state(state)
    if state in allowed:
        change = step(call)
        assert (change.call.state, change.notice.state, change.notice.by != "") == (after, after, True)
        assert change.call.last_notice == change.notice.sequence == call.last_notice + 1
        assert (change.call.closed_at is None) is change.call.is_open
        return
    with pytest.raises(DomainError) as refused:
        step(call)
    assert (refused.value.reason, refused.value.facts["state"]) == (Reason.WRONG_CALL_STATE, state.value)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 501])
def test_whoever_disputes_or_waives_says_why(text):
    for step in (
        lambda: waive(CALL, at=NOW, by="alice", text=text),
        lambda: dispute(CALL, DisputeReason.OTHER, at=NOW, by="carol", text=text),
    ):
        with pytest.raises(DomainError) as refused:
            step()
        assert refused.value.reason is Reason.INVALID_ARGUMENT


MOVES = st.lists(st.tuples(st.integers(-50_000, 120_000), st.integers(0, 200_000), st.booleans(), st.booleans()), max_size=12)


@given(MOVES)
def test_whatever_happens_the_notices_are_gapless_and_a_closed_call_stays_closed(moves):
    call, told = CALL, [1]
    for delivered, needed, is_called_for, is_past in moves:
        change = reviewed(call, delivered=D(delivered) or None, needed=D(needed), is_called_for=is_called_for, is_past_the_line=is_past)
        if change is None:
            continue
        told.append(change.notice.sequence)
        assert change.call.met >= 0
        assert change.call.amount >= call.amount
        assert (change.call.closed_at is None) is change.call.is_open
        call = change.call
        if not call.is_open:
            assert call.state is CallState.MET or call.met == 0
            break
    assert told == list(range(1, len(told) + 1))


def test_a_call_that_more_was_delivered_for_than_it_asks_has_nothing_outstanding_though_it_is_open():
    """So it stands between the step that recognises and the one that closes, and nobody owes the client the rest by it."""
    assert replace(CALL, met=CALL.amount + 1).outstanding == 0


def test_words_may_be_as_long_as_the_longest_and_no_longer():
    assert check_text("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    with pytest.raises(DomainError, match="1 to 500 printable characters"):
        check_text("x" * (LONGEST_TEXT + 1), is_required=True)
