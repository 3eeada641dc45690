"""Advice on margin modes as people read it."""

from __future__ import annotations

from rich.table import Table

from crossmargin.api.v1 import account_service_pb2
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.render import add_number_column, money, percent, plain_table
from crossmargin_client import decimal_of


def mode_table(advice: pb.AdviseMarginModeResponse) -> Table:
    """Return each position with what it needs both ways, the one that could best be walled off first."""
    table = plain_table("Cross or isolated")
    table.add_column("Position", no_wrap=True)
    table.add_column("Advice", no_wrap=True)
    for heading in ("Adds", "Alone", "Benefit", "Capped loss", "Gap mean", "Gap worst"):
        add_number_column(table, heading)
    for one in advice.positions:
        table.add_row(
            one.instrument_id,
            "isolate" if one.advice == account_service_pb2.ACCOUNT_MODE_ISOLATED else "cross",
            money(decimal_of(one.margin_with) - decimal_of(one.margin_without), signed=True),
            money(decimal_of(one.margin_alone)),
            percent(decimal_of(one.benefit_fraction)),
            money(decimal_of(one.capped_loss)),
            money(decimal_of(one.expected_gap_loss)),
            money(decimal_of(one.worst_gap_loss)),
        )
    return table
