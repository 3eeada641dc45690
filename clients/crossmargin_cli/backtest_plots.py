"""Plots of a backtest: what was required every day, and what then happened."""

from __future__ import annotations

import html
import importlib.util
import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.backtest_views import ZONE_NAMES, backtest_table, day_text, left_out_lines, plan_line
from crossmargin_cli.failures import CommandError, MisuseError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENDINGS: Final = (".html", ".png", ".svg")
_COLUMNS: Final = 2
_PANEL_INCHES: Final = (6.0, 2.4)
_MILLION: Final = 1e6
_EPOCH: Final = date(1970, 1, 1)
_STYLE: Final = "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"


def check_plot_file(file: Path) -> None:
    """Refuse a file that could not be drawn, before a long run and not after it.

    Raises:
        MisuseError: Another ending than .html, .png or .svg, or a folder that is not there.
        CommandError: The library that draws is not installed.
    """
    if file.suffix not in _ENDINGS:
        raise MisuseError(f"--plot was {file}; expected a file that ends in {', '.join(_ENDINGS)}")
    if not file.absolute().parent.is_dir():
        raise MisuseError(f"--plot was {file}; the folder {file.parent} is not there")
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandError("plots need matplotlib, which is not installed", next_step="pip install 'crossmargin[report]'")


def write_plots(file: Path, plan: pb.BacktestPlan, books: Sequence[pb.BookBacktest]) -> None:
    """Draw one panel for each book with tested days; an .html file also has the table and stands alone."""
    drawn = [book for book in books if book.series.days_since_epoch]
    if file.suffix == ".html":
        file.write_text(_page(plan, books, drawn), encoding="utf-8")
    else:
        file.write_bytes(drawing_of(drawn, file.suffix[1:]))


def drawing_of(books: Sequence[pb.BookBacktest], kind: str) -> bytes:
    """Return the panels as an svg or a png. The same backtest is the same bytes: no date is inside, and no number is drawn."""
    from matplotlib import rc_context  # noqa: PLC0415 - an extra: most commands must do without it

    drawing = io.BytesIO()
    with rc_context({"svg.hashsalt": "crossmargin"}):
        figure_of(books).savefig(drawing, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return drawing.getvalue()


def figure_of(books: Sequence[pb.BookBacktest]) -> Figure:
    """Return the panels of some books, two in a row."""
    # Drawn on a figure of its own and not through pyplot, which would look for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    rows = max(1, -(-len(books) // _COLUMNS))
    columns = min(_COLUMNS, max(1, len(books)))
    figure = Figure(figsize=(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, book in zip(panels, books, strict=False):
        _draw(panel, book)
    for panel in panels[len(books) :]:
        panel.set_visible(False)
    return figure


def _draw(panel: Axes, book: pb.BookBacktest) -> None:
    from matplotlib.dates import date2num  # noqa: PLC0415 - as above

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


def _page(plan: pb.BacktestPlan, books: Sequence[pb.BookBacktest], drawn: Sequence[pb.BookBacktest]) -> str:
    table = backtest_table(plan, books)
    heading = html.escape(f"Backtest, {day_text(plan.first_day)} to {day_text(plan.last_day)}")
    head = "".join(f"<th>{html.escape(str(column.header))}</th>" for column in table.columns)
    cells = zip(*(column.cells for column in table.columns), strict=True)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in cells)
    notes = "".join(f"<p>{html.escape(line)}</p>" for line in (plan_line(plan), *left_out_lines(books)))
    svg = drawing_of(drawn, "svg").decode()
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{heading}</title>"
        f"<style>{_STYLE}</style><h1>{heading}</h1><table><tr>{head}</tr>{rows}</table>{notes}{svg[svg.index('<svg') :]}</html>\n"
    )
