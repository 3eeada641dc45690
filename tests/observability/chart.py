"""The chart, rendered by Helm's own engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tests.observability.dashboards import CHART

VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
LEAST: Mapping[str, Any] = {
    "database": {"existingSecret": "crossmargin-db"},
    "migrate": {"existingSecret": "crossmargin-db-owner"},
    "tls": {"existingSecret": "crossmargin-tls"},
    "access": {"existingSecret": "crossmargin-access", "tokenIssuer": "https://issuer.example.com"},
}
RELEASE = "demo"
NAMESPACE = "prod"


def values_of(path: Path) -> dict[str, Any]:
    """Return a set of values."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rendered(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what each template renders to, by its name; HelmError when the chart refuses the values."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(dict(values), name=RELEASE, namespace=NAMESPACE)
    return {name.removeprefix("crossmargin/templates/"): text for name, text in texts.items()}


def objects(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that an installation makes, hooks and tests included."""
    texts = [text for name, text in rendered(values).items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found is not None]


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind by the name they have without the release's."""
    return {one["metadata"]["name"].removeprefix(f"{RELEASE}-crossmargin").removeprefix("-"): one for one in found if one["kind"] == kind}


def pod_specs(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the specification of every pod that the objects lead to, by kind and name."""
    specs = {}
    for one in found:
        if one["kind"] in {"Deployment", "Job"}:
            specs[f"{one['kind']} {one['metadata']['name']}"] = one["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            specs[f"Pod {one['metadata']['name']}"] = one["spec"]
    return specs
