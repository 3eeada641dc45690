"""Margin calls as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin_cli.render import add_number_column, money, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

STATE_NAMES: Final = {
    pb.CALL_STATE_ISSUED: ("issued", "red"),
    pb.CALL_STATE_ACKNOWLEDGED: ("acknowledged", "dark_orange"),
    pb.CALL_STATE_DISPUTED: ("disputed", "red"),
    pb.CALL_STATE_PARTIALLY_MET: ("partially met", "yellow"),
    pb.CALL_STATE_ESCALATED: ("escalated", "bold red"),
    pb.CALL_STATE_MET: ("met", "green"),
    pb.CALL_STATE_WAIVED: ("waived", ""),
    pb.CALL_STATE_RESCINDED: ("rescinded", ""),
}
KIND_NAMES: Final[Mapping[int, str]] = {
    value: name.removeprefix("CALL_NOTICE_KIND_").lower().replace("_", " ") for name, value in pb.CallNoticeKind.items() if value
}

CALENDAR_NAMES: Final[Mapping[int, str]] = {
    reference_pb.HOLIDAY_CALENDAR_TARGET: "TARGET",
    reference_pb.HOLIDAY_CALENDAR_US_GOVERNMENT_BONDS: "US government bonds",
    reference_pb.HOLIDAY_CALENDAR_LONDON: "London",
    reference_pb.HOLIDAY_CALENDAR_TOKYO: "Tokyo",
}


def call_table(calls: Iterable[pb.MarginCall]) -> Table:
    """Return margin calls, one a line: whose, what is outstanding, where it stands and when it is due, and the rest where there is room."""
    table = plain_table(spare=("Issued (UTC)", "Met", "Asked"))
    for heading in ("Account", "Call"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Asked", "Met", "Outstanding"):
        add_number_column(table, heading)
    for heading in ("State", "Issued (UTC)", "Due (UTC)"):
        table.add_column(heading, no_wrap=True)
    for call in calls:
        amounts = (money(decimal_of(amount)) for amount in (call.amount, call.met, call.outstanding))
        table.add_row(
            short_account(call.account), str(call.number), *amounts, _state(call), _moment(call.issue_time), _moment(call.due_time)
        )
    return table


def provisional_lines(calls: Iterable[pb.MarginCall]) -> list[str]:
    """Return what the question mark in a table of calls means, if there is one in it."""
    said = "? provisional: it rests on suspect market data; a person should look before the client hears of it."
    return [said] if any(call.provisional for call in calls) else []


def notice_table(notices: Iterable[pb.CallNotice]) -> Table:
    """Return what happened to calls, one notice a line."""
    table = plain_table()
    for heading in ("When (UTC)", "Call", "What"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Asked", "Met"):
        add_number_column(table, heading)
    table.add_column("By", no_wrap=True)
    table.add_column("Why", overflow="fold")
    for notice in notices:
        table.add_row(*_notice_cells(notice))
    return table


def notice_line(notice: pb.CallNotice) -> str:
    """Return a notice on one line, for a stream of them."""
    return "  ".join(cell for cell in _notice_cells(notice) if cell)


def terms_sentence(terms: pb.CallTerms) -> str:
    """Return the terms of margin calls in words."""
    days = "business days" if terms.business_days else "days"
    if terms.calendar:
        days = f"{days} of {CALENDAR_NAMES.get(terms.calendar, 'a calendar that this version does not know')}"
    threshold, least, unit = (money(decimal_of(amount)) for amount in (terms.threshold, terms.minimum_transfer_amount, terms.rounding_unit))
    who = f"set by {terms.set_by} for {terms.scope}" if terms.set_by else "of the house, because none were set"
    return (
        f"threshold {threshold}, minimum transfer {least}, rounded up to {unit}; issued before {terms.cut_off} UTC it is due "
        f"{terms.due_days} {days} later at {terms.due_time} UTC; {who}"
    )


def call_sentence(call: pb.MarginCall) -> str:
    """Return a call in words, after something was done to it."""
    state = STATE_NAMES.get(call.state, ("unknown", ""))[0]
    rest = f", {money(decimal_of(call.outstanding))} outstanding" if decimal_of(call.outstanding) else ""
    return f"call {call.number} of {short_account(call.account)} is {state}: {money(decimal_of(call.amount))} asked for{rest}"


def _state(call: pb.MarginCall) -> Text:
    name, style = STATE_NAMES.get(call.state, ("unknown", ""))
    return Text(f"{name} ?" if call.provisional else name, style=style)


def _notice_cells(notice: pb.CallNotice) -> tuple[str, ...]:
    return (
        f"{moment_of(notice.notice_time):%Y-%m-%d %H:%M:%S}",
        str(notice.call_number),
        KIND_NAMES.get(notice.kind, "unknown"),
        money(decimal_of(notice.amount)),
        money(decimal_of(notice.met)),
        notice.by,
        ": ".join(words for words in (notice.reason, notice.text) if words),
    )


def _moment(wire: Timestamp) -> str:
    return f"{moment_of(wire):%Y-%m-%d %H:%M}"
