"""What a panel would show: its queries answered, with the legends, columns and colours that Grafana would give them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.observability.prometheus_server import Prometheus, Series

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Window:
    """The time that is looked at, in Unix seconds."""

    start: float
    end: float

    @property
    def step_s(self) -> float:
        """Seconds between points, so that a panel has some two hundred of them."""
        return max(2.0, (self.end - self.start) / 200)

    def filled_in(self, expression: str) -> str:
        """Return an expression with values for the variables, as Grafana gives them for this time."""
        text = expression.replace("$__rate_interval", "1m").replace("$__range", f"{int(self.end - self.start)}s")
        return re.sub(r'"\$\w+"', '".*"', text)


@dataclass(frozen=True)
class Shown:
    """One series of a panel under the name that its legend gives it; `ref` is the query that it came from."""

    name: str
    ref: str
    series: Series

    @property
    def is_a_number(self) -> bool:
        """Whether any point is; a share of nothing is NaN."""
        return any(not math.isnan(value) for _, value in self.series.points)

    @property
    def last(self) -> float:
        """The newest value that is a number."""
        return next(value for _, value in reversed(self.series.points) if not math.isnan(value))


def ask(server: Prometheus, panel: dict[str, Any], window: Window) -> list[Shown]:
    """Return what the queries of a panel find. A query without an answer has no series."""
    found = []
    for target in panel["targets"]:
        expression = window.filled_in(target["expr"])
        if target.get("instant"):
            answer = server.instant(expression)
        else:
            answer = server.over(expression, start=window.start, end=window.end, step_s=window.step_s)
        found += [Shown(legend(target.get("legendFormat", ""), series.labels), target["refId"], series) for series in answer]
    return found


def unanswered(panel: dict[str, Any], shown: Sequence[Shown]) -> list[str]:
    """Return the queries of a panel, by their letters, that found nothing, or nothing but NaN."""
    answered = {each.ref for each in shown if each.is_a_number}
    return [target["refId"] for target in panel["targets"] if target["refId"] not in answered]


def legend(template: str, labels: dict[str, str]) -> str:
    """Return a legend with its labels filled in; without a template the labels themselves.

    >>> legend("{{client}}/{{account}}", {"client": "alpha", "account": "core"})
    'alpha/core'
    """
    if template:
        return _LABEL.sub(lambda found: labels.get(found[1], ""), template)
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")


def table(panel: dict[str, Any], shown: Sequence[Shown]) -> tuple[list[str], list[list[str | float | None]]]:
    """Return the columns of a table and its rows: queries merged by their labels, columns named and sorted as the panel says."""
    organize = next(each["options"] for each in panel["transformations"] if each["id"] == "organize")
    is_single = len(panel["targets"]) == 1
    rows: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
    for each in shown:
        labels = {name: value for name, value in each.series.labels.items() if name != "__name__"}
        row = rows.setdefault(tuple(sorted(labels.items())), dict(labels))
        row["Value" if is_single else f"Value #{each.ref}"] = each.series.last
    fields = sorted((name for name in organize["indexByName"]), key=lambda name: organize["indexByName"][name])
    columns = [organize["renameByName"].get(name, name) for name in fields]
    cells: list[list[str | float | None]] = [[row.get(name) for name in fields] for row in rows.values()]
    for order in reversed(panel["options"].get("sortBy", [])):
        place = columns.index(order["displayName"])
        cells.sort(key=lambda row, place=place: _sort_key(row[place]), reverse=order["desc"])
    return columns, cells


def _sort_key(value: str | float | None) -> tuple[int, float, str]:
    return (0, 0.0, "") if value is None else (2, 0.0, value) if isinstance(value, str) else (1, value, "")


def field_settings(panel: dict[str, Any], column: str) -> dict[str, Any]:
    """Return unit, decimals, thresholds and mappings of a column: the panel's own, overridden where the panel says so."""
    settings = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == column:
            settings |= {each["id"]: each["value"] for each in override["properties"]}
    return settings


def colour(settings: dict[str, Any], value: float) -> str:
    """Return the colour of the highest threshold that a value reaches."""
    steps = settings["thresholds"]["steps"]
    return next(step["color"] for step in reversed(steps) if step["value"] is None or value >= step["value"])


def text_of(settings: dict[str, Any], value: str | float | None) -> str:
    """Return a value as a panel writes it, in its unit.

    >>> text_of({"unit": "percentunit", "decimals": 1}, 0.8765)
    '87.7%'
    """
    if value is None or isinstance(value, str):
        return value or ""
    for mapping in settings.get("mappings", []):
        mapped = mapping["options"].get(str(int(value))) if math.isfinite(value) and value == int(value) else None
        if mapped:
            return mapped["text"]
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "NaN")
    return _UNITS.get(settings["unit"], _plain)(value, settings.get("decimals"))


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def _percent(value: float, decimals: int | None) -> str:
    return f"{100 * value:.{1 if decimals is None else decimals}f}%"


def _dollars(value: float, decimals: int | None) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"${value / size:,.2f}{letter}".replace("$-", "-$")
    return f"${value:,.{decimals or 0}f}".replace("$-", "-$")


def _seconds(value: float, decimals: int | None) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(value) >= 2 * size:
            return f"{value / size:.1f} {unit}"
    return f"{1000 * value:.3g} ms" if 0 < abs(value) < 1 else f"{value:.{1 if decimals is None else decimals}f} s"


def _bytes(value: float, decimals: int | None) -> str:
    return f"{value / 2**20:,.{decimals or 0}f} MiB"


def _per_second(word: str) -> Any:
    return lambda value, _: f"{value:.3g} {word}"


_UNITS = {
    "percentunit": _percent,
    "currencyUSD": _dollars,
    "s": _seconds,
    "bytes": _bytes,
    "ops": _per_second("/s"),
    "reqps": _per_second("calls/s"),
}
