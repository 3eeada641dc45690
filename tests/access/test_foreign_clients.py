"""A client that is not the caller's is as if it were not there: in words, in what is asked of the storage, in lists and in streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import reconciliation_service_pb2 as reconciliation_pb
from crossmargin.api.v1.reconciliation_service_pb2_grpc import ReconciliationServiceStub
from crossmargin.domain.audit_event import AuditKind
from tests.access.calls import answer_to, methods
from tests.access.expectations import EXPECTED
from tests.access.plausible import request_of
from tests.access.test_matrix import as_role
from tests.integration.grpc_rig import ALPHA, BETA, EXECUTED, Rig, a_deposit, create_books, memory_use_cases, served, timestamp

NAMING = {name: expected for name, expected in EXPECTED.items() if expected.fields and not expected.is_of_house}
METHODS = methods()


@dataclass
class Watched:
    """Passes every call on to a port, and remembers which there were."""

    port: Any
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.port, name)


@pytest_asyncio.fixture(scope="module")
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


def role_for(name: str) -> str:
    return min(EXPECTED[name].roles)


@pytest.mark.parametrize("name", NAMING)
async def test_a_foreign_client_is_answered_like_an_unknown_one(rig, name):
    answers = {}
    for client in ("beta", "nobody"):
        request = request_of(METHODS[name], NAMING[name].fields, client)
        answers[client] = (await answer_to(rig.channel, METHODS[name], request, as_role(role_for(name)))).refusal
    foreign, unknown = answers["beta"], answers["nobody"]
    assert foreign.code == "NOT_FOUND"
    assert (foreign.code, foreign.reason) == (unknown.code, unknown.reason)
    assert foreign.message == unknown.message.replace("nobody", "beta")
    assert foreign.facts == {key: value.replace("nobody", "beta") for key, value in unknown.facts.items()}


@pytest.mark.parametrize("name", ["AccountService/GetClient", "MarginService/GetMargin", "BookService/RecordTrades"])
async def test_it_is_answered_in_the_words_for_one_that_does_not_exist(rig, name):
    """What a caller of the whole house is told of a client that is not there, a caller of one client is told of all others."""
    expected = NAMING[name]
    everything = await answer_to(
        rig.channel, METHODS[name], request_of(METHODS[name], expected.fields, "nobody"), as_role(role_for(name), clients=None)
    )
    own = await answer_to(rig.channel, METHODS[name], request_of(METHODS[name], expected.fields, "nobody"), as_role(role_for(name)))
    assert everything.refusal == own.refusal


class Untouched:
    """Use cases that remember which of them a call came to."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.touched.append(name)
        raise AssertionError(name)


async def test_no_call_comes_past_the_gate_with_a_client_that_is_not_the_callers():
    """Nothing is asked of anything behind it, on any RPC: so the time that an answer takes cannot tell what is there."""
    untouched = Untouched()
    async with served(untouched) as rig:
        untouched.touched.clear()
        for name, expected in NAMING.items():
            for client in ("beta", "nobody"):
                request = request_of(METHODS[name], expected.fields, client)
                assert (await answer_to(rig.channel, METHODS[name], request, as_role(role_for(name)))).verdict == "unknown"
        assert untouched.touched == []
        own = request_of(METHODS["AccountService/GetClient"], ("client_id",), "alpha")
        await answer_to(rig.channel, METHODS["AccountService/GetClient"], own, as_role("trader"))
        assert untouched.touched == ["books"]


async def test_nobody_looks_whether_it_exists():
    """So the time that the answer takes cannot tell: the storage is not asked, for a foreign client as little as for an unknown one."""
    async with memory_use_cases() as use_cases:
        async with served(use_cases) as plain:
            await create_books(plain)
        books = Watched(use_cases.books)
        watched = type(use_cases)(**{name: getattr(use_cases, name) for name in use_cases.__slots__} | {"books": books})
        async with served(watched) as rig:
            for client in ("beta", "nobody"):
                with pytest.raises(Exception, match="there is no client"):
                    await rig.accounts.GetClient(accounts_pb.GetClientRequest(client_id=client), metadata=as_role("trader"))
            assert books.calls == []
            await rig.accounts.GetClient(accounts_pb.GetClientRequest(client_id="alpha"), metadata=as_role("trader"))
            assert books.calls == ["get_client"]


async def test_lists_hold_what_is_the_callers_and_no_more(rig):
    as_trader = as_role("trader")
    clients = await rig.accounts.ListClients(accounts_pb.ListClientsRequest(), metadata=as_trader)
    assert [client.client_id for client in clients.clients] == ["alpha"]
    accounts = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(), metadata=as_trader)
    assert [account.name for account in accounts.accounts] == [ALPHA]
    nothing = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(), metadata=as_role("trader", clients=""))
    assert list(nothing.accounts) == []
    whole = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(), metadata=as_role("risk", clients=None))
    assert [account.name for account in whole.accounts] == [ALPHA, BETA]


async def test_a_page_token_of_somebody_else_leads_nowhere_new(rig):
    first = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(page_size=1))
    rest = accounts_pb.ListAccountsRequest(page_size=1, page_token=first.next_page_token)
    assert [account.name for account in (await rig.accounts.ListAccounts(rest)).accounts] == [BETA]
    assert list((await rig.accounts.ListAccounts(rest, metadata=as_role("trader"))).accounts) == []


async def test_breaks_of_others_are_not_listed(rig):
    reconciliation = ReconciliationServiceStub(rig.channel)
    for account in (ALPHA, BETA):
        await rig.collateral.Deposit(a_deposit(request_id=account, account=account))
    statement = reconciliation_pb.ReconcileStatementRequest(
        request_id="s", source="bank", as_of_time=timestamp(EXECUTED), accounts=[ALPHA, BETA], instrument_ids=["USD"]
    )
    await reconciliation.ReconcileStatement(statement)
    asked = reconciliation_pb.ListBreaksRequest()
    assert [found.account for found in (await reconciliation.ListBreaks(asked)).breaks] == [ALPHA, BETA]
    own = await reconciliation.ListBreaks(asked, metadata=as_role("operations"))
    assert [found.account for found in own.breaks] == [ALPHA]


async def test_denials_and_what_an_auditor_looks_at_are_kept(rig):
    rig.audit.clear()
    get = request_of(METHODS["MarginService/GetMargin"], ("account",), "beta")
    for role in ("trader", "publisher", "auditor", "risk"):
        clients = "alpha" if role == "trader" else None
        await answer_to(rig.channel, METHODS["MarginService/GetMargin"], get, as_role(role, clients=clients))
    foreign, denied, looked = rig.audit
    assert {event.method for event in rig.audit} == {"MarginService/GetMargin"}
    assert (foreign.kind, foreign.principal, foreign.clients) == (AuditKind.DENIED, "trader", ("beta",))
    assert (denied.kind, denied.principal, denied.clients) == (AuditKind.DENIED, "publisher", ())
    assert (looked.kind, looked.principal, looked.clients) == (AuditKind.PRIVILEGED_CALL, "auditor", ("beta",))
    assert foreign.reason
    assert denied.reason
    assert not looked.reason
