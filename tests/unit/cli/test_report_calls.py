"""Margin calls in the statement of a client: what is asked for stands at the top, and what became of each below."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.api.v1 import account_service_pb2
from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin_cli.report_calls import MOST_NOTICES, belongs, spans
from crossmargin_cli.report_drawings import CallSpan, HistoryPoint, history_drawing
from crossmargin_cli.report_page import statement_page
from tests.unit.cli.test_report_page import CORE, HOSTILE, NOON, Read, a_statement, an_account, numbers, words_of


def a_call(number=1, *, state=pb.CALL_STATE_ISSUED, closed_at=None, notices=(), **changes):
    call = pb.MarginCall(
        account=CORE, number=number, state=state, trigger=pb.CALL_TRIGGER_BAND, amount="250000", met="0", outstanding="250000"
    )
    call.issue_time.FromDatetime(NOON)
    call.due_time.FromDatetime(NOON + timedelta(days=1))
    if closed_at is not None:
        call.close_time.FromDatetime(closed_at)
        call.outstanding = "0"
    for name, value in changes.items():
        setattr(call, name, value)
    return pb.GetCallResponse(call=call, notices=notices)


def a_notice(kind, *, text="", reason="", by="mallory", number=1):
    notice = pb.CallNotice(account=CORE, call_number=number, kind=kind, by=by, amount="250000", met="0", reason=reason, text=text)
    notice.notice_time.FromDatetime(NOON)
    return notice


def test_an_open_call_stands_at_the_top_with_what_is_to_be_delivered_and_by_when():
    text = words_of(an_account(calls=[a_call()]))
    demand = "Margin call 1 on alpha/core: 250,000 USD to be delivered by 2026-03-03 12:00 UTC"
    assert demand in text
    assert text.index(demand) < text.index("Accounts do not back one another")


def test_a_call_that_rests_on_doubted_data_says_so():
    text = words_of(an_account(calls=[a_call(provisional=True)]))
    assert "It rests on market data that is in doubt, and is provisional" in text
    assert "issued, provisional" in text


def test_a_closed_call_asks_for_nothing_and_is_listed_with_what_became_of_it():
    text = words_of(an_account(calls=[a_call(state=pb.CALL_STATE_MET, closed_at=NOON + timedelta(hours=2), met="260000")]))
    assert "to be delivered by" not in text
    assert "1 met margin call 2026-03-02 12:00 2026-03-03 12:00 2026-03-02 14:00 250,000 260,000 0" in text


def test_what_happened_is_told_without_the_names_of_those_who_did_it():
    notices = [
        a_notice(pb.CALL_NOTICE_KIND_ISSUED, reason="band", by="crossmargin"),
        a_notice(pb.CALL_NOTICE_KIND_DISPUTED, reason="valuation", text="XRP mark is off"),
    ]
    text = words_of(an_account(calls=[a_call(state=pb.CALL_STATE_DISPUTED, notices=notices)]))
    assert "2026-03-02 12:00:00 1 issued 250,000 0" in text
    assert "2026-03-02 12:00:00 1 disputed valuation: XRP mark is off 250,000 0" in text
    assert "mallory" not in text


def test_of_very_many_notices_the_newest_are_shown():
    notices = [a_notice(pb.CALL_NOTICE_KIND_INCREASED, text=f"turn {number}") for number in range(MOST_NOTICES + 3)]
    text = words_of(an_account(calls=[a_call(notices=notices)]))
    assert "And 3 earlier ones" in text
    assert "turn 2 " not in text
    assert f"turn {MOST_NOTICES + 2} " in text


def test_an_account_without_calls_says_so_and_an_isolated_one_why():
    assert "None is open, and none was closed in the last 30 days." in words_of()
    isolated = account_service_pb2.Account(name=CORE, display_name="Core", mode=account_service_pb2.ACCOUNT_MODE_ISOLATED)
    assert "an isolated account is not called" in words_of(an_account(account=isolated))


def test_calls_are_there_for_an_account_that_cannot_be_margined_too():
    text = words_of(an_account(explained=None, trouble="no level for spot:BTC", calls=[a_call()]))
    assert "The margin of core is not known: no level for spot:BTC" in text
    assert "250,000 USD to be delivered" in text


def test_what_was_said_of_a_call_is_text_and_never_markup():
    page = Read(statement_page(a_statement(an_account(calls=[a_call(notices=[a_notice(pb.CALL_NOTICE_KIND_DISPUTED, text=HOSTILE)])]))))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert HOSTILE in page.text


@pytest.mark.parametrize(("closed_after_h", "expected"), [(None, True), (3, True), (1, False)])
def test_open_calls_and_those_closed_within_the_time_belong_to_a_statement(closed_after_h, expected):
    closed_at = None if closed_after_h is None else NOON + timedelta(hours=closed_after_h)
    assert belongs(a_call(closed_at=closed_at).call, since=NOON + timedelta(hours=2)) is expected


def test_calls_are_drawn_below_the_history_while_they_were_open():
    points = [HistoryPoint(NOON + timedelta(hours=hour), Decimal("0.7")) for hour in range(5)]
    closed = CallSpan("call 1", NOON + timedelta(hours=1), NOON + timedelta(hours=2))
    still_open = CallSpan("call 2", NOON + timedelta(hours=3), None)
    before = CallSpan("call 0", NOON - timedelta(hours=3), NOON - timedelta(hours=1))
    drawing = history_drawing(points, [before, closed, still_open])
    bars = [
        (float(attributes["x"]), float(attributes["width"]))
        for tag, attributes in Read(drawing).tags
        if tag == "rect" and attributes["height"] == "7"
    ]
    assert bars == [(222.0, 166.0), (554.0, 166.0)]
    assert "call 0" not in drawing
    assert max(numbers(drawing, "rect", "y")) > max(numbers(history_drawing(points), "rect", "y"))


def test_a_call_is_open_from_its_issue_until_it_is_closed():
    first, second = spans([a_call(1, closed_at=NOON + timedelta(hours=1)), a_call(2)])
    assert first == CallSpan("call 1", NOON, NOON + timedelta(hours=1))
    assert second == CallSpan("call 2", NOON, None)
