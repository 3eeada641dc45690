"""Traces: one from the client through the service to the database, with the status that our promise gives a call."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.trace import SpanKind, StatusCode

from crossmargin import app
from crossmargin.adapters.grpc_server.server import build_server
from crossmargin.adapters.tracing.tracing import Tracing
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.config import Settings
from crossmargin.usecases.storage_errors import no_risk_parameters
from crossmargin_client import AsyncClient, Client, NotFound, Unavailable, values
from crossmargin_client.tracing import async_tracing_interceptors, tracing_interceptors
from tests.integration.command_line import environment, processes_naming, wait_until
from tests.integration.grpc_rig import PATIENCE_S, RecordedRpcs, local_access, memory_use_cases
from tests.integration.test_serve import SERVE
from tests.unit.adapters.tracing.recorded import Recorded

ACCOUNT = "clients/alpha/accounts/core"
LIST_CLIENTS = "crossmargin.api.v1.AccountService/ListClients"


@pytest.fixture
def service():
    return Recorded()


@pytest.fixture
def caller():
    return Recorded()


@pytest.fixture
async def served_at(service):
    """Serve use cases, traced, and return where; what a test replaced in them is traced too."""
    servers = []

    async def serve(use_cases):
        tracing = Tracing(service.provider)
        metrics = tracing.rpc_metrics(RecordedRpcs())
        server = build_server(
            use_cases, address="127.0.0.1:0", access=local_access(), metrics=metrics, outer_interceptors=(tracing.interceptor,)
        )
        servers.append(server)
        return f"127.0.0.1:{await server.start()}"

    yield serve
    for server in servers:
        await server.stop(0)


async def test_a_call_is_one_trace_from_the_client_to_the_service(served_at, service, caller):
    async with memory_use_cases() as use_cases:
        target = await served_at(use_cases)
        async with AsyncClient(target, interceptors=async_tracing_interceptors(caller.provider)) as client:
            assert [one async for one in client.list_clients()] == []
        (ours,), (theirs,) = await service.until(1, LIST_CLIENTS), caller.spans(LIST_CLIENTS)
        assert (ours.kind, theirs.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
        assert ours.context.trace_id == theirs.context.trace_id
        assert ours.parent.span_id == theirs.context.span_id
        assert ours.attributes["rpc.method"] == "ListClients"
        assert (ours.attributes["rpc.grpc.status_code"], ours.status.status_code) == (0, StatusCode.UNSET)


async def test_a_caller_without_a_trace_begins_one_at_the_service(served_at, service):
    async with memory_use_cases() as use_cases, AsyncClient(await served_at(use_cases)) as client:
        assert [one async for one in client.list_clients()] == []
        (span,) = await service.until(1, LIST_CLIENTS)
        assert span.parent is None


async def test_a_refusal_is_an_answer_and_no_error(served_at, service, caller):
    async with memory_use_cases() as use_cases:
        target = await served_at(use_cases)
        async with AsyncClient(target, interceptors=async_tracing_interceptors(caller.provider)) as client:
            with pytest.raises(NotFound):
                await client.get_margin(ACCOUNT)
    for (span,) in (await service.until(1, "GetMargin"), caller.spans("GetMargin")):
        assert (span.attributes["rpc.grpc.status_code"], span.status.status_code) == (grpc.StatusCode.NOT_FOUND.value[0], StatusCode.UNSET)
        assert span.events == (), "the text of a refusal may quote the request"
    assert service.spans("GetMargin")[0].attributes["crossmargin.reason"] == "UNKNOWN_ACCOUNT"


def unlisted(failure):
    """Use cases cannot be listed for this reason."""

    class Books:
        async def list_clients(self, *_, **__):
            return await failure()

    return Books()


async def fail_with_a_secret():
    raise KeyError("a secret of the client")


async def test_a_fault_of_ours_is_an_error_without_its_text(served_at, service):
    async with memory_use_cases() as use_cases:
        target = await served_at(replace(use_cases, books=unlisted(fail_with_a_secret)))
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await list_clients(channel)
    (span,) = await service.until(1, LIST_CLIENTS)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "INTERNAL")
    assert "secret" not in span.to_json()


async def test_a_call_that_ran_out_of_time_is_an_error_and_one_that_was_given_up_is_none(served_at, service):
    has_begun = asyncio.Event()

    async def wait_for_ever():
        has_begun.set()
        await asyncio.Event().wait()

    async with memory_use_cases() as use_cases:
        target = await served_at(replace(use_cases, books=unlisted(wait_for_ever)))
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await list_clients(channel, timeout=0.3)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await service.until(1, LIST_CLIENTS)
            has_begun.clear()
            given_up = list_clients(channel, timeout=PATIENCE_S)
            await has_begun.wait()
            given_up.cancel()
            late_span, given_up_span = await service.until(2, LIST_CLIENTS)
    assert (late_span.status.status_code, late_span.status.description) == (StatusCode.ERROR, "DEADLINE_EXCEEDED")
    assert given_up_span.status.status_code is StatusCode.UNSET
    assert given_up_span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]


def both_ended(service, caller, method):
    """The spans of a method, of the caller and of the service, by the order in which they ended."""
    wait_until(lambda: len(service.spans(method)) == len(caller.spans(method)) >= 1)
    return zip(caller.spans(method), service.spans(method), strict=True)


def streams_of(client):
    """Use a stream of each kind, as a client does."""
    client.import_history([date(2026, 3, 1), date(2026, 3, 2)], {"spot:BTC": ["60000", "61000"]})
    client.publish_quotes("exchange-a", [])
    with pytest.raises(NotFound):
        next(iter(client.watch_margin(ACCOUNT)))


async def async_streams_of(client):
    await client.import_history([date(2026, 3, 1), date(2026, 3, 2)], {"spot:BTC": ["60000", "61000"]})
    await client.publish_quotes("exchange-a", [])
    with pytest.raises(NotFound):
        await anext(aiter(client.watch_margin(ACCOUNT)))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_stream_of_every_kind_is_a_span_of_the_caller_above_that_of_the_service(served_at, service, caller, kind):
    async with memory_use_cases() as use_cases:
        target = await served_at(use_cases)
        if kind == "sync":
            with Client(target, interceptors=tracing_interceptors(caller.provider)) as client:
                await asyncio.to_thread(streams_of, client)
        else:
            async with AsyncClient(target, interceptors=async_tracing_interceptors(caller.provider)) as client:
                await async_streams_of(client)
        for method, code in (("ImportHistory", "OK"), ("PublishQuotes", "OK"), ("WatchMargin", "NOT_FOUND")):
            for theirs, ours in await asyncio.to_thread(both_ended, service, caller, method):
                assert (theirs.kind, ours.parent.span_id) == (SpanKind.CLIENT, theirs.context.span_id), method
                for span in (theirs, ours):
                    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode[code].value[0], method
                    assert span.status.status_code is StatusCode.UNSET, "an answer, a refusal too"
                    assert span.events == ()


def give_up_and_break(client, alone):
    positions = client.watch_positions(ACCOUNT)
    next(positions)
    positions.close()
    with pytest.raises(Unavailable):
        alone.import_history([date(2026, 3, 1)], {"spot:BTC": ["60000"]})


async def async_give_up_and_break(client, alone):
    positions = client.watch_positions(ACCOUNT)
    await anext(positions)
    await positions.aclose()
    with pytest.raises(Unavailable):
        await alone.import_history([date(2026, 3, 1)], {"spot:BTC": ["60000"]})


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_stream_that_broke_is_an_error_and_one_that_its_reader_gave_up_is_none(served_at, service, caller, kind):
    async with memory_use_cases() as use_cases:
        target, nobody = await served_at(use_cases), "127.0.0.1:1"
        async with AsyncClient(target) as client:
            await client.create_client("alpha", "Alpha")
            await client.create_account(ACCOUNT, "Core")
        if kind == "sync":
            given = tracing_interceptors(caller.provider)
            with Client(target, interceptors=given) as client, Client(nobody, timeout_s=0.2, interceptors=given) as alone:
                await asyncio.to_thread(give_up_and_break, client, alone)
        else:
            given = async_tracing_interceptors(caller.provider)
            async with AsyncClient(target, interceptors=given) as client, AsyncClient(nobody, timeout_s=0.2, interceptors=given) as alone:
                await async_give_up_and_break(client, alone)
        await asyncio.to_thread(wait_until, lambda: caller.spans("WatchPositions") and caller.spans("ImportHistory"))
    (given_up,), broken = caller.spans("WatchPositions"), caller.spans("ImportHistory")
    assert (given_up.attributes["rpc.grpc.status_code"], given_up.status.status_code) == (
        grpc.StatusCode.CANCELLED.value[0],
        StatusCode.UNSET,
    )
    assert {(span.status.status_code, span.status.description) for span in broken} == {(StatusCode.ERROR, "UNAVAILABLE")}


async def test_a_caller_that_stops_waiting_is_stopped_and_its_span_ends(served_at, caller):
    has_begun = asyncio.Event()

    async def wait_for_ever():
        has_begun.set()
        await asyncio.Event().wait()

    async with memory_use_cases() as use_cases:
        target = await served_at(replace(use_cases, books=unlisted(wait_for_ever)))
        async with AsyncClient(target, interceptors=async_tracing_interceptors(caller.provider)) as client:
            asking = asyncio.create_task(anext(aiter(client.list_clients())))
            await has_begun.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            (span,) = await caller.until(1, LIST_CLIENTS)
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]


async def test_lines_logged_inside_a_call_carry_its_trace_and_others_none(served_at, service):
    lines = []

    def keep(logger, level, event):
        lines.append(dict(Tracing(service.provider).log_fields[0](logger, level, dict(event))))
        raise structlog.DropEvent

    async def log_something():
        structlog.wrap_logger(None, processors=[keep]).info("inside")
        raise no_risk_parameters()

    structlog.wrap_logger(None, processors=[keep]).info("outside")
    async with memory_use_cases() as use_cases:
        target = await served_at(replace(use_cases, books=unlisted(log_something)))
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await list_clients(channel)
    (span,) = await service.until(1, LIST_CLIENTS)
    outside, inside = lines[0], lines[1]
    assert "trace_id" not in outside
    assert inside["trace_id"] == f"{span.context.trace_id:032x}"
    assert inside["span_id"] == f"{span.context.span_id:016x}"


def list_clients(channel, timeout=PATIENCE_S):
    return channel.unary_unary(
        f"/{LIST_CLIENTS}",
        request_serializer=accounts_pb.ListClientsRequest.SerializeToString,
        response_deserializer=accounts_pb.ListClientsResponse.FromString,
    )(accounts_pb.ListClientsRequest(), timeout=timeout)


# A process, a database, and a collector


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that are sent to it by OTLP."""

    def __init__(self):
        self.spans = []

    def Export(self, request, context):  # noqa: N802 - the name of the rpc
        for resource in request.resource_spans:
            names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector():
    server, kept = grpc.server(ThreadPoolExecutor(1)), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield kept
    server.stop(0)


def serve_and_deposit(data_dir, collector, caller, *flags):
    """Serve, book one deposit through a traced client, stop in good order, and return what was logged."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}", "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    ready = data_dir / "ready.json"
    with (data_dir / "log").open("w") as log:
        process = subprocess.Popen(
            [*SERVE, "--data-dir", str(data_dir / "kept"), "--ready-file", str(ready), "--no-monitor", *flags],
            stderr=log,
            env={**environment(), **variables},
        )
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None)
        target = json.loads(ready.read_text())["grpc_address"]
        with Client(target, interceptors=tracing_interceptors(caller.provider)) as client:
            client.create_client("alpha", "Alpha")
            client.create_account(ACCOUNT, "Core")
            client.create_instrument(values.cash("USD"))
            client.deposit(ACCOUNT, "USD", 1_000, received_at=datetime(2026, 3, 1, tzinfo=UTC), request_id="one")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert not processes_naming(data_dir / "kept")
    return (data_dir / "log").read_text()


def test_a_deposit_is_traced_from_the_caller_to_its_turn_at_the_database(tmp_path, collector, caller):
    serve_and_deposit(tmp_path, collector, caller, "--tracing")
    (theirs,) = caller.spans("Deposit")
    trace_id = theirs.context.trace_id.to_bytes(16, "big")
    ours = {span.name: span for name, span in collector.spans if span.trace_id == trace_id and name == "crossmargin"}
    call, write, turn = (ours[name] for name in ("crossmargin.api.v1.CollateralService/Deposit", "decide Deposit", "database turn"))
    assert call.parent_span_id == theirs.context.span_id.to_bytes(8, "big")
    assert write.parent_span_id == call.span_id
    assert turn.parent_span_id in {write.span_id, call.span_id}
    assert call.start_time_unix_nano <= write.start_time_unix_nano <= write.end_time_unix_nano <= call.end_time_unix_nano


def test_nothing_of_it_is_even_imported_unless_it_is_asked_for():
    program = "import sys, crossmargin.app, crossmargin_client; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
    assert Settings().tracing is False


def test_without_the_extra_the_service_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "crossmargin.adapters.tracing.tracing", None)  # as if it could not be imported
    with pytest.raises(app.StartError, match=r"pip install 'crossmargin\[otel\]'"):
        app.serve(Settings(embedded=True, insecure=True, tracing=True))
