"""How the history of an account looks in a terminal: a plot of a dozen lines, and the changes of its band."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.render import BAND_NAMES, add_number_column, band_text, counted, money, percent, plain_table
from crossmargin_client import decimal_of, moment_of

HEIGHT: Final = 12
_LABEL_WIDTH: Final = 7
_WIDEST: Final = 72
_LEAST_TOP: Final = Decimal("0.1")
_MOST_TOP: Final = Decimal(2)
"""Twice the liquidation line: what is above is drawn at the edge."""
_HEADROOM: Final = Decimal("1.05")


def utilization_lines(console: Console, points: Sequence[pb.MarginPoint]) -> list[Text]:
    """Return the utilization over time, left to right: the highest of each column, in the colour of its band."""
    width = min(console.width - _LABEL_WIDTH, _WIDEST)
    columns = _worst_of_columns(points, width)
    highest = max(_finite(point) for point in points)
    top = min(max(highest * _HEADROOM, _LEAST_TOP), _MOST_TOP)
    dot = "*" if console.options.ascii_only else "•"
    lines = []
    for row in range(HEIGHT - 1, -1, -1):
        line = Text(f"{percent(top * (row + 1) / HEIGHT):>{_LABEL_WIDTH - 1}} ", style="dim")
        for point in columns:
            is_here = point is not None and _row_of(point, top) == row
            style = BAND_NAMES.get(point.remembered_band, ("", ""))[1] if point is not None else ""
            line.append(dot if is_here else " ", style=style if is_here else "")
        lines.append(line)
    first, last = (moment_of(point.record_time) for point in (points[0], points[-1]))
    form = "%H:%M:%S" if first.date() == last.date() else "%m-%d %H:%M"
    left, right = f"{first:{form}}", f"{last:{form}}"
    lines.append(Text(" " * _LABEL_WIDTH + left + right.rjust(width - len(left)), style="dim"))
    return lines


def band_change_table(points: Iterable[pb.MarginPoint]) -> Table:
    """Return the runs at which the account came into another band."""
    table = plain_table()
    for heading in ("When (UTC)", "From", "To"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Utilization", "Equity", "Excess"):
        add_number_column(table, heading)
    for point in points:
        if point.band_before in {pb.BAND_UNSPECIFIED, point.remembered_band}:
            continue
        table.add_row(
            f"{moment_of(point.record_time):%Y-%m-%d %H:%M:%S}",
            band_text(point.band_before),
            band_text(point.remembered_band),
            percent(decimal_of(point.utilization)),
            money(decimal_of(point.equity)),
            money(decimal_of(point.excess), signed=True),
        )
    return table


def history_sentence(points: Sequence[pb.MarginPoint], *, since: str) -> str:
    """Return what there is, and where the account is now."""
    if not points:
        return f"No house run of the last {since} margined this account."
    last = points[-1]
    band = BAND_NAMES.get(last.remembered_band, ("unknown", ""))[0]
    waits = ", and its liquidation waits for no call" if last.liquidation_immediate else ""
    utilization = percent(decimal_of(last.utilization))
    return f"{counted(len(points), 'run')} of the last {since}; at the last one utilization was {utilization}, the band {band}{waits}."


def _worst_of_columns(points: Sequence[pb.MarginPoint], width: int) -> list[pb.MarginPoint | None]:
    first, last = (moment_of(point.record_time) for point in (points[0], points[-1]))
    span = (last - first).total_seconds() or 1.0
    columns: list[pb.MarginPoint | None] = [None] * width
    for point in points:
        place = min(int((moment_of(point.record_time) - first).total_seconds() / span * width), width - 1)
        there = columns[place]
        if there is None or _finite(point) > _finite(there):
            columns[place] = point
    return columns


def _row_of(point: pb.MarginPoint, top: Decimal) -> int:
    return min(int(_finite(point) / top * HEIGHT), HEIGHT - 1)


def _finite(point: pb.MarginPoint) -> Decimal:
    utilization = decimal_of(point.utilization)
    return utilization if utilization.is_finite() else _MOST_TOP
