"""Plots of a backtest: what was required every day, and what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.backtest_views import ZONE_NAMES, backtest_table, day_text, left_out_lines, plan_line
from crossmargin_cli.plots import drawn, new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS: Final = 2
_PANEL_INCHES: Final = (6.0, 2.4)
_MILLION: Final = 1e6
_EPOCH: Final = date(1970, 1, 1)


def write_plots(file: Path, plan: pb.BacktestPlan, books: Sequence[pb.BookBacktest]) -> None:
    """Draw one panel for each book with tested days; an .html file also has the table and stands alone."""
    figure = figure_of([book for book in books if book.series.days_since_epoch])
    heading = f"Backtest, {day_text(plan.first_day)} to {day_text(plan.last_day)}"
    write_figure(file, figure, heading=heading, tables=[backtest_table(plan, books)], notes=(plan_line(plan), *left_out_lines(books)))


def drawing_of(books: Sequence[pb.BookBacktest], kind: str) -> bytes:
    """Return the panels as an svg or a png. The same backtest is the same bytes."""
    return drawn(figure_of(books), kind)


def figure_of(books: Sequence[pb.BookBacktest]) -> Figure:
    """Return the panels of some books, two in a row."""
    rows = max(1, -(-len(books) // _COLUMNS))
    columns = min(_COLUMNS, max(1, len(books)))
    figure = new_figure(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, book in zip(panels, books, strict=False):
        _draw(panel, book)
    for panel in panels[len(books) :]:
        panel.set_visible(False)
    return figure


def _draw(panel: Axes, book: pb.BookBacktest) -> None:
    from matplotlib.dates import date2num  # noqa: PLC0415 - an extra: most commands must do without it

    days = date2num([_EPOCH + timedelta(days=day) for day in book.series.days_since_epoch]).tolist()  # type: ignore[no-untyped-call]
    pnl = [float(amount) / _MILLION for amount in book.series.pnl]
    # Drawn below zero, where losses are: a loss below the line is a breach.
    market, maintenance = (
        [-float(amount) / _MILLION for amount in column] for column in (book.series.market_requirement, book.series.maintenance_margin)
    )
    breaches = [(day, loss) for day, loss, line in zip(days, pnl, maintenance, strict=True) if loss < line]
    panel.vlines(days, 0.0, pnl, color="0.65", linewidth=0.4)
    panel.plot(days, market, color="tab:blue", linewidth=0.8, label="market requirement")
    panel.plot(days, maintenance, color="tab:orange", linewidth=0.8, linestyle="--", label="maintenance margin")
    panel.plot([day for day, _ in breaches], [loss for _, loss in breaches], "o", color="tab:red", markersize=3, label="breach")
    zones = [ZONE_NAMES[coverage.zone][0] for coverage in book.requirements if coverage.measure == "maintenance"]
    panel.set_title(f"{book.book}: {', '.join(zones)}", fontsize=9)
    panel.set_ylabel("USD million", fontsize=7)
    panel.xaxis_date()
    panel.tick_params(labelsize=7)
    panel.legend(fontsize=6, loc="upper left", frameon=False, ncols=3)
