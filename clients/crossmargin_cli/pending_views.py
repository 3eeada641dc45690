"""What awaits a second person, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from crossmargin.api.v1 import pending_request_service_pb2 as pb
from crossmargin_cli.render import plain_table
from crossmargin_client import moment_of

_STATE_NAMES: Final = {
    pb.PENDING_STATE_AWAITING_SECOND_PERSON: "awaits a second person",
    pb.PENDING_STATE_CONFIRMED: "confirmed",
    pb.PENDING_STATE_CANCELLED: "cancelled",
    pb.PENDING_STATE_EXPIRED: "expired",
}


def pending_table(pending: Sequence[pb.PendingRequest]) -> Table:
    """Return a table with one line for each pending request."""
    table = plain_table()
    for heading in ("Pending", "Asked by", "Until", "State", "To"):
        table.add_column(heading, no_wrap=heading in {"Pending", "Until"}, overflow="fold")
    for one in pending:
        table.add_row(one.pending_id, one.asked_by, _time(one.expire_time), _state(one), one.words)
    return table


def pending_sentence(pending: pb.PendingRequest) -> str:
    """Return what was asked for, by whom, what has become of it, and what a second person does if it still waits."""
    said = f"{pending.pending_id}, asked for by {pending.asked_by}, {_is(pending)}: to {pending.words}"
    if pending.state != pb.PENDING_STATE_AWAITING_SECOND_PERSON:
        return said
    until = f"until {_time(pending.expire_time)} UTC"
    return f"{said}\nsecond person, {until}: repeat this command with --confirm {pending.pending_id} --as NAME"


def _is(pending: pb.PendingRequest) -> str:
    return _state(pending) if pending.state == pb.PENDING_STATE_AWAITING_SECOND_PERSON else f"is {_state(pending)}"


def _state(pending: pb.PendingRequest) -> str:
    by = f" by {pending.ended_by}" if pending.ended_by else ""
    return f"{_STATE_NAMES.get(pending.state, 'unknown')}{by}"


def _time(moment: Timestamp) -> str:
    return moment_of(moment).strftime("%Y-%m-%d %H:%M:%S")
