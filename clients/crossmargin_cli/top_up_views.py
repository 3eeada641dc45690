"""Top-ups as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.table import Table

from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin_cli.render import add_number_column, money, percent, plain_table, short_account
from crossmargin_client import decimal_of

_USES: Final = {
    pb.TOP_UP_USE_SPARE: "",
    pb.TOP_UP_USE_EXHAUSTED: "all there is",
    pb.TOP_UP_USE_COUNTS_NO_MORE: "more counts nothing",
    pb.TOP_UP_USE_NOT_ELIGIBLE: "not eligible",
    pb.TOP_UP_USE_BELOW_MINIMUM: "below the least transfer",
    pb.TOP_UP_USE_NO_VALUE: "no value to rely on",
}


def top_up_table(found: pb.SuggestTopUpResponse) -> Table:
    """Return what to deliver of each item, and why not more."""
    table = plain_table(f"Top-up of {short_account(found.account)}")
    table.add_column("Item", no_wrap=True)
    for heading in ("Deliver", "Market value", "Counts for", "Cost"):
        add_number_column(table, heading)
    table.add_column("", no_wrap=True)
    for line in found.lines:
        amounts = (line.market_value, line.value_in_equity, line.cost)
        table.add_row(line.instrument_id, line.quantity, *(money(decimal_of(amount)) for amount in amounts), _USES.get(line.use, ""))
    return table


def standing_table(found: pb.SuggestTopUpResponse) -> Table:
    """Return the account before and after."""
    table = plain_table()
    table.add_column("")
    for heading in ("Equity", "Maintenance", "Initial", "Excess", "U"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    for name, standing in (("before", found.before), ("after", found.after)):
        amounts = (standing.equity, standing.maintenance_margin, standing.initial_margin, standing.excess)
        table.add_row(name, *(money(decimal_of(amount)) for amount in amounts), percent(decimal_of(standing.utilization)), standing.band)
    return table


def top_up_lines(found: pb.SuggestTopUpResponse) -> Iterator[str]:
    """Yield what comes of it, and what it costs."""
    yield f"{found.summary[:1].upper()}{found.summary[1:]}."
    if decimal_of(found.cost):
        least = money(decimal_of(found.least_cost), places=2)
        yield f"It costs {money(decimal_of(found.cost), places=2)}; no mix of the inventory that does as much costs less than {least}."
