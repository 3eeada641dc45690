"""The audit trail as those read it who may: newest first, page by page, chosen by who and whom and when; and reading it is told in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
import pytest_asyncio

from crossmargin.adapters.grpc_server.server import build_server
from crossmargin.adapters.memory.audit_trail import MemoryAuditTrail
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import audit_service_pb2 as pb
from crossmargin.api.v1.account_service_pb2_grpc import AccountServiceStub
from crossmargin.api.v1.audit_service_pb2_grpc import AuditServiceStub
from crossmargin.domain.audit_event import AuditEvent
from crossmargin_client import AsyncClient, Client
from tests.access.test_matrix import as_role
from tests.integration.grpc_rig import PATIENCE_S, RecordedRpcs, local_access, memory_use_cases, refusal_of

READ = "AuditService/ListAuditEvents"


@pytest_asyncio.fixture
async def address():
    """A service whose gate writes to the trail that its callers read."""
    events: list[AuditEvent] = []
    trail = MemoryAuditTrail(SimpleNamespace(audit_events=events))
    async with memory_use_cases() as use_cases:
        server = build_server(
            replace(use_cases, audit=trail), address="127.0.0.1:0", access=local_access(events), metrics=RecordedRpcs(), reflection=False
        )
        yield f"127.0.0.1:{await server.start()}"
        await server.stop(0)


@pytest_asyncio.fixture
async def channel(address):
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


async def turned_away(channel, principal: str, client_id: str) -> None:
    metadata = [*as_role("trader"), ("x-crossmargin-principal", principal)]
    metadata = [pair for pair in metadata if pair != ("x-crossmargin-principal", "trader")]
    await refusal_of(AccountServiceStub(channel).GetClient(accounts_pb.GetClientRequest(client_id=client_id), metadata=metadata))


async def listed(channel, *, metadata=None, **chosen) -> list[tuple[str, str, tuple[str, ...]]]:
    request = pb.ListAuditEventsRequest(**chosen)
    answer = await AuditServiceStub(channel).ListAuditEvents(request, metadata=metadata or as_role("auditor", clients=None))
    return [(event.principal, event.method, tuple(event.client_ids)) for event in answer.events]


async def test_whoever_reads_the_trail_is_in_it(channel):
    await turned_away(channel, "mallory", "beta")
    assert await listed(channel) == [("auditor", READ, ()), ("mallory", "AccountService/GetClient", ("beta",))]
    assert await listed(channel, client_id="beta", metadata=as_role("risk", clients=None)) == [
        ("risk", READ, ("beta",)),
        ("mallory", "AccountService/GetClient", ("beta",)),
    ]
    assert await listed(channel, principal="mallory") == [("mallory", "AccountService/GetClient", ("beta",))]
    assert await listed(channel, kind=pb.AUDIT_KIND_DENIED) == [("mallory", "AccountService/GetClient", ("beta",))]


@pytest.mark.parametrize("client_id", ["alpha", "beta", ""])
async def test_a_caller_of_some_clients_is_refused_whatever_he_asks_for(channel, client_id):
    """An event may name several clients, and none but the house may know of them together."""
    request = pb.ListAuditEventsRequest(client_id=client_id)
    refused = await refusal_of(AuditServiceStub(channel).ListAuditEvents(request, metadata=as_role("auditor", clients="alpha")))
    assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_pages_go_back_in_time_and_a_token_is_good_for_its_own_list(channel):
    for name in ("a", "b", "c"):
        await turned_away(channel, name, "beta")
    stub, metadata, found, token = AuditServiceStub(channel), as_role("auditor", clients=None), [], ""
    while True:
        request = pb.ListAuditEventsRequest(kind=pb.AUDIT_KIND_DENIED, page_size=2, page_token=token)
        page = await stub.ListAuditEvents(request, metadata=metadata)
        found += [event.principal for event in page.events]
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert found == ["c", "b", "a"]
    other = pb.ListAuditEventsRequest(page_size=2, page_token=token)
    assert (await refusal_of(stub.ListAuditEvents(other, metadata=metadata))).reason == "INVALID_PAGE_TOKEN"


async def test_no_moment_is_in_a_time_that_ends_before_it_begins(channel):
    request = pb.ListAuditEventsRequest()
    request.start_time.FromDatetime(datetime(2026, 3, 2, tzinfo=UTC))
    request.end_time.FromDatetime(datetime(2026, 3, 2, tzinfo=UTC))
    refused = await refusal_of(AuditServiceStub(channel).ListAuditEvents(request, metadata=as_role("auditor", clients=None)))
    assert (refused.code, refused.facts["field"]) == ("INVALID_ARGUMENT", "end_time")


async def test_both_clients_tell_it_from_a_time_on(address, channel):
    await turned_away(channel, "mallory", "beta")
    soon = datetime.now(UTC) + timedelta(hours=1)
    async with AsyncClient(address, timeout_s=PATIENCE_S) as client:
        assert [event.principal async for event in client.list_audit_events(principal="mallory", end=soon)] == ["mallory"]
        assert [event async for event in client.list_audit_events(start=soon)] == []

    def by_the_other() -> list[pb.AuditEvent]:
        with Client(address, timeout_s=PATIENCE_S) as client:
            return list(client.list_audit_events(client_id="beta", kind=pb.AUDIT_KIND_DENIED))

    (event,) = await asyncio.to_thread(by_the_other)
    assert (event.principal, event.cause, list(event.roles)) == ("mallory", "foreign_client", ["trader"])
