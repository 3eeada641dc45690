"""Margin of every account, as the last house run of this process found it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_quality import Verdict

_BANDS: Final = tuple(Band)


def _ratio(utilization: Decimal | None) -> float:
    return float("inf") if utilization is None else float(utilization)


@dataclass(frozen=True, slots=True)
class _AccountGauge:
    name: str
    help_text: str
    read: Callable[[MarginResult], float]


ACCOUNT_GAUGES: Final = (
    _AccountGauge(
        "crossmargin_utilization_ratio",
        "Maintenance margin over equity: watch from 0.6, at risk 0.7, margin call 0.8, liquidation 1; +Inf when equity is gone.",
        lambda result: _ratio(result.utilization),
    ),
    _AccountGauge(
        "crossmargin_utilization_low_ratio",
        "Utilization at the most favourable end of doubted market data, by which margin is called; the utilization itself without doubt.",
        lambda result: _ratio(result.utilization_range[0]),
    ),
    _AccountGauge(
        "crossmargin_utilization_high_ratio",
        "Utilization at the least favourable end of doubted market data; the utilization itself without doubt.",
        lambda result: _ratio(result.utilization_range[1]),
    ),
    _AccountGauge(
        "crossmargin_band_provisional",
        "1 when the account is in margin call or worse on suspect market data: look before calling.",
        lambda result: float(result.quality is not None and result.quality.is_provisional),
    ),
    _AccountGauge("crossmargin_equity_usd", "Equity after haircuts.", lambda result: float(result.equity.equity)),
    _AccountGauge(
        "crossmargin_initial_margin_usd",
        "Initial margin: below it margin is called.",
        lambda result: float(result.requirement.initial_margin),
    ),
    _AccountGauge(
        "crossmargin_maintenance_margin_usd",
        "Maintenance margin: below it the account is liquidated.",
        lambda result: float(result.requirement.maintenance_margin),
    ),
    _AccountGauge(
        "crossmargin_excess_usd", "Equity less initial margin; negative is a deficit.", lambda result: float(result.excess_to_initial)
    ),
    _AccountGauge(
        "crossmargin_collateral_haircut_usd",
        "Haircuts taken off collateral.",
        lambda result: float(sum(line.haircut for line in result.equity.lines)),
    ),
    _AccountGauge(
        "crossmargin_netting_benefit_ratio",
        "Share of the gross standalone margins that netting frees; 0 without risk.",
        lambda result: float(result.requirement.netting_benefit_fraction),
    ),
    _AccountGauge(
        "crossmargin_gap_loss_usd",
        "Equity of an isolated account below zero, which the broker bears and nobody is charged for; 0 for a cross account.",
        lambda result: 0.0 if result.gap is None else float(result.gap.realized),
    ),
    _AccountGauge(
        "crossmargin_expected_gap_loss_usd",
        "Mean loss beyond the equity of an isolated account over the scenarios: the put that the broker writes; 0 for a cross account.",
        lambda result: 0.0 if result.gap is None else float(result.gap.expected),
    ),
    _AccountGauge(
        "crossmargin_band", "0 healthy, 1 watch, 2 at risk, 3 margin call, 4 liquidation.", lambda result: float(_BANDS.index(result.band))
    ),
)


class MarginMetrics(Collector):
    """Publishes house runs; the numbers of one run appear together, and stay until the next.

    At most `client_limit` clients get series of their own, worst utilization first, so that a growing house cannot drown Prometheus;
    what was left out is counted.
    """

    def __init__(self, registry: CollectorRegistry, *, client_limit: int = 1000) -> None:
        self._client_limit = client_limit
        self._lock = Lock()
        self._families: tuple[GaugeMetricFamily, ...] = ()
        self._leader = Gauge("crossmargin_monitor_leader", "1 in the process whose monitor leads, 0 in the others.", registry=registry)
        self._duration = Gauge("crossmargin_house_run_duration_seconds", "How long the last house run took.", registry=registry)
        self._finished = Gauge("crossmargin_house_run_timestamp_seconds", "When the last house run ended (Unix time).", registry=registry)
        self._failures = Counter(
            "crossmargin_house_run_failures", "House runs that could not begin, by reason.", ["reason"], registry=registry
        )
        registry.register(self)

    def publish_house(self, results: Mapping[AccountRef, MarginResult], *, failed: Mapping[AccountRef, str], duration_s: float) -> None:
        """Replace what is published by the results of a run; failed accounts are counted by reason."""
        shown = self._most_utilized_clients(results)
        families = (*_account_families({ref: result for ref, result in results.items() if ref.client_id in shown}),)
        families += (
            _client_family(results, shown),
            *_house_families(results, failed, dropped=len({ref.client_id for ref in results} - shown)),
        )
        with self._lock:
            self._families = families
        self._leader.set(1)
        self._duration.set(duration_s)
        self._finished.set_to_current_time()

    def house_failed(self, reason: str) -> None:
        """Count a run that could not begin."""
        self._failures.labels(reason).inc()

    def withdraw_house(self) -> None:
        """Publish no accounts: another process leads."""
        with self._lock:
            self._families = ()
        self._leader.set(0)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the last run's families."""
        with self._lock:
            families = self._families
        yield from families

    def _most_utilized_clients(self, results: Mapping[AccountRef, MarginResult]) -> frozenset[str]:
        worst = _worst_by_client(results)
        return frozenset(sorted(worst, key=lambda client: (-worst[client], client))[: self._client_limit])


def _account_families(results: Mapping[AccountRef, MarginResult]) -> Iterator[GaugeMetricFamily]:
    for gauge in ACCOUNT_GAUGES:
        family = GaugeMetricFamily(gauge.name, gauge.help_text, labels=["client", "account"])
        for ref, result in sorted(results.items()):
            family.add_metric([ref.client_id, ref.account_id], gauge.read(result))
        yield family


def _client_family(results: Mapping[AccountRef, MarginResult], shown: frozenset[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_client_utilization_ratio", "Highest utilization over the accounts of a client.", labels=["client"]
    )
    for client, utilization in sorted(_worst_by_client(results).items()):
        if client in shown:
            family.add_metric([client], utilization)
    return family


def _house_families(
    results: Mapping[AccountRef, MarginResult], failed: Mapping[AccountRef, str], *, dropped: int
) -> Iterator[GaugeMetricFamily]:
    accounts = GaugeMetricFamily("crossmargin_accounts_margined", "Accounts margined in the last house run.", value=len(results))
    failures = GaugeMetricFamily(
        "crossmargin_accounts_failed",
        "Accounts that the last house run could not margin, by reason: look at these first.",
        labels=["reason"],
    )
    for reason in sorted(set(failed.values())):
        failures.add_metric([reason], sum(1 for other in failed.values() if other == reason))
    doubted = GaugeMetricFamily(
        "crossmargin_accounts_doubted",
        "Accounts exposed to market data that cannot be taken at its word, by the worst verdict.",
        labels=["verdict"],
    )
    worst = [_worst_verdict(result) for result in results.values()]
    for verdict in (Verdict.SUSPECT, Verdict.STALE, Verdict.MISSING):
        doubted.add_metric([verdict.value], worst.count(verdict))
    yield doubted
    hidden = GaugeMetricFamily(
        "crossmargin_clients_dropped", "Clients without series of their own because of the cap on labels.", value=dropped
    )
    yield from (accounts, failures, hidden)
    if results:
        # Without a result there is no snapshot to speak of, and a time of zero would look like the oldest of all.
        snapshot_time = max(result.stamp.as_of.timestamp() for result in results.values())
        yield GaugeMetricFamily(
            "crossmargin_snapshot_timestamp_seconds",
            "When the market snapshot of the last house run was taken (Unix time).",
            value=snapshot_time,
        )


def _worst_verdict(result: MarginResult) -> Verdict:
    verdicts = [each.quality.verdict for each in result.quality.doubted] if result.quality else []
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.VALID)


def _worst_by_client(results: Mapping[AccountRef, MarginResult]) -> dict[str, float]:
    read = ACCOUNT_GAUGES[0].read
    worst: dict[str, float] = {}
    for ref, result in results.items():
        worst[ref.client_id] = max(worst.get(ref.client_id, 0.0), read(result))
    return worst
