"""Backtests as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from google.type.date_pb2 import Date
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.render import add_number_column, counted, percent, plain_table
from crossmargin_client import decimal_of

ZONE_NAMES: Final = {
    pb.BACKTEST_ZONE_GREEN: ("green", "green"),
    pb.BACKTEST_ZONE_YELLOW: ("yellow", "yellow"),
    pb.BACKTEST_ZONE_RED: ("red", "bold red"),
}
_NUMBERS: Final = ("Days", "Breaches", "Worst loss", "Kupiec", "Indep.", "ES", "Peak", "Rise 20")


def backtest_table(plan: pb.BacktestPlan, books: Sequence[pb.BookBacktest]) -> Table:
    """Return a table with one line for each book: how the maintenance margin did, and the test of the tail mean."""
    table = plain_table(
        f"Maintenance margin at {percent(decimal_of(plan.confidence))}, {day_text(plan.first_day)} to {day_text(plan.last_day)}"
    )
    table.add_column("Book", overflow="fold", min_width=16)
    table.add_column("Zone", no_wrap=True)
    for heading in _NUMBERS:
        add_number_column(table, heading)
    for book in books:
        table.add_row(*book_cells(book))
    return table


def book_cells(book: pb.BookBacktest) -> list[Text]:
    """Return the line of one book; dashes where no day could be tested."""
    maintenance = next((one for one in book.requirements if one.measure == "maintenance"), None)
    if maintenance is None:
        return [Text(book.book), *[Text("-")] * (1 + len(_NUMBERS))]
    name, style = ZONE_NAMES.get(maintenance.zone, ("unknown", ""))
    cells = [
        f"{maintenance.day_count:,}",
        "+".join(str(phase.breach_count) for phase in maintenance.phases),
        _share(maintenance.largest_loss_ratio),
        _p_value(maintenance.coverage_p_value),
        _p_value(maintenance.independence_p_value),
        _p_value(book.tail_mean.p_value),
        _ratio(book.procyclicality.peak_to_trough),
        _share(book.procyclicality.largest_rise_20),
    ]
    return [Text(book.book), Text(name, style=style), *map(Text, cells)]


def plan_line(plan: pb.BacktestPlan) -> str:
    """Return a sentence that says what was tested, and what the numbers depend on."""
    days = counted(plan.day_count, "day") + (f", every {plan.every}" if plan.every > 1 else "")
    return (
        f"{days} under {plan.parameter_set_id} ({plan.parameters_hash[:12]}), history version {plan.history_version}, engine "
        f"{plan.engine_version}. Breaches are by phase: days whose margin periods do not overlap; the zone is the worst one's. Kupiec, "
        f"Indep. and ES are p-values: of the number of breaches, of their independence, of the size of the tail."
    )


def left_out_lines(books: Sequence[pb.BookBacktest]) -> Iterator[str]:
    """Yield, for each book with days that could not be tested, how many and why."""
    for book in books:
        if book.left_out_day_count:
            yield f"{book.book}: {counted(book.left_out_day_count, 'day')} left out: {book.left_out_because}"


def day_text(day: Date) -> str:
    """Return a date as ISO text."""
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}"


def _p_value(text: str) -> str:
    return f"{decimal_of(text):.3f}" if text else "-"


def _ratio(text: str) -> str:
    return f"{decimal_of(text):.2f}" if text else "-"


def _share(text: str) -> str:
    return percent(Decimal(text)) if text else "-"
