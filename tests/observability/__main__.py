"""Checks that need Prometheus itself: `python -m tests.observability [--prometheus URL] [--write]`.

Without options promtool checks the rules, runs their unit tests, and checks every query of the dashboards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.observability.dashboards import DASHBOARDS, RULES, all_queries, dashboard_queries
from tests.observability.metrics_page import PAGE, render
from tests.observability.running_service import observed_service

HERE = Path(__file__).resolve().parent
HOLDS, FAILED, NO_PROMTOOL = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Return 0 when everything holds, 1 when something does not, 2 without promtool."""
    parser = argparse.ArgumentParser(prog="python -m tests.observability", description=__doc__)
    parser.add_argument("--prometheus", metavar="URL", help="list the panels that have no data in this Prometheus")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} from a running service")
    options = parser.parse_args(arguments)
    if options.write:
        return write_page()
    if options.prometheus:
        return list_empty_panels(options.prometheus.rstrip("/"))
    return check_with_promtool()


def write_page() -> int:
    """Write the page of all metrics."""
    with tempfile.TemporaryDirectory() as folder, observed_service(Path(folder)) as families:
        PAGE.write_text(render(families), encoding="utf-8")
    return HOLDS


def check_with_promtool() -> int:
    """Check rules, their unit tests, and queries by promtool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        print("promtool is not installed: apt-get install prometheus, or a release of Prometheus on the PATH", file=sys.stderr)
        return NO_PROMTOOL
    with tempfile.TemporaryDirectory() as folder:
        queries = Path(folder) / "queries.yaml"
        queries.write_text(_queries_as_rules(), encoding="utf-8")
        commands = [
            ["check", "rules", *map(str, RULES)],
            ["check", "rules", "--lint=none", str(queries)],
            ["test", "rules", *map(str, sorted(HERE.glob("rules_*.yaml")))],
        ]
        codes = [subprocess.run([promtool, *command], check=False).returncode for command in commands]
    return FAILED if any(codes) else HOLDS


def list_empty_panels(server: str) -> int:
    """Print every query of the dashboards that finds nothing in a Prometheus."""
    empty = [query.place for path in DASHBOARDS for query in dashboard_queries(path) if not _ask(server, query.filled_in)]
    print("\n".join(empty) or "every panel has data")
    return FAILED if empty else HOLDS


def _queries_as_rules() -> str:
    rules = [{"record": f"checked:query{number}", "expr": query.filled_in} for number, query in enumerate(all_queries())]
    return yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})


def _ask(server: str, expression: str) -> list[object]:
    # The operator names the server.
    with urlopen(f"{server}/api/v1/query?{urlencode({'query': expression})}") as answer:  # noqa: S310
        return json.load(answer)["data"]["result"]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
