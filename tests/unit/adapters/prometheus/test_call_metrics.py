"""Open calls are published by client with their age, and everything that happens is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.call_metrics import CallMetrics
from crossmargin.domain.call_agreement import house_agreement
from crossmargin.domain.call_life import CallStanding, CallState, CallTrigger, issue
from crossmargin.domain.identifiers import SnapshotId
from tests.unit.adapters.prometheus.results import an_account

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STANDING = CallStanding(
    1, SnapshotId("0" * 32), None, Decimal(5000), None, is_called_for=True, is_past_the_line=False, is_provisional=False
)


def a_change(client="alpha", account="core", at=NOON):
    ref = an_account(client, account)
    return issue(ref, STANDING, house_agreement(ref.client_id), CallTrigger.BAND, None, at=at, by="crossmargin")


def test_open_calls_are_published_by_client_and_withdrawn_with_the_lead():
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    later = a_change(account="second", at=NOON.replace(hour=14)).call
    escalated = replace(a_change("beta").call, state=CallState.ESCALATED, met=Decimal(2000))
    closed = replace(a_change("gamma").call, state=CallState.MET, closed_at=NOON)
    metrics.calls_seen([a_change().call, later, escalated, closed])

    def value(name, **labels):
        return registry.get_sample_value(name, labels)

    assert value("crossmargin_margin_calls_open", state="issued") == 2
    assert value("crossmargin_margin_calls_open", state="escalated") == 1
    assert value("crossmargin_margin_call_outstanding_usd", client="alpha") == 10_000
    assert value("crossmargin_margin_call_outstanding_usd", client="beta") == 3000
    assert value("crossmargin_margin_call_outstanding_usd", client="gamma") is None
    assert value("crossmargin_margin_call_issued_timestamp_seconds", client="alpha") == NOON.timestamp()
    assert value("crossmargin_margin_call_due_timestamp_seconds", client="alpha") == a_change().call.due_at.timestamp()
    metrics.withdraw_calls()
    assert value("crossmargin_margin_calls_open", state="issued") is None


def test_what_happens_is_counted_by_kind_from_zero_on():
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    name = "crossmargin_margin_call_changes_total"
    assert registry.get_sample_value(name, {"kind": "waived"}) == 0
    metrics.call_changed(a_change().notice)
    assert registry.get_sample_value(name, {"kind": "issued"}) == 1
