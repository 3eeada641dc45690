"""The admin port over a real socket: liveness, readiness, metrics."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from crossmargin.adapters.prometheus.admin_server import AdminServer
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from tests.unit.adapters.prometheus.results import a_result


@dataclass
class Readiness:
    why_not: str | None = None


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def readiness():
    return Readiness()


@pytest.fixture
def server(registry, readiness):
    server = AdminServer("127.0.0.1", 0, registry, why_not_ready=lambda: readiness.why_not)
    server.start()
    yield server
    server.stop()


def get(server, path):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_an_asked_for_port_of_zero_becomes_a_real_one(server):
    assert server.port > 0


def test_a_process_that_is_not_ready_says_why_and_is_alive_all_the_same(server, readiness):
    readiness.why_not = "the database does not answer"
    assert get(server, "/readyz")[:2] == (503, "the database does not answer\n")
    assert get(server, "/livez")[:2] == (200, "ok\n")


def test_a_process_becomes_ready_and_unready_again(server, readiness):
    seen = []
    for readiness.why_not in ("starting", None, "stopping"):
        seen.append(get(server, "/readyz")[0])
        assert get(server, "/livez")[0] == 200
    assert seen == [503, 200, 503]


def test_metrics_parse_as_prometheus_reads_them(server, registry):
    Gauge("crossmargin_build_info", "Release.", ["version"], registry=registry).labels('1.0 "quoted"\nline').set(1)
    metrics = MarginMetrics(registry)
    result = a_result(utilization=None)
    metrics.publish_house({result.stamp.account: result}, bands={}, failed={}, pegs={}, duration_s=0.5)
    status, text, headers = get(server, "/metrics")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["crossmargin_build_info"].samples[0].labels == {"version": '1.0 "quoted"\nline'}
    assert families["crossmargin_utilization_ratio"].samples[0].value == float("inf")


@pytest.mark.parametrize("path", ["/", "/metricsx", "/livez/", "/../livez", "/READYZ", "/favicon.ico"])
def test_an_unknown_path_is_not_found_and_says_which_there_are(server, path):
    assert get(server, path)[:2] == (404, "try /metrics, /livez or /readyz\n")


def test_a_query_does_not_change_the_path(server):
    assert get(server, "/livez?verbose=1")[0] == 200


def test_answers_have_a_length_and_an_utf_8_type(server, readiness):
    readiness.why_not = "schéma"
    _, body, headers = get(server, "/readyz")
    assert int(headers["Content-Length"]) == len(body.encode())
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_client_that_says_nothing_does_not_hold_up_the_others(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/livez")[0] == 200


def test_a_stopped_server_frees_its_port(registry):
    first = AdminServer("127.0.0.1", 0, registry, why_not_ready=lambda: None)
    first.start()
    port = first.port
    first.stop()
    second = AdminServer("127.0.0.1", port, registry, why_not_ready=lambda: None)
    second.start()
    assert get(second, "/livez")[0] == 200
    second.stop()


def test_a_server_that_was_never_started_can_be_stopped(registry):
    """A service that fails between the two must end, not wait for ever."""
    server = AdminServer("127.0.0.1", 0, registry, why_not_ready=lambda: None)
    server.stop()
    with pytest.raises(OSError, match="refused"):
        get(server, "/livez")
