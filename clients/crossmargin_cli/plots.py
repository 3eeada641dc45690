"""Plots in files: pictures, and pages with a picture and its table that stand alone."""

from __future__ import annotations

import html
import importlib.util
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from crossmargin_cli.failures import CommandError, MisuseError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ENDINGS: Final = (".html", ".png", ".svg")
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


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure of its own, and not one of pyplot, which would look for a screen."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra: most commands must do without it

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def drawn(figure: Figure, kind: str) -> bytes:
    """Return a figure as an svg or a png. The same figure is the same bytes: no date is inside, and no number is drawn."""
    from matplotlib import rc_context  # noqa: PLC0415 - as above

    drawing = io.BytesIO()
    with rc_context({"svg.hashsalt": "crossmargin"}):
        figure.savefig(drawing, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return drawing.getvalue()


def write_figure(file: Path, figure: Figure, *, heading: str, tables: Sequence[Table], notes: Iterable[str]) -> None:
    """Write a figure to a file that passed `check_plot_file`; an .html file also has the tables and stands alone."""
    if file.suffix == ".html":
        file.write_text(page_of(figure, heading=heading, tables=tables, notes=notes), encoding="utf-8")
    else:
        file.write_bytes(drawn(figure, file.suffix[1:]))


def page_of(figure: Figure, *, heading: str, tables: Sequence[Table], notes: Iterable[str]) -> str:
    """Return a page with a heading, tables, notes and a picture."""
    title = html.escape(heading)
    svg = drawn(figure, "svg").decode()
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in notes)
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(map(_table, tables))}{lines}{svg[svg.index('<svg') :]}</html>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(str(column.header))}</th>" for column in table.columns)
    cells = zip(*(column.cells for column in table.columns), strict=True)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in cells)
    return f"<table><tr>{head}</tr>{rows}</table>"
