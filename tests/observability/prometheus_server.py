"""A real Prometheus that scrapes one address with the chart's rules, and what it answers."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.integration.command_line import wait_until
from tests.observability.dashboards import RULES

SCRAPE_INTERVAL_S = 2


class PrometheusError(Exception):
    """Prometheus is not installed, or says that a query is wrong."""


@dataclass(frozen=True)
class Series:
    """One line of an answer: its labels, and its points as (Unix time, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Prometheus:
    """A server, by its address."""

    url: str

    def instant(self, expression: str) -> list[Series]:
        """Return what an expression says now, in the order of the answer."""
        return [Series(found["metric"], [_point(found["value"])]) for found in self._ask("query", query=expression)]

    def over(self, expression: str, *, start: float, end: float, step_s: float) -> list[Series]:
        """Return what an expression said between two times."""
        found = self._ask("query_range", query=expression, start=start, end=end, step=step_s)
        return [Series(each["metric"], [_point(point) for point in each["values"]]) for each in found]

    def is_scraping(self) -> bool:
        """Return True once the service has been scraped."""
        try:
            return any(series.last == 1 for series in self.instant("up"))
        except (URLError, ConnectionError, PrometheusError):
            return False  # not up yet, or not ready yet

    def _ask(self, what: str, **asked: object) -> list[dict[str, Any]]:
        try:
            # The address is our own process's, or one that the operator named.
            with urlopen(f"{self.url}/api/v1/{what}?{urlencode(asked)}") as answer:  # noqa: S310
                return json.load(answer)["data"]["result"]
        except HTTPError as error:
            raise PrometheusError(f"{asked['query']}: {error.read().decode()}") from error


@contextmanager
def prometheus_on(folder: Path, admin_address: str) -> Iterator[Prometheus]:
    """Yield a Prometheus that scrapes an admin port; it ends with the block. Its data and log are in `folder`."""
    program = shutil.which("prometheus")
    if program is None:
        raise PrometheusError("prometheus is not installed: apt-get install prometheus, or a release of it on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    settings = folder / "prometheus.yaml"
    settings.write_text(yaml.safe_dump(_settings(admin_address)), encoding="utf-8")
    command = [program, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            server = Prometheus(f"http://{address}")
            wait_until(lambda: process.poll() is not None or server.is_scraping())
            if process.poll() is not None:
                raise PrometheusError(f"prometheus ended: {(folder / 'prometheus.log').read_text()[-800:]}")
            yield server
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settings(admin_address: str) -> dict[str, object]:
    return {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_S}s", "evaluation_interval": "10s"},
        "rule_files": [str(path) for path in RULES],
        "scrape_configs": [{"job_name": "crossmargin", "static_configs": [{"targets": [admin_address]}]}],
    }


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
