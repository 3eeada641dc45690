"""Methodologies as people read and write them, and their margins side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import account_service_pb2, margin_service_pb2
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.render import add_number_column, band_text, money, percent, plain_table, short_account
from crossmargin_client import EXPECTED_SHORTFALL, RATIO, SPAN_GRID, STANDARD_SCHEDULE, TIMS_GRID, decimal_of

METHODOLOGY_NAMES: Final = {
    EXPECTED_SHORTFALL: "expected_shortfall",
    SPAN_GRID: "span_grid",
    TIMS_GRID: "tims_grid",
    STANDARD_SCHEDULE: "standard_schedule",
    RATIO: "ratio",
}


def methodology_named(name: str) -> account_service_pb2.Methodology.ValueType:
    """Return the methodology of a name; MisuseError for a name that is none."""
    for methodology, known in METHODOLOGY_NAMES.items():
        if known == name.replace("-", "_").lower():
            return methodology
    raise MisuseError(
        f"methodology was {name!r}; expected one of {', '.join(METHODOLOGY_NAMES.values())}", next_step="crossmargin margin compare ACCOUNT"
    )


def comparison_table(comparison: margin_service_pb2.CompareMethodologiesResponse) -> Table:
    """Return a table with one line for each methodology; the account's own is marked. Equity is the same for all: see the notes."""
    table = plain_table()
    table.add_column("Methodology", no_wrap=True)
    for heading in ("Gross", "Netting", "Maintenance", "Initial", "Utilization"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    for one in comparison.margins:
        name = Text(METHODOLOGY_NAMES.get(one.methodology, str(one.methodology)))
        if one.methodology == comparison.selected:
            name.stylize("bold")
            name.append(" *")
        if not one.HasField("margin"):
            table.add_row(name, *("-" for _ in range(5)), "unavailable")
            continue
        requirement = one.margin.requirement
        table.add_row(
            name,
            money(decimal_of(requirement.gross)),
            percent(decimal_of(requirement.netting_benefit_fraction)),
            money(decimal_of(requirement.maintenance_margin)),
            money(decimal_of(requirement.initial_margin)),
            percent(decimal_of(one.margin.utilization)),
            band_text(one.margin.band),
        )
    return table


def comparison_notes(comparison: margin_service_pb2.CompareMethodologiesResponse) -> Iterator[str]:
    """Yield what is to be known beside the table: what the mark means, and why a methodology is not there."""
    margin = next((one.margin for one in comparison.margins if one.HasField("margin")), None)
    if margin is not None:
        account = short_account(margin.stamp.account)
        yield f"* {account} is margined by it. Its equity is {money(decimal_of(margin.equity.equity))} by each of them."
    for one in comparison.margins:
        if one.unavailable:
            yield f"{METHODOLOGY_NAMES.get(one.methodology, str(one.methodology))}: {one.unavailable}"
