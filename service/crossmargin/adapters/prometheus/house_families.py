"""The series of the house: who was margined, who was not and why, and what all clients have brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from crossmargin.adapters.prometheus.account_families import UTILIZATION
from crossmargin.adapters.prometheus.gauge_columns import ColumnFamily, client_labels, column_of
from crossmargin.adapters.prometheus.giving_way import giving_way
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import CollateralLine, MarginResult
from crossmargin.domain.market_quality import Verdict

ASSET_LIMIT: Final = 30
OTHER_ASSETS: Final = "other"


def worst_by_client(results: Mapping[AccountRef, MarginResult]) -> dict[str, float]:
    """Return the highest utilization over the accounts of each client."""
    worst: dict[str, float] = {}
    for ref, result in giving_way(results.items()):
        worst[ref.client_id] = max(worst.get(ref.client_id, 0.0), UTILIZATION.read(result) or 0.0)
    return worst


def client_family(worst: Mapping[str, float], shown: frozenset[str]) -> ColumnFamily:
    """Return how close each shown client is to the line."""
    clients = [(client_labels(client), worst[client]) for client in giving_way(sorted(shown))]
    return ColumnFamily(
        "crossmargin_client_utilization_ratio", "Highest utilization over the accounts of a client.", [column_of(clients, float)]
    )


def house_families(
    results: Mapping[AccountRef, MarginResult], failed: Mapping[AccountRef, str], *, dropped: int
) -> Iterator[GaugeMetricFamily]:
    """Yield what is said of all accounts together, those of dropped clients included."""
    yield _doubted_family(results.values())
    yield GaugeMetricFamily("crossmargin_accounts_margined", "Accounts margined in the last house run.", value=len(results))
    yield _failed_family(failed)
    yield GaugeMetricFamily(
        "crossmargin_clients_dropped", "Clients without series of their own because of the cap on labels.", value=dropped
    )
    yield _collateral_family(line for result in results.values() for line in result.equity.lines)
    if results:
        # Without a result there is no snapshot to speak of, and a time of zero would look like the oldest of all.
        snapshot_time = max(result.stamp.as_of.timestamp() for result in results.values())
        yield GaugeMetricFamily(
            "crossmargin_snapshot_timestamp_seconds",
            "When the market snapshot of the last house run was taken (Unix time).",
            value=snapshot_time,
        )


def _failed_family(failed: Mapping[AccountRef, str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_accounts_failed",
        "Accounts that the last house run could not margin, by reason: look at these first.",
        labels=["reason"],
    )
    for reason in sorted(set(failed.values())):
        family.add_metric([reason], sum(1 for other in failed.values() if other == reason))
    return family


def _doubted_family(results: Iterable[MarginResult]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_accounts_doubted",
        "Accounts exposed to market data that cannot be taken at its word, by the worst verdict.",
        labels=["verdict"],
    )
    worst = [_worst_verdict(result) for result in giving_way(results)]
    for verdict in (Verdict.SUSPECT, Verdict.STALE, Verdict.MISSING):
        family.add_metric([verdict.value], worst.count(verdict))
    return family


def _worst_verdict(result: MarginResult) -> Verdict:
    verdicts = [each.quality.verdict for each in result.quality.doubted] if result.quality else []
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.VALID)


def _collateral_family(lines: Iterable[CollateralLine]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "crossmargin_house_collateral_usd",
        (
            "Collateral of all clients by asset: what counts in equity, what haircuts take, what is over a limit or not eligible. "
            "Together the market value. The largest assets have series of their own, the rest is `other`."
        ),
        labels=["asset", "part"],
    )
    for asset, parts in _collateral_by_asset(lines).items():
        for part, amount in zip(("counted", "haircut", "over_limit"), parts, strict=True):
            family.add_metric([asset, part], float(amount))
    return family


def _collateral_by_asset(lines: Iterable[CollateralLine]) -> Mapping[str, tuple[Decimal, ...]]:
    """Return counted, haircut and over limit of each asset, the largest market value first."""
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for line in giving_way(lines):
        if line.policy is not None:
            _add(sums[line.instrument_id], (line.value_in_equity, line.haircut, line.over_limit))
    by_size = sorted(sums.items(), key=lambda item: (-sum(item[1]), item[0]))
    shown = {asset: tuple(parts) for asset, parts in by_size[:ASSET_LIMIT]}
    if len(by_size) > ASSET_LIMIT:
        rest = [Decimal(0)] * 3
        for _, parts in by_size[ASSET_LIMIT:]:
            _add(rest, parts)
        shown[OTHER_ASSETS] = tuple(rest)
    return shown


def _add(sums: list[Decimal], parts: Iterable[Decimal]) -> None:
    for place, amount in enumerate(parts):
        sums[place] += amount
