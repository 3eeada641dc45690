"""Outlooks as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.render import add_number_column, band_text, money, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of


def outlook_table(found: pb.ProjectUtilizationResponse) -> Table:
    """Return the account now, as it is known to be at the horizon, and with the trend on top."""
    table = plain_table(f"Outlook of {short_account(found.stamp.account)} for {moment_of(found.horizon_time):%Y-%m-%d %H:%M} UTC")
    table.add_column("")
    for heading in ("Equity", "Maintenance", "U"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    for name, figures in (("now", found.now), ("known", found.known), ("projected", found.projected)):
        amounts = (money(decimal_of(amount)) for amount in (figures.equity, figures.maintenance_margin))
        table.add_row(name, *amounts, percent(decimal_of(figures.utilization)), band_text(figures.band))
    return table


def outlook_lines(found: pb.ProjectUtilizationResponse) -> Iterator[str]:
    """Yield what it rests on."""
    hours = found.trend_duration.ToTimedelta().total_seconds() / 3600
    equity, margin = (money(decimal_of(amount), signed=True) for amount in (found.equity_trend, found.maintenance_margin_trend))
    yield f"Trend of {hours:.1f} observed hours: equity {equity}, maintenance margin {margin}."
    for end in found.ends:
        yield f"By then: {end.name}, {moment_of(end.due_time):%Y-%m-%d %H:%M} UTC."
    if found.parameter_set_id != found.stamp.parameter_set_id:
        yield f"In force then: {found.parameter_set_id}, for {percent(decimal_of(found.parameter_fraction))} of the result."
    if found.call_number:
        due = moment_of(found.call_due_time)
        outstanding = money(decimal_of(found.call_outstanding))
        yield f"Call {found.call_number} is due {due:%Y-%m-%d %H:%M} UTC with {outstanding} outstanding; it is counted as not met."
