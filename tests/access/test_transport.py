"""Who gets a connection, and who gets an answer on it: real sockets, real certificates."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import grpc
import pytest
import pytest_asyncio

from crossmargin.adapters.grpc_server import watched_file
from crossmargin.adapters.grpc_server.interceptors import REAUTHORISE_S
from crossmargin.adapters.grpc_server.tokens import CLOCK_SKEW_S
from crossmargin.adapters.grpc_server.watched_file import LOOK_EVERY_S
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1.account_service_pb2_grpc import AccountServiceStub
from crossmargin.api.v1.book_service_pb2_grpc import BookServiceStub
from tests.access.authority import ALL, HOUR, OMS, SERVER, Authority, Files, private_pem
from tests.access.secure_rig import bearer, channel_of, secure_server
from tests.integration.grpc_rig import ALPHA, PATIENCE_S, create_books, memory_use_cases, refusal_of, served

GET = accounts_pb.GetClientRequest(client_id="alpha")
OTHER = "spiffe://test/other"
LOOK_SOON_S = 0.05
"""A second in service: a test need not wait that long to see that files are looked at again."""


@pytest.fixture(autouse=True)
def files_are_looked_at_soon(monkeypatch):
    monkeypatch.setattr(watched_file, "LOOK_EVERY_S", LOOK_SOON_S)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def audit() -> list:
    return []


@pytest_asyncio.fixture
async def use_cases():
    async with memory_use_cases() as built:
        async with served(built) as plain:
            await create_books(plain)
        yield built


@pytest_asyncio.fixture
async def address(use_cases, files, audit):
    files.allow({OMS: (ALL, "*")})
    async with secure_server(use_cases, files, audit, reauthorise_s=0.1) as address:
        yield address


async def answer(address, files, identity, token: str) -> str:
    """The client's name, or the code and whether the gate spoke."""
    async with channel_of(address, files, identity) as channel:
        try:
            found = await AccountServiceStub(channel).GetClient(GET, metadata=bearer(token), timeout=PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return found.client.client_id


async def test_a_known_certificate_with_its_token_is_let_in(address, files):
    oms = files.authority.client(OMS)
    assert await answer(address, files, oms, files.issuer.token(oms)) == "alpha"


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda files: Authority("another").client(OMS), id="another authority"),
        pytest.param(lambda files: files.authority.client(OMS, not_after=timedelta(seconds=-1)), id="over"),
        pytest.param(lambda files: files.authority.client(OMS, not_before=HOUR, not_after=2 * HOUR), id="not yet valid"),
        pytest.param(lambda files: files.authority.client(OMS, uses=(SERVER,)), id="for servers"),
    ],
)
async def test_a_certificate_that_does_not_hold_gets_no_connection(address, files, audit, signed):
    identity = signed(files)
    assert await answer(address, files, identity, files.issuer.token(identity)) == "UNAVAILABLE"
    assert audit == []


@pytest.mark.parametrize(
    ("signed", "cause"),
    [
        pytest.param(lambda files: files.authority.client(OTHER), "unknown_workload", id="unknown workload"),
        pytest.param(lambda files: files.authority.client(OMS, OTHER), "certificate_names", id="two names"),
        pytest.param(lambda files: files.authority.client("https://test/oms"), "certificate_names", id="no SPIFFE id"),
        pytest.param(lambda files: files.authority.client(), "certificate_names", id="no name"),
        pytest.param(lambda files: files.authority.client(OMS, uses=()), "certificate_use", id="for anything"),
    ],
)
async def test_a_certificate_that_names_nobody_known_gets_no_answer(address, files, audit, signed, cause):
    identity = signed(files)
    assert await answer(address, files, identity, files.issuer.token(identity)) == "UNAUTHENTICATED"
    assert [event.reason for event in audit] == [cause]


async def test_without_a_certificate_or_without_tls_there_is_no_connection(address, files, audit):
    for channel in (
        grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(files.authority.pem)),
        grpc.aio.insecure_channel(address),
    ):
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await AccountServiceStub(channel).GetClient(GET, timeout=PATIENCE_S)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert audit == []


async def test_the_metadata_that_counts_on_this_machine_counts_for_nothing_here(address, files):
    oms = files.authority.client(OMS)
    async with channel_of(address, files, oms) as channel:
        own = (("x-crossmargin-principal", "mallory"), ("x-crossmargin-roles", "risk"))
        refusal = await refusal_of(AccountServiceStub(channel).GetClient(GET, metadata=own, timeout=PATIENCE_S))
        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert "token" in refusal.message
        assert refusal.facts == {}


async def test_every_denial_says_the_same_to_the_caller(address, files, audit):
    oms = files.authority.client(OMS)
    tokens = (files.issuer.token(oms, exp=1), files.issuer.token(oms, aud="other"), files.issuer.token(files.authority.client(OMS)), "x")
    async with channel_of(address, files, oms) as channel:
        stub = AccountServiceStub(channel)
        refusals = [await refusal_of(stub.GetClient(GET, metadata=bearer(token), timeout=PATIENCE_S)) for token in tokens]
    assert len({(refusal.message, *sorted(refusal.facts)) for refusal in refusals}) == 1
    assert len({event.reason for event in audit}) == 4


async def test_token_and_workload_each_give_at_most_what_the_other_does(address, files):
    files.allow({OMS: (["trader", "risk"], ["alpha"])})
    await asyncio.sleep(2 * LOOK_SOON_S)
    oms = files.authority.client(OMS)
    async with channel_of(address, files, oms) as channel:
        stub = AccountServiceStub(channel)

        async def code(request, **claims) -> str:
            try:
                await stub.GetClient(request, metadata=bearer(files.issuer.token(oms, **claims)), timeout=PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        beta = accounts_pb.GetClientRequest(client_id="beta")
        assert await code(GET, clients="*") == "OK"
        assert await code(beta, clients="*") == "NOT_FOUND"
        assert await code(GET, clients=["beta"]) == "NOT_FOUND"
        assert await code(GET, roles=["operations"]) == "PERMISSION_DENIED"
        assert await code(GET, roles=["operations", "risk"]) == "OK"


def test_whoever_loses_his_access_loses_his_streams_within_thirty_seconds():
    """At worst: the files are looked at a second late, clocks differ as much as they may, and the stream was asked the moment before."""
    assert LOOK_EVERY_S + CLOCK_SKEW_S + REAUTHORISE_S <= 30


async def first_of(stream):
    return await anext(aiter(stream))


@pytest.mark.parametrize("change", ["allow-list", "principal", "token", "roles", "key"])
async def test_a_stream_ends_when_its_caller_would_not_be_let_in_any_more(address, files, audit, change):
    """Within the interval, ten seconds in service and a tenth of one here, and the time until a file is looked at."""
    oms = files.authority.client(OMS)
    files.write("token-keys.json", files.issuer.jwks)
    async with channel_of(address, files, oms) as channel:
        stub = BookServiceStub(channel)
        stream = stub.WatchPositions(books_pb.WatchPositionsRequest(account=ALPHA), metadata=bearer(files.issuer.token(oms, jti="t1")))
        await first_of(stream)
        if change == "allow-list":
            files.allow({OTHER: (ALL, "*")})
        elif change == "principal":
            files.allow({OMS: (ALL, "*")}, principals=["alice"])
        elif change == "token":
            files.allow({OMS: (ALL, "*")}, tokens=["t1"])
        elif change == "roles":
            files.allow({OMS: (["risk"], "*")})
        else:
            files.write("token-keys.json", type(files.issuer)(key_id="k2").jwks)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await first_of(stream)
    files.write("token-keys.json", files.issuer.jwks)
    assert ended.value.code() is (grpc.StatusCode.PERMISSION_DENIED if change == "roles" else grpc.StatusCode.UNAUTHENTICATED)
    assert audit


async def test_a_stream_ends_with_its_token(address, files, audit):
    oms = files.authority.client(OMS)
    now = int(time.time())
    # Over already, by less than clocks may differ: it lasts a moment more.
    token = files.issuer.token(oms, iat=now - 600, nbf=now - 600, exp=now - 3)
    async with channel_of(address, files, oms) as channel:
        stream = BookServiceStub(channel).WatchPositions(books_pb.WatchPositionsRequest(account=ALPHA), metadata=bearer(token))
        await first_of(stream)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await first_of(stream)
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert [event.reason for event in audit] == ["token_time"]


async def test_a_new_certificate_of_the_server_is_taken_up_without_a_restart(address, files):
    oms = files.authority.client(OMS)
    newcomer = Authority("new authority")
    server = newcomer.server()
    before = {name: (files.folder / name).read_bytes() for name in ("server.pem", "server-key.pem")}
    try:
        files.write("server.pem", server.pem)  # half-way through: the key is still the old one, so both old ones stay
        assert await answer(address, files, oms, files.issuer.token(oms)) == "alpha"
        files.write("server-key.pem", private_pem(server.key))
        async with grpc.aio.secure_channel(address, oms.channel_credentials(newcomer.pem)) as channel:
            found = await AccountServiceStub(channel).GetClient(GET, metadata=bearer(files.issuer.token(oms)), timeout=PATIENCE_S)
            assert found.client.client_id == "alpha"
    finally:
        for name, content in before.items():
            files.write(name, content)


async def call_for_ever(stub: AccountServiceStub, token: str) -> None:
    while True:
        await stub.GetClient(GET, metadata=bearer(token), timeout=1.0)
        await asyncio.sleep(0.05)


async def test_connections_are_made_anew_after_their_time(use_cases, files, audit):
    """So that a certificate whose authority is not trusted any more cannot live on an open one."""
    files.allow({OMS: (ALL, "*")})
    oms = files.authority.client(OMS)
    async with secure_server(use_cases, files, audit, longest_connection_s=1.0) as address, channel_of(address, files, oms) as channel:
        stub = AccountServiceStub(channel)
        await stub.GetClient(GET, metadata=bearer(files.issuer.token(oms)), timeout=PATIENCE_S)
        newcomer = Authority("new authority")
        files.write("ca.pem", newcomer.pem)
        try:
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call_for_ever(stub, files.issuer.token(oms))
            assert refused.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        finally:
            files.write("ca.pem", files.authority.pem)
