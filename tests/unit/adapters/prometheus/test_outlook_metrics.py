"""Projected utilization is published for the worst clients, and not at all by who does not know."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.outlook_metrics import OutlookMetrics
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, RiskParameterSetId
from crossmargin.domain.margin import Band
from crossmargin.domain.outlook import Outlook, OutlookFigures, Trend
from tests.unit.adapters.prometheus.results import a_result

NAME = "crossmargin_projected_utilization_ratio"


def an_outlook(client, utilization):
    ref = AccountRef(ClientId(client), AccountId("core"))
    result = a_result(ref)
    figures = OutlookFigures(Decimal(100), Decimal(50), None if utilization is None else Decimal(utilization), Band.HEALTHY)
    at = result.stamp.as_of + timedelta(days=1)
    return ref, Outlook(result.stamp, at, figures, figures, Trend(), figures, (), RiskParameterSetId("one"), Decimal(1))


def test_the_worst_clients_have_series_and_the_others_are_counted():
    registry = CollectorRegistry()
    metrics = OutlookMetrics(registry, client_limit=2)
    assert registry.get_sample_value("crossmargin_projected_clients_dropped") is None
    metrics.outlooks_seen(dict([an_outlook("calm", "0.1"), an_outlook("gone", None), an_outlook("short", "0.9")]))
    values = {client: registry.get_sample_value(NAME, {"client": client, "account": "core"}) for client in ("calm", "gone", "short")}
    assert values == {"calm": None, "gone": float("inf"), "short": 0.9}
    assert registry.get_sample_value("crossmargin_projected_clients_dropped") == 1
    metrics.withdraw_outlooks()
    assert registry.get_sample_value(NAME, {"client": "short", "account": "core"}) is None
