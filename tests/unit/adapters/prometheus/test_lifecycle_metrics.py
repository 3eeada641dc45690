"""What Prometheus reads of lifecycle events that nobody has booked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.lifecycle_metrics import LifecycleMetrics

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
COUNT, OLDEST = "crossmargin_lifecycle_events_due", "crossmargin_lifecycle_oldest_due_timestamp_seconds"


def test_the_count_and_the_oldest_are_published_until_nobody_knows():
    registry = CollectorRegistry()
    metrics = LifecycleMetrics(registry)
    assert registry.get_sample_value(COUNT) is None
    metrics.due_events_seen([NOON, NOON - timedelta(hours=1)])
    assert registry.get_sample_value(COUNT) == 2
    assert registry.get_sample_value(OLDEST) == NOON.timestamp() - 3600
    metrics.due_events_seen([])
    assert (registry.get_sample_value(COUNT), registry.get_sample_value(OLDEST)) == (0, 0)
    metrics.withdraw_due_events()
    assert registry.get_sample_value(COUNT) is None
