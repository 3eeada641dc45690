"""Checks that need Prometheus itself or an image builder: `python -m tests.observability [live | cost | image] [--write]`.

Without options promtool checks the rules, runs their unit tests, and checks every query of the dashboards. `live` has a real Prometheus
scrape the demo while its market moves and things go wrong, and draws every panel. `cost` times a scrape. `image` builds the image without
a daemon, and runs it as the chart's pods do.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.observability.dashboards import DASHBOARDS, RULES, all_queries, dashboard_queries
from tests.observability.image import check_image
from tests.observability.live import watch_demo
from tests.observability.metrics_page import PAGE, render
from tests.observability.prometheus_server import Prometheus
from tests.observability.running_service import observed_service
from tests.observability.scrape_cost import print_cost

HERE = Path(__file__).resolve().parent
HOLDS, FAILED, NO_PROMTOOL = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Return 0 when everything holds, 1 when something does not, 2 without promtool."""
    parser = argparse.ArgumentParser(prog="python -m tests.observability", description=__doc__)
    parser.add_argument("--prometheus", metavar="URL", help="list the panels that have no data in this Prometheus")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} from a running service")
    commands = parser.add_subparsers(dest="command")
    live = commands.add_parser("live", help="serve the demo, scrape it by a real Prometheus, and draw every panel")
    live.add_argument("--minutes", type=float, default=5.0, help="how long the market moves (default: 5)")
    live.add_argument("--out", type=Path, default=Path("panels"), metavar="FOLDER", help="where the pictures go (default: panels)")
    cost = commands.add_parser("cost", help="time scrapes of the admin port")
    cost.add_argument("--clients", type=int, default=1000, help="how many clients the house has, one account each (default: 1000)")
    image = commands.add_parser("image", help="build the image without a daemon, and run it without network on a read-only root")
    image.add_argument("--base", metavar="NAME", help="the base image (default: a Debian with Python, made by debootstrap)")
    image.add_argument("--work", type=Path, metavar="FOLDER", help="keep layers and the stand-in here for the next time")
    options = parser.parse_args(arguments)
    if options.command == "live":
        return tell_empty(watch_demo(options.minutes, options.out))
    if options.command == "cost":
        return print_cost(options.clients)
    if options.command == "image":
        return check_image(options.base, options.work)
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
    prometheus = Prometheus(server)
    return tell_empty([query.place for path in DASHBOARDS for query in dashboard_queries(path) if not prometheus.instant(query.filled_in)])


def tell_empty(places: Sequence[str]) -> int:
    """Print the queries that found nothing."""
    print("\n".join(f"no data: {place}" for place in places) or "every panel has data")
    return FAILED if places else HOLDS


def _queries_as_rules() -> str:
    rules = [{"record": f"checked:query{number}", "expr": query.filled_in} for number, query in enumerate(all_queries())]
    return yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})


if __name__ == "__main__":
    raise SystemExit(exit_code_of(lambda: main(sys.argv[1:])))
