"""An approved liquidation over a real channel: reported, looked at, listed and abandoned, by both clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio

from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound, PreconditionFailed
from tests.integration.grpc_rig import (
    ALPHA,
    EXECUTED,
    Rig,
    a_batch,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    served,
    timestamp,
)


@dataclass
class Approved:
    """A rig with a liquidation that two persons have agreed to."""

    rig: Rig
    name: str
    left: str

    def client(self, who="olivia") -> AsyncClient:
        return AsyncClient(self.rig.address, principal=who)


@pytest_asyncio.fixture
async def approved() -> AsyncIterator[Approved]:
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await publish_market(rig)
        await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        async with AsyncClient(rig.address, principal="alice") as alice, AsyncClient(rig.address, principal="bob") as bob:
            planned = await alice.plan_liquidation(ALPHA)
            proposed = await alice.approve_liquidation(planned.plan)
            await publish_newer(rig)
            done = await bob.approve_liquidation(planned.plan, confirms=proposed.pending_request.pending_id)
        assert done.liquidation_id == proposed.pending_request.pending_id
        yield Approved(rig, done.liquidation_id, planned.plan.pieces[0].trades[0].quantity)


async def publish_newer(rig: Rig) -> None:
    """The same market a minute later."""
    as_of = timestamp(EXECUTED + timedelta(minutes=1))
    snapshot = market_pb.MarketSnapshot(as_of_time=as_of, levels={"spot:BTC": "50000", "zero:USD:1Y": "0.04"})
    await rig.market.PublishSnapshot(market_pb.PublishSnapshotRequest(snapshot=snapshot))


async def test_fills_are_reported_and_end_it(approved):
    async with approved.client() as client:
        found = await client.get_liquidation(ALPHA, approved.name)
        assert (found.liquidation.state, found.liquidation.confirmed_by) == (pb.LIQUIDATION_STATE_APPROVED, "bob")
        assert found.liquidation.orders[0].left == approved.left == "5"
        first = await client.report_liquidation(ALPHA, approved.name, [a_trade("BTC-USD-PERP", "2", "99999")])
        assert first.liquidation.state == pb.LIQUIDATION_STATE_EXECUTING
        assert list(first.flags) == [pb.LIQUIDATION_FILL_FLAG_BEYOND_LIMIT]
        with Client(approved.rig.address, principal="olivia") as blocking:
            fills = [a_trade("BTC-USD-PERP", "3", "50000")]
            done = await asyncio.to_thread(lambda: blocking.report_liquidation(ALPHA, approved.name, fills))
            assert done.liquidation.state == pb.LIQUIDATION_STATE_DONE
            again = await asyncio.to_thread(lambda: blocking.get_liquidation(ALPHA, approved.name))
            assert [step.kind for step in again.steps] == ["approved", "filled", "filled", "done"]
            assert again.refusal_reason == "LIQUIDATION_ENDED"
            assert await asyncio.to_thread(lambda: list(blocking.list_liquidations(ALPHA, only_open=True))) == []
        assert [one.liquidation_id async for one in client.list_liquidations()] == [approved.name]
        trades = [one async for one in client.list_trades(ALPHA)]
        assert trades[-1].trade.reference == f"liquidation {approved.name}"


async def test_it_is_abandoned_by_one_person_who_says_why(approved):
    async with approved.client() as client:
        ended = await client.abandon_liquidation(ALPHA, approved.name, "the client has paid")
        assert ended.state == pb.LIQUIDATION_STATE_ABANDONED
        with pytest.raises(PreconditionFailed, match="is abandoned; plan again"):
            await client.abandon_liquidation(ALPHA, approved.name, "once more")
        with Client(approved.rig.address, principal="olivia") as blocking, pytest.raises(PreconditionFailed):
            await asyncio.to_thread(lambda: blocking.abandon_liquidation(ALPHA, approved.name, "once more"))


async def test_what_makes_no_sense_is_refused(approved):
    async with approved.client() as client:
        with pytest.raises(NotFound, match="has no liquidation"):
            await client.get_liquidation(ALPHA, "0" * 16)
        with pytest.raises(InvalidRequest, match="does not plan; book it with RecordTrades"):
            await client.report_liquidation(ALPHA, approved.name, [a_trade("BTC-USD-PERP", "-1", "60000")])
        with pytest.raises(InvalidRequest, match="fills"):
            await client.report_liquidation(ALPHA, approved.name, [])
        with pytest.raises(InvalidRequest):
            await client.abandon_liquidation(ALPHA, approved.name, "")
