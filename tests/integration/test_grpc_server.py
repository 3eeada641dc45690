"""The server around the calls: time, counting, health, reflection, faults and limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import grpc
import pytest
import pytest_asyncio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from crossmargin.adapters.grpc_server import interceptors
from crossmargin.adapters.grpc_server.server import SERVICES, build_server
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.use_cases import UseCases
from tests.integration.grpc_rig import (
    ALPHA,
    PATIENCE_S,
    RecordedRpcs,
    Rig,
    create_books,
    local_access,
    memory_use_cases,
    refusal_of,
    served,
)

POSITIONS = books_pb.ListPositionsRequest(account=ALPHA)
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture
async def use_cases() -> AsyncIterator[UseCases]:
    async with memory_use_cases() as built:
        yield built


@pytest_asyncio.fixture
async def rig(use_cases) -> AsyncIterator[Rig]:
    async with served(use_cases) as running:
        await create_books(running)
        yield running


@dataclass
class Patient:
    """A use case that never answers by itself, and knows how it ended."""

    is_running: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, *_: object, **__: object) -> AccountState:
        self.is_running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise
        raise AssertionError("nobody sets that event")


@dataclass
class Failing:
    """A use case with a fault of ours."""

    error: Exception

    async def __call__(self, *_: object, **__: object) -> AccountState:
        raise self.error


# Counting and time


async def test_a_call_is_counted_from_start_to_end(rig):
    await rig.accounts.ListClients(accounts_pb.ListClientsRequest())
    await refusal_of(rig.accounts.ListClients(accounts_pb.ListClientsRequest(page_size=-1)))
    assert await rig.metrics.codes_of("ListClients") == ["INVALID_ARGUMENT", "OK"]
    assert rig.metrics.kinds["crossmargin.api.v1.AccountService/ListClients"] == "unary"


async def test_a_call_that_is_cancelled_is_counted_as_cancelled_and_stops_working(use_cases):
    patient = Patient()
    async with served(replace(use_cases, read_account=patient)) as rig:
        call = rig.books.ListPositions(POSITIONS, timeout=9.0)
        await patient.is_running.wait()
        call.cancel()
        assert await rig.metrics.codes_of("ListPositions") == ["CANCELLED"]
        assert patient.was_cancelled.is_set()


@pytest.mark.parametrize("seconds", [0.3, 1.23456])
async def test_a_call_whose_time_runs_out_is_counted_as_late_and_stops_working(use_cases, seconds):
    """Whichever clock is first, the caller's or ours."""
    patient = Patient()
    async with served(replace(use_cases, read_account=patient)) as rig:
        calls = [refusal_of(rig.books.ListPositions(POSITIONS, timeout=seconds)) for _ in range(10)]
        assert {refusal.code for refusal in await asyncio.gather(*calls)} == {"DEADLINE_EXCEEDED"}
        assert set(await rig.metrics.codes_of("ListPositions")) == {"DEADLINE_EXCEEDED"}
        assert patient.was_cancelled.is_set()


@pytest.mark.parametrize("seconds", [None, 60.0], ids=["no deadline", "a long deadline"])
async def test_a_unary_call_ends_within_its_limit_whatever_the_caller_says(use_cases, monkeypatch, seconds):
    """The limit is made small here, so that the test need not wait for ten seconds."""
    monkeypatch.setattr(interceptors, "LONGEST_CALL_S", 0.05)
    async with asyncio.timeout(PATIENCE_S), served(replace(use_cases, read_account=Patient())) as rig:
        refusal = await refusal_of(rig.books.ListPositions(POSITIONS, timeout=seconds))
        assert (refusal.code, refusal.reason) == ("DEADLINE_EXCEEDED", "")
        assert refusal.message.startswith("the call took longer than the 0.05 s it may")
        assert await rig.metrics.codes_of("ListPositions") == ["DEADLINE_EXCEEDED"]


def test_the_limit_is_ten_seconds():
    assert interceptors.LONGEST_CALL_S == 10.0


async def test_a_timeout_inside_the_service_is_a_fault_and_not_the_callers_deadline(use_cases):
    async with served(replace(use_cases, read_account=Failing(TimeoutError("pool")))) as rig:
        refusal = await refusal_of(rig.books.ListPositions(POSITIONS, timeout=5.0))
        assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")


# Faults


async def test_a_fault_of_ours_says_nothing_of_our_inside(use_cases):
    fault = RuntimeError(f"duplicate key: DETAIL: Key (account) = ({ALPHA})")
    with structlog.testing.capture_logs() as logged:
        async with served(replace(use_cases, read_account=Failing(fault))) as rig:
            refusal = await refusal_of(rig.books.ListPositions(POSITIONS))
            assert await rig.metrics.codes_of("ListPositions") == ["INTERNAL"]
    incident = refusal.facts["incident"]
    assert (refusal.code, refusal.reason, refusal.message) == ("INTERNAL", "INTERNAL", f"internal error; incident {incident}")
    (line,) = [one for one in logged if one["event"] == "rpc failed"]
    assert (line["incident"], line["method"]) == (incident, "crossmargin.api.v1.BookService/ListPositions")
    assert "DETAIL" not in str(line)


async def test_a_fault_in_one_call_leaves_the_server_serving(use_cases):
    async with served(replace(use_cases, read_account=Failing(RuntimeError()))) as rig:
        await refusal_of(rig.books.ListPositions(POSITIONS))
        assert (await rig.accounts.ListClients(accounts_pb.ListClientsRequest())).clients == []


# Health and reflection


async def health_of(rig: Rig, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(rig.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_health_is_told_for_the_server_and_for_each_service(rig):
    for name in ("", *(service.full_name for service in SERVICES)):
        assert await health_of(rig, name) == SERVING
    unknown = await refusal_of(health_pb2_grpc.HealthStub(rig.channel).Check(health_pb2.HealthCheckRequest(service="other")))
    assert unknown.code == "NOT_FOUND"
    assert "NOT_FOUND" in await rig.metrics.codes_of("Check")


async def test_health_follows_what_the_process_says_of_itself(use_cases):
    server = build_server(use_cases, address="127.0.0.1:0", access=local_access(), metrics=RecordedRpcs())
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async with asyncio.timeout(PATIENCE_S):
            assert (await watch.read()).status == SERVING
            server.set_serving(False)
            assert (await watch.read()).status == NOT_SERVING
            server.set_serving(True)
            assert (await watch.read()).status == SERVING
            stopping = asyncio.create_task(server.stop(PATIENCE_S))
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()
            await stopping


async def test_a_server_that_is_not_ready_starts_as_not_serving(use_cases):
    server = build_server(use_cases, address="127.0.0.1:0", access=local_access(), metrics=RecordedRpcs())
    server.set_serving(False)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
    await server.stop(0)


async def reflected_services(rig: Rig) -> list[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))]
    return sorted(service.name for answer in answers for service in answer.list_services_response.service)


async def test_reflection_lists_every_service(rig):
    assert await reflected_services(rig) == sorted(
        [*(service.full_name for service in SERVICES), "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
    )
    assert await rig.metrics.codes_of("ServerReflectionInfo") == ["OK"]
    assert rig.metrics.kinds["grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] == "bidi_stream"


async def test_reflection_describes_a_service(rig):
    stub = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="crossmargin.api.v1.BookService")
    answer = await stub.ServerReflectionInfo(iter([request])).read()
    assert any(b"RecordTrades" in file for file in answer.file_descriptor_response.file_descriptor_proto)


async def test_reflection_can_be_switched_off(use_cases):
    async with served(use_cases, reflection=False) as rig:
        refusal = await refusal_of(reflected_services(rig))
        assert refusal.code == "UNIMPLEMENTED"


# The port, draining, and headers


async def test_two_servers_never_share_a_port(rig):
    second = build_server(rig.use_cases, address=rig.address, access=local_access(), metrics=RecordedRpcs())
    with pytest.raises(RuntimeError, match="bind"):
        await second.start()
    await second.stop(0)


async def test_a_running_call_is_answered_while_the_server_stops(use_cases):
    may_answer, is_running = asyncio.Event(), asyncio.Event()

    async def slow(*arguments: object, **options: object) -> AccountState:
        is_running.set()
        await may_answer.wait()
        return await use_cases.read_account(*arguments, **options)

    server = build_server(replace(use_cases, read_account=slow), address="127.0.0.1:0", access=local_access(), metrics=RecordedRpcs())
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        rig = Rig(channel, RecordedRpcs(), use_cases, "")
        await create_books(rig)
        call = rig.books.ListPositions(POSITIONS)
        await is_running.wait()
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        refusal = await refusal_of(rig.books.ListPositions(POSITIONS))
        # grpc itself cancels a call that arrives in the very instant the server stops listening.
        assert refusal.code in {"UNAVAILABLE", "CANCELLED"}
        may_answer.set()
        assert (await call).as_of_seq == 0
        await stopping


async def test_headers_beyond_8_kb_are_refused(rig):
    refusal = await refusal_of(rig.accounts.ListClients(accounts_pb.ListClientsRequest(), metadata=(("x-large", "x" * 9000),)))
    assert refusal.code == "RESOURCE_EXHAUSTED"
    assert rig.metrics.starts["ListClients"] == 0


async def test_the_server_waits_for_the_next_call_and_not_for_one_of_each_method(use_cases, monkeypatch):
    """Or every call costs more with every method that there is."""
    waited_for, wait = [0], asyncio.wait

    async def counted(futures, **options):
        waited_for.append(len(futures := list(futures)))
        return await wait(futures, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    async with served(use_cases) as running:
        await create_books(running)
    assert max(waited_for) <= len(("any method by its name", "reflection"))
