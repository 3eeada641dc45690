"""Margin calls as people read them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin_cli.call_views import call_sentence, call_table, notice_line, notice_table, provisional_lines, terms_sentence


def a_call(**changes):
    call = pb.MarginCall(
        account="clients/alpha/accounts/core",
        number=3,
        state=pb.CALL_STATE_PARTIALLY_MET,
        amount="120000",
        met="20000",
        outstanding="100000",
    )
    call.issue_time.FromDatetime(datetime(2026, 3, 2, 9, tzinfo=UTC))
    call.due_time.FromDatetime(datetime(2026, 3, 3, 16, tzinfo=UTC))
    call.MergeFrom(pb.MarginCall(**changes))
    return call


def a_notice():
    notice = pb.CallNotice(
        call_number=3,
        kind=pb.CALL_NOTICE_KIND_PARTIALLY_MET,
        amount="120000",
        met="20000",
        by="crossmargin",
        reason="overdue",
        text="no answer",
    )
    notice.notice_time.FromDatetime(datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC))
    return notice


def cells(table):
    return list(zip(*(map(str, column.cells) for column in table.columns), strict=True))


def test_a_call_is_a_line_with_what_is_outstanding_and_when_it_is_due():
    assert cells(call_table([a_call(), a_call(provisional=True)])) == [
        ("alpha/core", "3", "120,000", "20,000", "100,000", "partially met", "2026-03-02 09:00", "2026-03-03 16:00"),
        ("alpha/core", "3", "120,000", "20,000", "100,000", "partially met ?", "2026-03-02 09:00", "2026-03-03 16:00"),
    ]
    assert provisional_lines([a_call()]) == []
    assert provisional_lines([a_call(), a_call(provisional=True)])[0].startswith("? provisional: it rests on suspect market data")
    assert call_sentence(a_call()) == "call 3 of alpha/core is partially met: 120,000 asked for, 100,000 outstanding"
    closed = a_call(state=pb.CALL_STATE_MET)
    closed.outstanding = "0"
    assert call_sentence(closed) == "call 3 of alpha/core is met: 120,000 asked for"


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(80, ["Issued (UTC)", "Met", "Asked"]), (95, ["Issued (UTC)", "Met"]), (105, ["Issued (UTC)"]), (125, [])],
)
def test_every_terminal_shows_one_line_for_each_call_and_says_what_it_has_no_room_for(width, left_out):
    call = a_call(account="clients/summit-directional/accounts/core", amount="1234567", outstanding="1214567", provisional=True)
    console = Console(file=io.StringIO(), width=width)
    console.print(call_table([call, a_call()]))
    headings, _, *lines = console.file.getvalue().splitlines()
    assert max(map(len, [headings, *lines])) <= width
    assert [line.split()[0] for line in lines[:2]] == ["summit-directional/core", "alpha/core"]
    for shown in ("1,214,567", "partially met ?", "2026-03-03 16:00"):
        assert shown in lines[0]
    assert lines[2:] == ([f"No room for: {', '.join(left_out)}."] if left_out else [])
    assert [heading for heading in ("Issued (UTC)", "Met", "Asked") if heading not in headings] == left_out


def test_a_notice_says_what_happened_and_why():
    row = ("2026-03-02 09:00:01", "3", "partially met", "120,000", "20,000", "crossmargin", "overdue: no answer")
    assert cells(notice_table([a_notice()])) == [row]
    assert notice_line(a_notice()) == "  ".join(row)


def test_terms_are_said_in_words_with_who_set_them():
    terms = pb.CallTerms(
        scope="clients/alpha", minimum_transfer_amount="500000", rounding_unit="10000", cut_off="14:00", due_days=1, due_time="12:00"
    )
    said = "threshold 0, minimum transfer 500,000, rounded up to 10,000; issued before 14:00 UTC it is due 1 days later at 12:00 UTC; "
    terms.threshold = "0"
    assert terms_sentence(terms) == said + "of the house, because none were set"
    terms.set_by, terms.business_days = "alice and bob", True
    assert terms_sentence(terms).endswith("1 business days later at 12:00 UTC; set by alice and bob for clients/alpha")
    terms.calendar = reference_pb.HOLIDAY_CALENDAR_US_GOVERNMENT_BONDS
    assert "1 business days of US government bonds later" in terms_sentence(terms)
