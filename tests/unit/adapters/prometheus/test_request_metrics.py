"""What Prometheus reads of open orders, halts and flagged trades."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.request_metrics import RequestMetrics
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import ClientId
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.domain.trade_flag import TradeFlag

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_what_stands_is_published_until_another_process_leads():
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry, halt_alert_s=60)
    halts = [Halt(None, is_halted=True, reason="fire", changed_by="ann", changed_at=NOON), Halt(ClientId("alpha"), is_halted=True)]
    metrics.requests_seen({ReservationStatus.ACTIVE: 3, ReservationStatus.SUSPECT: 1}, halts)
    assert registry.get_sample_value("crossmargin_reservations", {"status": "active"}) == 3
    assert registry.get_sample_value("crossmargin_reservations", {"status": "suspect"}) == 1
    assert registry.get_sample_value("crossmargin_halt_timestamp_seconds", {"scope": "house"}) == NOON.timestamp()
    assert registry.get_sample_value("crossmargin_halt_timestamp_seconds", {"scope": "clients/alpha"}) == 0
    assert registry.get_sample_value("crossmargin_halt_alert_seconds") == 60
    metrics.requests_seen({ReservationStatus.ACTIVE: 0, ReservationStatus.SUSPECT: 0}, [])
    assert registry.get_sample_value("crossmargin_halt_timestamp_seconds", {"scope": "house"}) is None
    metrics.withdraw_requests()
    assert registry.get_sample_value("crossmargin_reservations", {"status": "active"}) is None


def test_flags_are_counted_from_zero():
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry, halt_alert_s=60)
    metrics.trades_flagged([TradeFlag.LIMIT_BREACHED, TradeFlag.AFTER_EXPIRY, TradeFlag.LIMIT_BREACHED])
    assert registry.get_sample_value("crossmargin_trades_flagged_total", {"flag": "limit breached"}) == 2
    assert registry.get_sample_value("crossmargin_trades_flagged_total", {"flag": "after release"}) == 0
