"""What Grafana and Prometheus are given: the dashboards, their queries, and the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "crossmargin"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = sorted((CHART / "rules").glob("*.yaml"))
_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h"}
_QUERY_OF_A_VARIABLE = re.compile(r"label_values\((.*), (\w+)\)")


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and where it stands."""

    place: str
    expression: str

    @property
    def filled_in(self) -> str:
        """The expression with values for the dashboard's variables."""
        text = self.expression
        for variable, value in _VARIABLES.items():
            text = text.replace(variable, value)
        return re.sub(r'"\$\w+"', '".*"', text)


def dashboard(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    return json.loads(path.read_text(encoding="utf-8"))


def panels(path: Path) -> list[dict[str, Any]]:
    """Return the panels of a dashboard that show something, without the rows between them."""
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def dashboard_queries(path: Path) -> Iterator[Query]:
    """Yield every query of a dashboard, those of its variables included."""
    for panel in panels(path):
        for target in panel["targets"]:
            yield Query(f"{path.name}: {panel['title']} {target['refId']}", target["expr"])
    for variable in dashboard(path)["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(f"{path.name}: ${variable['name']}", _QUERY_OF_A_VARIABLE.fullmatch(variable["query"])[1])


def rules(path: Path) -> list[dict[str, Any]]:
    """Return the rules of a file."""
    return [rule for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return every alert."""
    return [rule for path in RULES for rule in rules(path) if "alert" in rule]


def recorded_names() -> set[str]:
    """Return the names that the recording rules make."""
    return {rule["record"] for path in RULES for rule in rules(path) if "record" in rule}


def all_queries() -> list[Query]:
    """Return every query of every dashboard and rule."""
    from_rules = [Query(f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]) for path in RULES for rule in rules(path)]
    return [query for path in DASHBOARDS for query in dashboard_queries(path)] + from_rules


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Return the series that an expression reads; ValueError when it is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def keep(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), keep)
    return found
