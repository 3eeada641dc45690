"""Every call is counted when it starts and when it ends, however it ends."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.rpc_metrics import RpcMetrics

CALL = ("crossmargin.api.v1.MarginService", "GetMargin", "unary")
LABELS = {"grpc_service": CALL[0], "grpc_method": CALL[1], "grpc_type": CALL[2]}


@pytest.fixture
def registry():
    return CollectorRegistry()


def test_a_running_call_is_started_and_not_handled(registry):
    RpcMetrics(registry).started(*CALL)
    assert registry.get_sample_value("grpc_server_started_total", LABELS) == 1.0
    assert registry.get_sample_value("grpc_server_handled_total", LABELS | {"grpc_code": "OK"}) is None


def test_ends_are_counted_by_code_and_timed_together(registry):
    metrics = RpcMetrics(registry)
    for code, seconds in (("OK", 0.25), ("OK", 0.5), ("CANCELLED", 1.0)):
        metrics.handled(*CALL, code, seconds)
    assert registry.get_sample_value("grpc_server_handled_total", LABELS | {"grpc_code": "OK"}) == 2.0
    assert registry.get_sample_value("grpc_server_handled_total", LABELS | {"grpc_code": "CANCELLED"}) == 1.0
    assert registry.get_sample_value("grpc_server_handling_seconds_count", LABELS) == 3.0
    assert registry.get_sample_value("grpc_server_handling_seconds_sum", LABELS) == 1.75


def test_refusals_are_counted_by_reason(registry):
    metrics = RpcMetrics(registry)
    metrics.refused(*CALL[:2], "HALTED")
    metrics.refused(*CALL[:2], "HALTED")
    labels = {"grpc_service": CALL[0], "grpc_method": CALL[1], "reason": "HALTED"}
    assert registry.get_sample_value("crossmargin_requests_refused_total", labels) == 2.0
