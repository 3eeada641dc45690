"""A publisher speaks for the sources that its certificate and its token both name, and for no other."""

from __future__ import annotations

import grpc
import pytest
import pytest_asyncio

from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.api.v1.market_service_pb2_grpc import MarketServiceStub
from tests.access.authority import OMS, Files
from tests.access.calls import answer_to, methods
from tests.access.secure_rig import bearer, channel_of, secure_server
from tests.integration.grpc_rig import EXECUTED, PATIENCE_S, history_block, memory_use_cases, timestamp

METHODS = methods()
QUOTES, SNAPSHOT, HISTORY = "MarketService/PublishQuotes", "MarketService/PublishSnapshot", "MarketService/ImportHistory"


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def audit() -> list:
    return []


@pytest_asyncio.fixture
async def call(files, audit):
    """What the gate says to a call of a workload that publishes for some sources, with a token that says of some, or does not say."""

    async def verdict(name, request, *, may, says=None, roles=("publisher",)) -> str:
        files.allow({OMS: (list(roles), [])}, publishes={OMS: may})
        async with memory_use_cases() as use_cases, secure_server(use_cases, files, audit) as address:
            oms = files.authority.client(OMS)
            token = files.issuer.token(oms, roles=list(roles), clients=[], sources=says)
            async with channel_of(address, files, oms) as channel:
                return (await answer_to(channel, METHODS[name], request, bearer(token))).verdict

    return verdict


def of(source: str) -> pb.PublishQuotesRequest:
    return pb.PublishQuotesRequest(source=source)


@pytest.mark.parametrize(
    ("may", "says", "source", "expected"),
    [
        (["exchange-a"], None, "exchange-a", "in"),
        (["exchange-a"], None, "exchange-b", "denied"),
        ("*", ["exchange-a"], "exchange-a", "in"),
        ("*", ["exchange-a"], "exchange-b", "denied"),
        (["exchange-a"], ["exchange-b"], "exchange-b", "denied"),
        (["exchange-a"], "*", "exchange-b", "denied"),
        ([], None, "exchange-a", "denied"),
        ("*", None, "exchange-b", "in"),
    ],
)
async def test_quotes_are_of_a_source_that_both_name(call, audit, may, says, source, expected):  # noqa: PLR0917 - the columns of the table
    assert await call(QUOTES, of(source), may=may, says=says) == expected
    assert [event.reason for event in audit] == (["source"] if expected == "denied" else [])


async def test_every_batch_of_a_stream_is_looked_at(files, audit):
    files.allow({OMS: (["publisher"], [])}, publishes={OMS: ["exchange-a"]})
    oms = files.authority.client(OMS)
    metadata = bearer(files.issuer.token(oms, roles=["publisher"], clients=[]))
    async with (
        memory_use_cases() as use_cases,
        secure_server(use_cases, files, audit) as address,
        channel_of(address, files, oms) as channel,
    ):
        stream = MarketServiceStub(channel).PublishQuotes(metadata=metadata, timeout=PATIENCE_S)
        await stream.write(of("exchange-a"))
        assert (await stream.read()).acknowledged_sequence == 0
        await stream.write(of("exchange-b"))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(("may", "expected"), [("*", "in"), (["exchange-a"], "denied"), ([], "denied")])
@pytest.mark.parametrize(
    ("name", "request_"),
    [
        (SNAPSHOT, pb.PublishSnapshotRequest(snapshot=pb.MarketSnapshot(as_of_time=timestamp(EXECUTED), levels={"spot:BTC": "50000"}))),
        (HISTORY, history_block(3)),
    ],
    ids=["snapshot", "history"],
)
async def test_what_names_no_source_is_for_who_speaks_for_all(call, name, request_, may, expected):
    assert await call(name, request_, may=may) == expected


async def test_risk_imports_history_without_speaking_for_a_source(call):
    assert await call(HISTORY, history_block(3), may=[], roles=("risk", "publisher")) == "in"
