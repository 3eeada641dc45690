"""The audit trail, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from crossmargin.api.v1 import audit_service_pb2 as pb
from crossmargin_cli.render import plain_table
from crossmargin_client import moment_of

_KIND_NAMES: Final = {pb.AUDIT_KIND_DENIED: "denied", pb.AUDIT_KIND_PRIVILEGED_CALL: "privileged"}


def audit_table(events: Sequence[pb.AuditEvent]) -> Table:
    """Return a table with one line for each event."""
    table = plain_table()
    for heading in ("Time (UTC)", "Kind", "Caller", "Call", "Clients", "Cause"):
        table.add_column(heading, no_wrap=heading in {"Time (UTC)", "Kind", "Call"}, overflow="fold")
    for one in events:
        moment = moment_of(one.event_time).strftime("%Y-%m-%d %H:%M:%S")
        kind = _KIND_NAMES.get(one.kind, "unknown")
        # Who could not be proved to be anybody is known by his certificate at most.
        table.add_row(moment, kind, one.principal or one.workload or "-", one.method, ", ".join(one.client_ids), one.cause)
    return table
