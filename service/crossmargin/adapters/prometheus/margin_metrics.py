"""Margin of every account, as the last house run of this process found it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.adapters.prometheus.account_families import account_families
from crossmargin.adapters.prometheus.band_families import band_families
from crossmargin.adapters.prometheus.gauge_columns import labelled
from crossmargin.adapters.prometheus.house_families import client_family, house_families, worst_by_client
from crossmargin.adapters.prometheus.peg_families import peg_families
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.peg import PegStanding


@dataclass(frozen=True)
class _HouseRun:
    """What a run found. Its series are made when they are first asked for."""

    results: Mapping[AccountRef, MarginResult]
    bands: Mapping[AccountRef, BandState]
    failed: Mapping[AccountRef, str]
    pegs: Mapping[InstrumentId, PegStanding]
    client_limit: int

    @cached_property
    def families(self) -> tuple[GaugeMetricFamily, ...]:
        worst = worst_by_client(self.results)
        shown = frozenset(sorted(worst, key=lambda client: (-worst[client], client))[: self.client_limit])
        return (
            *account_families(labelled(self.results, shown)),
            *band_families(labelled(self.bands, shown)),
            client_family(worst, shown),
            *house_families(self.results, self.failed, dropped=len(worst) - len(shown)),
            *peg_families(self.pegs),
        )


class MarginMetrics(Collector):
    """Publishes house runs; the numbers of one run appear together, and stay until the next.

    A run is only handed over. Its series are made by whoever scrapes, on the thread of the admin port: the event loop that answers calls
    never makes them, and a run that nobody reads costs nothing. At most `client_limit` clients get series of their own, worst utilization
    first, so that a growing house cannot drown Prometheus; what was left out is counted.
    """

    def __init__(self, registry: CollectorRegistry, *, client_limit: int = 1000) -> None:
        self._client_limit = client_limit
        self._lock = Lock()
        self._run: _HouseRun | None = None
        self._leader = Gauge("crossmargin_monitor_leader", "1 in the process whose monitor leads, 0 in the others.", registry=registry)
        self._duration = Gauge("crossmargin_house_run_duration_seconds", "How long the last house run took.", registry=registry)
        self._finished = Gauge(
            "crossmargin_house_run_timestamp_seconds",
            "When the last house run ended (Unix time); 0 in a process that does not lead, or has not finished one since.",
            registry=registry,
        )
        self._failures = Counter(
            "crossmargin_house_run_failures", "House runs that could not begin, by reason.", ["reason"], registry=registry
        )
        registry.register(self)

    def publish_house(
        self,
        results: Mapping[AccountRef, MarginResult],
        *,
        bands: Mapping[AccountRef, BandState],
        failed: Mapping[AccountRef, str],
        pegs: Mapping[InstrumentId, PegStanding],
        duration_s: float,
    ) -> None:
        """Replace what is published by the results of a run; failed accounts are counted by reason."""
        # Copies, because whoever scrapes reads them later and on another thread.
        self._run = _HouseRun(dict(results), dict(bands), dict(failed), dict(pegs), self._client_limit)
        self._duration.set(duration_s)
        self._finished.set_to_current_time()

    def lead_house(self) -> None:
        """Publish that this process leads."""
        self._leader.set(1)

    def house_failed(self, reason: str) -> None:
        """Count a run that could not begin."""
        self._failures.labels(reason).inc()

    def withdraw_house(self) -> None:
        """Publish no accounts: another process leads."""
        self._run = None
        self._leader.set(0)
        self._finished.set(0)  # or a process that leads again would be as late as its last turn is long ago

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the last run's families."""
        run = self._run
        if run is not None:
            # Two scrapes at once make them once. Nobody but scrapes ever waits here.
            with self._lock:
                families = run.families
            yield from families
