"""Drawings of a client's statement: small pictures in SVG, made of nothing but text, so that a page needs nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.render import money, percent

WIDTH: Final = 720
_FONT: Final = "system-ui, sans-serif"
"""Said in each drawing: what makes a PDF of the page does not carry the page's style into it."""
BAND_COLOURS: Final = {
    margin_service_pb2.BAND_HEALTHY: "#3d8b37",
    margin_service_pb2.BAND_WATCH: "#b8860b",
    margin_service_pb2.BAND_AT_RISK: "#d9730d",
    margin_service_pb2.BAND_MARGIN_CALL: "#c8102e",
    margin_service_pb2.BAND_LIQUIDATION: "#7a0019",
}
_BAND_ENDS: Final = (
    (Decimal("0.6"), margin_service_pb2.BAND_HEALTHY),
    (Decimal("0.7"), margin_service_pb2.BAND_WATCH),
    (Decimal("0.8"), margin_service_pb2.BAND_AT_RISK),
    (Decimal(1), margin_service_pb2.BAND_MARGIN_CALL),
    (Decimal("1.2"), margin_service_pb2.BAND_LIQUIDATION),
)
"""Where each band ends under the shipped risk parameters. The band of an account is the one that its margin names."""
_SCALE_END: Final = Decimal("1.2")
_NAME_WIDTH: Final = 250
_NUMBER_WIDTH: Final = 130
_ROW: Final = 22
_PLOT_LEFT: Final = 56
_PLOT_TOP: Final = 10
_PLOT_BOTTOM: Final = 150
_CALL_ROW: Final = 15
_TIMES: Final = 4
_TIMES_OF_DAY_UP_TO: Final = timedelta(days=4)
_SECONDS_UP_TO: Final = timedelta(minutes=8)
_GOOD, _BAD, _NEUTRAL, _TOTAL = "#3d8b37", "#c8102e", "#3a6ea5", "#1f3d5c"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a bridge: from `start` to `end` in money, drawn as a bar between the two.

    Attributes:
        amount: What the line says beside the bar.
        kind: `total`, `adds` or `frees`.
    """

    name: str
    start: Decimal
    end: Decimal
    amount: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """How close an account was to the line at one time. `utilization` is infinite when equity was gone."""

    at: datetime
    utilization: Decimal


@dataclass(frozen=True, slots=True)
class CallSpan:
    """When a margin call was open. `end` is None while it is."""

    name: str
    start: datetime
    end: datetime | None


def utilization_drawing(utilization: Decimal) -> str:
    """Return a scale from 0 to 120% in the colours of the bands, with a mark where an account stands; beyond the end it stands at it."""
    parts, left = [], Decimal(0)
    for end, band in _BAND_ENDS:
        x, width = _scaled(left), _scaled(end) - _scaled(left)
        parts.append(f'<rect x="{x:.1f}" y="14" width="{width:.1f}" height="12" fill="{BAND_COLOURS[band]}" opacity="0.55"/>')
        parts.append(_label(_scaled(end), 40, f"{end:.0%}", anchor="end" if end == _SCALE_END else "middle"))
        left = end
    mark = _scaled(min(utilization, _SCALE_END) if utilization.is_finite() else _SCALE_END)
    parts.append(f'<path d="M{mark:.1f} 30 l-6 -20 h12 z" fill="#111"/>')
    return _svg(46, parts, f"Utilization {percent(utilization)}")


def bridge_drawing(steps: Sequence[Step]) -> str:
    """Return a bridge, one line for each step, the bars on one scale."""
    ends = [Decimal(0), *(place for step in steps for place in (step.start, step.end))]
    low, high = min(ends), max(ends)
    room, span = WIDTH - _NAME_WIDTH - _NUMBER_WIDTH, (high - low) or Decimal(1)

    def place(amount: Decimal) -> float:
        return _NAME_WIDTH + float((amount - low) / span) * room

    parts = []
    for line, step in enumerate(steps):
        y = line * _ROW
        first, last = sorted((place(step.start), place(step.end)))
        weight = ' font-weight="bold"' if step.kind == "total" else ""
        parts.append(_label(0, y + 15, step.name, more=weight))
        parts.append(f'<rect x="{first:.1f}" y="{y + 4}" width="{max(last - first, 1):.1f}" height="14" fill="{_colour(step)}"/>')
        parts.append(_label(WIDTH, y + 15, money(step.amount, signed=step.kind != "total"), anchor="end", more=weight))
    return _svg(len(steps) * _ROW, parts, "Bridge")


def bars_drawing(amounts: Sequence[tuple[str, Decimal]]) -> str:
    """Return a bar for each amount, losses in red, on one scale."""
    largest = max((abs(amount) for _, amount in amounts), default=Decimal(0)) or Decimal(1)
    room = WIDTH - 2 * _NAME_WIDTH + 60
    parts = []
    for line, (name, amount) in enumerate(amounts):
        y, width = line * _ROW, float(abs(amount) / largest) * room
        colour = _BAD if amount < 0 else _GOOD
        parts.append(_label(0, y + 15, _shortened(name, 52)))
        parts.append(f'<rect x="{_NAME_WIDTH + 90}" y="{y + 4}" width="{max(width, 1):.1f}" height="14" fill="{colour}"/>')
        parts.append(_label(WIDTH, y + 15, money(amount, signed=True), anchor="end"))
    return _svg(len(amounts) * _ROW, parts, "Bars")


def history_drawing(points: Sequence[HistoryPoint], calls: Sequence[CallSpan] = ()) -> str:
    """Return utilization over time above the bands, and below it when margin calls were open.

    Beyond 120% it stands at that line, and of points closer than a pixel the worst is drawn.
    """
    began, ended = points[0].at, points[-1].at
    span_s = (ended - began).total_seconds() or 1.0

    def x(moment: datetime) -> float:
        share = (moment - began).total_seconds() / span_s
        return _PLOT_LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _PLOT_LEFT)

    seen = [call for call in calls if call.start <= ended and (call.end is None or call.end >= began)]
    drawn = _worst_of_each(points, span_s / WIDTH)
    line = " ".join(f"{x(point.at):.1f},{_height_of(point.utilization):.1f}" for point in drawn)
    parts = [
        *_band_stripes(),
        f'<polyline points="{line}" fill="none" stroke="#111" stroke-width="1.4"/>',
        *(_call_bar(call, x(call.start), x(call.end or ended), row) for row, call in enumerate(seen)),
        *_time_axis(began, ended, below=_PLOT_BOTTOM + _CALL_ROW * len(seen)),
    ]
    return _svg(_PLOT_BOTTOM + _CALL_ROW * len(seen) + 24, parts, "Utilization over time")


def _height_of(utilization: Decimal) -> float:
    shown = min(utilization, _SCALE_END) if utilization.is_finite() else _SCALE_END
    return _PLOT_BOTTOM - float(shown / _SCALE_END) * (_PLOT_BOTTOM - _PLOT_TOP)


def _band_stripes() -> Iterator[str]:
    below = Decimal(0)
    for end, band in _BAND_ENDS:
        top, tall = _height_of(end), _height_of(below) - _height_of(end)
        colour = BAND_COLOURS[band]
        yield f'<rect x="{_PLOT_LEFT}" y="{top:.1f}" width="{WIDTH - _PLOT_LEFT}" height="{tall:.1f}" fill="{colour}" opacity="0.14"/>'
        yield _label(_PLOT_LEFT - 4, top + 4, f"{end:.0%}", anchor="end")
        below = end


def _call_bar(call: CallSpan, start: float, end: float, row: int) -> str:
    y = _PLOT_BOTTOM + row * _CALL_ROW + 5
    bar = f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 2):.1f}" height="7" fill="{_BAD}"/>'
    return bar + _label(_PLOT_LEFT - 4, y + 8, call.name, anchor="end")


def _time_axis(began: datetime, ended: datetime, *, below: int) -> Iterator[str]:
    span = ended - began
    form = "%Y-%m-%d" if span > _TIMES_OF_DAY_UP_TO else "%m-%d %H:%M" if span > _SECONDS_UP_TO else "%m-%d %H:%M:%S"
    for step in range(_TIMES + 1):
        share = step / _TIMES
        place = _PLOT_LEFT + share * (WIDTH - _PLOT_LEFT)
        anchor = "start" if step == 0 else "end" if step == _TIMES else "middle"
        yield f'<path d="M{place:.1f} {_PLOT_TOP}V{below + 4}" stroke="#999" stroke-width="0.5" opacity="0.6"/>'
        yield _label(place, below + 17, f"{began + share * (ended - began):{form}}" + (" UTC" if step == _TIMES else ""), anchor=anchor)


def _worst_of_each(points: Sequence[HistoryPoint], stretch_s: float) -> Sequence[HistoryPoint]:
    """Return the worst point of each stretch of time, and the last point whatever it is."""
    kept: dict[int, HistoryPoint] = {}
    for point in points:
        place = int((point.at - points[0].at).total_seconds() / stretch_s)
        if place not in kept or point.utilization > kept[place].utilization:
            kept[place] = point
    worst = list(kept.values())
    return worst if worst[-1] is points[-1] else [*worst, points[-1]]


def _colour(step: Step) -> str:
    if step.kind == "total":
        return _TOTAL
    if step.kind == "frees":
        return _GOOD
    return _NEUTRAL if step.amount >= 0 else _BAD


def _scaled(utilization: Decimal) -> float:
    return float(utilization / _SCALE_END) * WIDTH


def _label(x: float, y: float, text: str, *, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(text)}</text>'


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _svg(height: int, parts: Sequence[str], title: str) -> str:
    inside = "".join(parts)
    settings = f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="{_FONT}" font-size="12"'
    return f"<svg {settings}><title>{html.escape(title)}</title>{inside}</svg>"
