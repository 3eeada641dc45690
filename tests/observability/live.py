"""The demo watched by a real Prometheus: every panel has to have data, and is drawn to be looked at."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.integration.command_line import served_demo
from tests.observability import incidents
from tests.observability.dashboards import DASHBOARDS, panels
from tests.observability.panel_data import Shown, Window, ask, unanswered
from tests.observability.pictures import draw_panel, draw_sections, file_name
from tests.observability.prometheus_server import Prometheus, free_port, prometheus_on


def watch_demo(minutes: float, folder: Path) -> list[str]:
    """Serve the demo with its moving market and incidents, scrape it, draw every panel, and return the queries that found nothing.

    Args:
        minutes: How long the market moves; Prometheus and the pictures see all of it.
        folder: Where the pictures go: one for each panel, one for each section of a dashboard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        admin_address = f"127.0.0.1:{free_port()}"
        with served_demo(Path(room) / "demo", Path(room) / "demo.log", admin_address=admin_address) as (_, target):
            print(f"the demo serves at {target}, its metrics at http://{admin_address}/metrics")
            with prometheus_on(Path(room) / "prometheus", admin_address) as server:
                print(f"prometheus scrapes it: {server.url}")
                start = time.time()
                incidents.play(target, 60 * minutes, report=lambda line: print(line, flush=True))
                return look(server, Window(start, time.time()), folder)


def look(server: Prometheus, window: Window, folder: Path) -> list[str]:
    """Draw every panel of every dashboard as it stands, and return the places of the queries that found nothing."""
    empty = []
    for path in DASHBOARDS:
        answers: dict[int, list[Shown]] = {}
        for panel in panels(path):
            answers[panel["id"]] = shown = ask(server, panel, window)
            empty += [f"{path.stem}: {panel['title']} {ref}" for ref in unanswered(panel, shown)]
            draw_panel(panel, shown, window, folder / file_name(path.stem, panel))
        draw_sections(path, answers, window, folder)
        print(f"drawn in {folder}: {path.stem}, its sections and its {len(answers)} panels")
    return empty
