"""Where the utilization of accounts goes, of the process that leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.adapters.prometheus.gauge_columns import ColumnFamily, column_of, labelled
from crossmargin.adapters.prometheus.giving_way import giving_way
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.domain.outlook import Outlook


class OutlookMetrics(Collector):
    """Publishes the last outlooks. See `OutlookReports`. At most `client_limit` clients have series, the worst projection first."""

    def __init__(self, registry: CollectorRegistry, *, client_limit: int = 1000) -> None:
        self._client_limit = client_limit
        self._lock = Lock()
        self._outlooks: Mapping[AccountRef, Outlook] | None = None
        registry.register(self)

    def outlooks_seen(self, outlooks: Mapping[AccountRef, Outlook]) -> None:
        """Publish outlooks in place of the ones before."""
        with self._lock:
            self._outlooks = dict(outlooks)

    def withdraw_outlooks(self) -> None:
        """Publish nothing: another process leads, or nobody knows."""
        with self._lock:
            self._outlooks = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the last outlooks."""
        with self._lock:
            outlooks = self._outlooks
        if outlooks is None:
            return
        worst: dict[ClientId, float] = {}
        for ref, outlook in giving_way(outlooks.items()):
            worst[ref.client_id] = max(worst.get(ref.client_id, 0.0), _ratio(outlook.projected.utilization))
        shown = frozenset(sorted(worst, key=lambda client: (-worst[client], client))[: self._client_limit])
        yield ColumnFamily(
            "crossmargin_projected_utilization_ratio",
            "Utilization a day ahead: the book as it will be, under the parameters in force then, with the trend of the last day; "
            "+Inf when equity would be gone. Nothing is called on it.",
            [column_of(labelled(outlooks, shown), lambda outlook: _ratio(outlook.projected.utilization))],
        )
        yield GaugeMetricFamily(
            "crossmargin_projected_clients_dropped",
            "Clients whose projected utilization is not exported because of the cap on client labels.",
            value=len(worst) - len(shown),
        )


def _ratio(utilization: Decimal | None) -> float:
    return float("inf") if utilization is None else float(utilization)
