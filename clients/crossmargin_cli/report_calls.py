"""Margin calls in the statement of a client: what is to be delivered and by when, and what became of those that were closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin_cli.call_views import KIND_NAMES, STATE_NAMES
from crossmargin_cli.render import counted, money, short_account
from crossmargin_cli.report_drawings import CallSpan
from crossmargin_cli.report_markup import chip, escaped, table
from crossmargin_client import decimal_of, moment_of

MOST_NOTICES: Final = 200
_TRIGGERS: Final = {pb.CALL_TRIGGER_BAND: "margin call", pb.CALL_TRIGGER_SCHEDULE: "schedule"}
_OPEN, _CLOSED = "#c8102e", "#666"


def is_open(call: pb.MarginCall) -> bool:
    """Return whether something is still to be delivered on a call, or to be decided about it."""
    return not call.HasField("close_time")


def belongs(call: pb.MarginCall, *, since: datetime) -> bool:
    """Return whether a statement that looks back to `since` lists a call: open ones, and those closed after it."""
    return is_open(call) or moment_of(call.close_time) >= since


def spans(calls: Sequence[pb.GetCallResponse]) -> list[CallSpan]:
    """Return when each call was open, to be drawn below an account's utilization."""
    return [
        CallSpan(f"call {one.call.number}", moment_of(one.call.issue_time), None if is_open(one.call) else moment_of(one.call.close_time))
        for one in calls
    ]


def demands(calls: Iterable[pb.MarginCall]) -> Iterator[str]:
    """Yield a paragraph for each open call: what its client is to deliver, on which account, by when."""
    for call in calls:
        if is_open(call):
            provisional = " It rests on market data that is in doubt, and is provisional." if call.provisional else ""
            yield (
                f'<p class="demand">Margin call {call.number} on {escaped(short_account(call.account))}: '
                f"<b>{money(decimal_of(call.outstanding))}</b> USD to be delivered by <b>{_moment(call.due_time)} UTC</b>. "
                f"{_state(call)}{provisional}</p>"
            )


def calls_section(calls: Sequence[pb.GetCallResponse], *, isolated: bool, history_days: int) -> Iterator[str]:
    """Yield the table of an account's calls, and what happened to them."""
    yield "<h3>Margin calls</h3>"
    if not calls and isolated:
        yield "<p>None: an isolated account is not called. It loses what was put into it, and no more.</p>"
        return
    if not calls:
        yield f"<p>None is open, and none was closed in the last {counted(history_days, 'day')}.</p>"
        return
    columns = ["Call", "State", "Cause", "Issued (UTC)", "Due (UTC)", "Closed (UTC)", "Asked", "Met", "Outstanding"]
    yield table(columns, map(_call_row, (one.call for one in calls)), name_columns=6)
    notices = list(chain.from_iterable(one.notices for one in calls))
    columns = ["When (UTC)", "Call", "What happened", "Said", "Asked", "Met"]
    yield table(columns, map(_notice_row, notices[-MOST_NOTICES:]), name_columns=4)
    if len(notices) > MOST_NOTICES:
        yield f'<p class="fine">And {len(notices) - MOST_NOTICES:,} earlier ones: crossmargin calls show lists them.</p>'
    yield '<p class="fine">What was delivered counts after haircuts, at the market of the moment at which it was recognised.</p>'


def _call_row(call: pb.MarginCall) -> list[str]:
    return [
        str(call.number),
        _state(call),
        _TRIGGERS.get(call.trigger, "unknown"),
        _moment(call.issue_time),
        _moment(call.due_time),
        "" if is_open(call) else _moment(call.close_time),
        *(money(decimal_of(amount)) for amount in (call.amount, call.met, call.outstanding)),
    ]


def _notice_row(notice: pb.CallNotice) -> list[str]:
    # Who of the broker's people did it is not on a page that leaves the house; why a call was issued is said of the call.
    reason = "" if notice.kind == pb.CALL_NOTICE_KIND_ISSUED else notice.reason
    said = ": ".join(words for words in (reason, notice.text) if words)
    return [
        f"{moment_of(notice.notice_time):%Y-%m-%d %H:%M:%S}",
        str(notice.call_number),
        KIND_NAMES.get(notice.kind, "unknown"),
        escaped(said),
        money(decimal_of(notice.amount)),
        money(decimal_of(notice.met)),
    ]


def _state(call: pb.MarginCall) -> str:
    name = STATE_NAMES.get(call.state, ("unknown", ""))[0]
    return chip(f"{name}, provisional" if call.provisional else name, _OPEN if is_open(call) else _CLOSED)


def _moment(wire: Timestamp) -> str:
    return f"{moment_of(wire):%Y-%m-%d %H:%M}"
