"""What guards the ledger is published while this process leads, and withdrawn when it does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.ledger_metrics import ANCHOR_FAILURES, LedgerMetrics
from crossmargin.domain.audit_anchor import AnchoredHead, HeadTree, sign_anchor
from crossmargin.domain.ledger_audit import Finding, FindingKind
from tests.ledger_rig import KEY

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FINDING = Finding(FindingKind.POSITION_DIFFERS, "position differs")


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return LedgerMetrics(registry)


def test_failures_are_there_from_the_start_so_that_their_first_is_an_increase(registry, metrics):
    for reason in ANCHOR_FAILURES:
        assert registry.get_sample_value("crossmargin_ledger_anchor_failures_total", {"reason": reason}) == 0
    assert registry.get_sample_value("crossmargin_ledger_check_failures_total") == 0
    metrics.anchor_failed("refused", ["core is gone"])
    metrics.check_failed("STORAGE_UNAVAILABLE")
    assert registry.get_sample_value("crossmargin_ledger_anchor_failures_total", {"reason": "refused"}) == 1
    assert registry.get_sample_value("crossmargin_ledger_check_failures_total") == 1


def test_the_last_anchor_is_published(registry, metrics):
    assert registry.get_sample_value("crossmargin_ledger_anchor_number") is None
    metrics.anchor_taken(sign_anchor(None, HeadTree([AnchoredHead("alpha", "core", 7, bytes(32))]), None, taken_at=NOON, signer=KEY))
    assert registry.get_sample_value("crossmargin_ledger_anchor_number") == 1
    assert registry.get_sample_value("crossmargin_ledger_anchor_timestamp_seconds") == NOON.timestamp()
    assert registry.get_sample_value("crossmargin_ledger_anchored_entries") == 7


def test_a_check_is_published_by_its_parts(registry, metrics):
    metrics.ledger_checked({"entries": (), "position": (FINDING, FINDING)}, entry_count=9, duration_s=1.5)
    assert registry.get_sample_value("crossmargin_ledger_check_findings", {"check": "entries"}) == 0
    assert registry.get_sample_value("crossmargin_ledger_check_findings", {"check": "position"}) == 2
    assert registry.get_sample_value("crossmargin_ledger_check_entries") == 9
    assert registry.get_sample_value("crossmargin_ledger_check_duration_seconds") == 1.5
    assert registry.get_sample_value("crossmargin_ledger_check_timestamp_seconds") > NOON.timestamp()


def test_who_does_not_lead_publishes_neither(registry, metrics):
    metrics.ledger_checked({"entries": ()}, entry_count=9, duration_s=1.5)
    metrics.withdraw_ledger()
    assert registry.get_sample_value("crossmargin_ledger_check_findings", {"check": "entries"}) is None
    assert registry.get_sample_value("crossmargin_ledger_check_timestamp_seconds") is None
