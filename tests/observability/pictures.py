"""Dashboards as pictures: every panel drawn from what Prometheus answers, laid out as Grafana lays it out."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tests.observability.dashboards import dashboard
from tests.observability.panel_data import Shown, Window, colour, field_settings, table, text_of

_COLOURS = {
    "text": "#404040",
    "green": "#56a64b",
    "yellow": "#e0b400",
    "orange": "#ff780a",
    "red": "#e02f44",
    "dark-red": "#8b0a1a",
    "dark-orange": "#a84b00",
    "dark-yellow": "#8f7000",
    "blue": "#3274d9",
    "transparent": "none",
}
_COLUMN_INCHES, _ROW_INCHES = 0.8, 0.42
_LEGEND_LINES = 8


def draw_panel(panel: dict[str, Any], shown: Sequence[Shown], window: Window, file: Path) -> None:
    """Write one panel as a PNG, with its description below."""
    place = panel["gridPos"]
    size = max(6.0, place["w"] * _COLUMN_INCHES), max(2.8, place["h"] * _ROW_INCHES + 0.6)
    figure = Figure(figsize=size, layout="none")
    _draw_within(figure, panel, shown, window, (0.0, 0.09, 1.0, 0.91))
    figure.text(0.01, 0.01, textwrap.fill(panel["description"], int(size[0] * 16)), fontsize=7, color="0.35", va="bottom")
    figure.savefig(file, dpi=100)


def draw_sections(path: Path, answers: dict[int, Sequence[Shown]], window: Window, folder: Path) -> None:
    """Write each section of a dashboard as one PNG, laid out as Grafana lays it out; `answers` by the panels' ids."""
    for number, (title, members) in enumerate(sections(path), start=1):
        top = min(panel["gridPos"]["y"] for panel in members)
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in members) - top
        figure = Figure(figsize=(24 * _COLUMN_INCHES, (height + 1) * _ROW_INCHES), layout="none")
        figure.text(0.005, 1 - 0.5 / (height + 1), title, fontsize=13, weight="bold", va="center")
        for panel in members:
            place = panel["gridPos"]
            bottom = 1 - (place["y"] - top + place["h"] + 1) / (height + 1)
            box = (place["x"] / 24, bottom, place["w"] / 24, place["h"] / (height + 1))
            _draw_within(figure, panel, answers[panel["id"]], window, box)
        figure.savefig(folder / f"{path.stem}-section-{number}.png", dpi=80)


def sections(path: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the rows of a dashboard by their titles, each with the panels below it."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for panel in dashboard(path)["panels"]:
        if panel["type"] == "row":
            found.append((panel["title"], []))
        else:
            found[-1][1].append(panel)
    return found


def _draw_within(
    figure: Figure, panel: dict[str, Any], shown: Sequence[Shown], window: Window, box: tuple[float, float, float, float]
) -> None:
    left, bottom, width, height = box
    wide, tall = width * figure.get_figwidth(), height * figure.get_figheight()
    # In inches, so that names and legends have the same room in every panel: names stand to the left of bars, legends below lines.
    before = 1.7 if panel["type"] in {"bargauge", "state-timeline"} else 0.75
    below = 0.75 if panel["type"] in {"timeseries", "state-timeline"} else 0.3
    place = (left + before / wide * width, bottom + below / tall * height)
    axes = figure.add_axes((*place, (1 - (before + 0.15) / wide) * width, (1 - (below + 0.35) / tall) * height))
    _draw(axes, panel, [each for each in shown if each.is_a_number], window)


def file_name(board: str, panel: dict[str, Any]) -> str:
    """Return what a panel's picture is called.

    >>> file_name("margin-risk", {"id": 7, "title": "What doubt leaves open"})
    'margin-risk-07-what-doubt-leaves-open.png'
    """
    return f"{board}-{panel['id']:02d}-{re.sub(r'[^a-z0-9]+', '-', panel['title'].lower()).strip('-')}.png"


def _draw(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], window: Window) -> None:
    axes.set_title(panel["title"], fontsize=9, loc="left", weight="bold")
    axes.tick_params(labelsize=7)
    if not shown:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", fontsize=12, color="0.6", transform=axes.transAxes)
        axes.set_axis_off()
        axes.set_title(panel["title"], fontsize=9, loc="left", weight="bold")
        return
    _KINDS[panel["type"]](axes, panel, shown, window)


def _draw_stat(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], _: Window) -> None:
    settings, value = panel["fieldConfig"]["defaults"], shown[0].last
    shade = _COLOURS[colour(settings, value)]
    axes.text(0.5, 0.45, text_of(settings, value), fontsize=20, ha="center", va="center", color=shade, transform=axes.transAxes)
    axes.set_axis_off()


def _draw_lines(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], window: Window) -> None:
    settings = panel["fieldConfig"]["defaults"]
    ordered = sorted(shown, key=lambda each: each.last, reverse=panel["options"]["legend"].get("sortDesc", True))
    if "stacking" in settings["custom"]:
        _stack(axes, panel, shown)
    else:
        for number, each in enumerate(ordered):
            axes.plot(
                _times(each),
                [value for _, value in each.series.points],
                linewidth=1.1,
                color=f"C{number % 10}",
                label=_label(settings, each),
            )
    if "min" in settings:
        axes.set_ylim(bottom=settings["min"])
    if settings["custom"].get("thresholdsStyle", {}).get("mode") == "dashed":
        steps = settings["thresholds"]["steps"]
        for place, step in enumerate(steps[1:], start=1):
            axes.axhline(step["value"], color=_COLOURS[line_colour(steps, place)], linestyle="--", linewidth=0.9)
    axes.set_xlim(*(_moment(moment) for moment in (window.start, window.end)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=settings["unit"] == "none"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text_of({**settings, "mappings": []}, value)))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.grid(visible=True, color="0.92")
    if axes.get_ylim()[1] <= 0.06 and max(each.last for each in ordered) == 0:
        axes.set_ylim(top=1.0)  # a line along zero, which is not to look like noise
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[:_LEGEND_LINES], labels[:_LEGEND_LINES], fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False
    )


def _stack(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown]) -> None:
    times = sorted({moment for each in shown for moment, _ in each.series.points})
    layers = []
    for each in shown:
        known = dict(each.series.points)
        layers.append([known.get(moment, 0.0) for moment in times])
    chosen = [field_settings(panel, each.name).get("color", {}).get("fixedColor") for each in shown]
    shades = [_COLOURS[name] if name else f"C{number % 10}" for number, name in enumerate(chosen)]
    axes.stackplot([_moment(moment) for moment in times], *layers, labels=[each.name for each in shown], colors=shades, alpha=0.7)


def _label(settings: dict[str, Any], each: Shown) -> str:
    values = [value for _, value in each.series.points if not math.isnan(value)]
    text = f"{each.name}  last {text_of(settings, each.last)}  max {text_of(settings, max(values))}"
    return text.replace("$", r"\$")  # or the text between two dollars is taken for a formula


def line_colour(steps: Sequence[dict[str, Any]], place: int) -> str:
    """Return the colour that Grafana gives the line of a threshold.

    Up to a step that is transparent, steps are upper ends: the line has the colour of what is below it.
    """
    last_upper_end = next((number for number, step in enumerate(steps) if step["color"] == "transparent"), -1)
    return str(steps[place - 1 if place <= last_upper_end else place]["color"])


def _draw_bars(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], _: Window) -> None:
    settings = panel["fieldConfig"]["defaults"]
    names, values = [each.name for each in shown], [each.last for each in shown]
    ceiling = settings.get("max", max(values))
    axes.barh(range(len(names)), [min(value, ceiling) for value in values], color=[_COLOURS[colour(settings, value)] for value in values])
    for place, value in enumerate(values):
        axes.text(max(0.0, min(value, ceiling)), place, f" {text_of(settings, value)}", va="center", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    if "max" in settings:
        axes.set_xlim(settings.get("min", 0.0), ceiling)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text_of(settings, value)))


def _draw_table(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], _: Window) -> None:
    columns, rows = table(panel, shown)
    settings = [field_settings(panel, column) for column in columns]
    texts = [[text_of(setting, value) for setting, value in zip(settings, row, strict=True)] for row in rows]
    drawn = axes.table(cellText=texts, colLabels=columns, loc="upper center", cellLoc="right")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(7)
    drawn.auto_set_column_width(range(len(columns)))
    for down, row in enumerate(rows, start=1):
        for across, (setting, value) in enumerate(zip(settings, row, strict=True)):
            if isinstance(value, float) and "custom.cellOptions" in setting:
                drawn[down, across].get_text().set_color(_COLOURS[colour(setting, value)])
            for mapping in setting.get("mappings", []) if isinstance(value, float) else ():
                drawn[down, across].get_text().set_color(_COLOURS[mapping["options"][str(int(value))]["color"]])
    axes.set_axis_off()


def _draw_states(axes: Axes, panel: dict[str, Any], shown: Sequence[Shown], window: Window) -> None:
    settings = panel["fieldConfig"]["defaults"]
    states = settings["mappings"][0]["options"]
    for place, each in enumerate(shown):
        moments = [*(moment for moment, _ in each.series.points), window.end]
        for (start, value), end in zip(each.series.points, moments[1:], strict=True):
            width = min(end - start, 3 * window.step_s)
            shade = _COLOURS[states[str(int(value))]["color"]]
            axes.barh(place, _moment(start + width) - _moment(start), left=_moment(start), color=shade, height=0.8)
    axes.set_yticks(range(len(shown)), [each.name for each in shown], fontsize=7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(_moment(window.start), _moment(window.end))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    for state in states.values():
        axes.barh(0, 0, color=_COLOURS[state["color"]], label=state["text"])
    axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(states), frameon=False)


def _times(each: Shown) -> list[float]:
    return [_moment(moment) for moment, _ in each.series.points]


def _moment(seconds: float) -> float:
    return float(date2num(datetime.fromtimestamp(seconds, UTC)))


_KINDS: dict[str, Callable[[Axes, dict[str, Any], Sequence[Shown], Window], None]] = {
    "stat": _draw_stat,
    "timeseries": _draw_lines,
    "bargauge": _draw_bars,
    "table": _draw_table,
    "state-timeline": _draw_states,
}
