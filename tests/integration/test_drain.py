"""How a serving process ends when it is told to: in an order in which nobody loses a call, and nothing is left behind."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime
from queue import Queue
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from crossmargin.adapters.runtime.embedded_postgres import running_url
from crossmargin.api.v1 import account_service_pb2, account_service_pb2_grpc, market_service_pb2, market_service_pb2_grpc
from crossmargin_client import values
from tests.integration.command_line import processes_naming, wait_until
from tests.integration.test_serve import serving

PATIENCE_S = 60
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def readiness_at(admin_address):
    try:
        with urlopen(f"http://{admin_address}/readyz") as answer:
            return answer.status, answer.read().decode().strip()
    except HTTPError as error:
        return error.code, error.read().decode().strip()


def status_of_a_new_call(address):
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        account_service_pb2_grpc.AccountServiceStub(channel).ListClients(account_service_pb2.ListClientsRequest(), timeout=PATIENCE_S)
    return refused.value.code()


class QuoteStream:
    """A bidirectional stream that stays open until it is told to end."""

    def __init__(self, channel):
        self._requests = Queue()
        self._answers = market_service_pb2_grpc.MarketServiceStub(channel).PublishQuotes(iter(self._requests.get, None))
        self._sequence = 0

    def publish(self):
        """Quote something and return how far the service has got with us."""
        self._sequence += 1
        quote = values.quote("spot:BTC", 60_000, sequence=self._sequence, observed_at=datetime.now(UTC))
        self._requests.put(market_service_pb2.PublishQuotesRequest(source="exchange-a", quotes=[quote]))
        return next(self._answers).acknowledged_sequence

    def end(self):
        self._requests.put(None)
        return list(self._answers), self._answers.code()


def cut_off(log):
    """Return the backends that the server ended while somebody was at their other end: whoever had hung up is not there to be told."""
    ended = re.findall(r"\[(\d+)\] FATAL:  terminating connection due to administrator command", log)
    deserted = re.findall(r"\[(\d+)\] LOG:  could not send data to client: Broken pipe", log)
    return set(ended) - set(deserted)


def test_who_is_still_there_when_the_database_stops_is_cut_off():
    ended = "2026-03-02 10:00:00 UTC [7] FATAL:  terminating connection due to administrator command\n"
    assert cut_off(ended) == {"7"}
    assert cut_off(ended + "2026-03-02 10:00:00 UTC [7] LOG:  could not send data to client: Broken pipe\n") == set()


def test_it_says_that_it_stops_serves_what_runs_then_closes_the_pool_and_then_the_database(data_dir):
    with (
        serving(data_dir, "--drain-s", str(PATIENCE_S)) as (process, addresses),
        grpc.insecure_channel(addresses["grpc_address"]) as channel,
    ):
        wait_until(lambda: readiness_at(addresses["admin_address"]) == (200, "ok"))
        stream = QuoteStream(channel)
        assert stream.publish() == 1
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(health).status == SERVING
        process.send_signal(signal.SIGTERM)
        # First whoever routes calls is told, on both ports, while the process lives and serves what it had begun.
        assert next(health).status == NOT_SERVING
        assert readiness_at(addresses["admin_address"]) == (503, "stopping")
        assert urlopen(f"http://{addresses['admin_address']}/livez").status == 200
        assert status_of_a_new_call(addresses["grpc_address"]) is grpc.StatusCode.UNAVAILABLE
        assert stream.publish() == 2
        assert process.poll() is None
        # Then it ends as soon as the last call has, long before its time is over.
        health.cancel()
        assert stream.end() == ([], grpc.StatusCode.OK)
        assert process.wait(timeout=PATIENCE_S / 2) == 0
    log = (data_dir / "postgres.log").read_text()
    assert "database system is shut down" in log.splitlines()[-1]
    assert cut_off(log) == set(), "the pool was closed before the database it stands on"
    assert not processes_naming(data_dir / "postgres")


def test_a_call_that_does_not_end_is_cut_when_its_time_is_over(data_dir):
    with serving(data_dir, "--drain-s", "0.2") as (process, addresses), grpc.insecure_channel(addresses["grpc_address"]) as channel:
        stream = QuoteStream(channel)
        assert stream.publish() == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        with pytest.raises(grpc.RpcError):
            stream.end()


def test_a_replica_whose_schema_has_moved_on_without_it_is_not_ready_until_it_fits_again(data_dir):
    """A contract migration may come while an old replica still runs: it must get no calls, and say why."""
    with serving(data_dir) as (process, addresses):
        wait_until(lambda: readiness_at(addresses["admin_address"]) == (200, "ok"))
        with (
            psycopg.connect(running_url(data_dir), autocommit=True) as database,
            grpc.insecure_channel(addresses["grpc_address"]) as channel,
        ):
            (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            database.execute("UPDATE schema_compatibility SET minimum_revision = '9999'")
            database.execute("UPDATE alembic_version SET version_num = '9999'")
            wait_until(lambda: readiness_at(addresses["admin_address"])[0] == 503)
            assert "at revision 9999" in readiness_at(addresses["admin_address"])[1]
            assert "run a later release" in readiness_at(addresses["admin_address"])[1]
            check = health_pb2_grpc.HealthStub(channel).Check
            assert check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
            database.execute("UPDATE alembic_version SET version_num = %s", [revision])
            wait_until(lambda: readiness_at(addresses["admin_address"]) == (200, "ok"))
            assert check(health_pb2.HealthCheckRequest()).status == SERVING
        assert process.poll() is None
