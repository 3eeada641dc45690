"""A plan and its approval over a real channel, by both clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.liquidation import app
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound, PreconditionFailed
from tests.integration.grpc_rig import (
    ALPHA,
    EXECUTED,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    served,
    timestamp,
)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        yield running


async def test_both_clients_plan_and_two_persons_approve(rig):
    async with AsyncClient(rig.address, principal="alice") as alice, AsyncClient(rig.address, principal="bob") as bob:
        planned = await alice.plan_liquidation(ALPHA)
        assert planned.band == margin_service_pb2.BAND_LIQUIDATION
        assert not planned.refusal_reason
        assert [trade.quantity for piece in planned.plan.pieces for trade in piece.trades] == ["5"]  # nothing is behind it: all goes
        with Client(rig.address) as blocking:
            assert await asyncio.to_thread(lambda: blocking.plan_liquidation(ALPHA, target_utilization="0.75")) == planned
        proposed = await alice.approve_liquidation(planned.plan, request_id="propose-1")
        assert proposed.HasField("pending_request")
        with pytest.raises(PreconditionFailed, match="approve of it on a newer one"):
            await bob.approve_liquidation(planned.plan, confirms=proposed.pending_request.pending_id)
        with Client(rig.address, principal="alice") as blocking:
            again = await asyncio.to_thread(lambda: blocking.approve_liquidation(planned.plan, request_id="propose-1"))
        assert again.pending_request.pending_id == proposed.pending_request.pending_id


async def test_a_plan_that_goes_further_than_it_must_by_now_is_refused_by_name_and_a_smaller_one_is_made(rig):
    """Money comes in between the proposal and the approval, and the account is still short."""
    await rig.collateral.Deposit(a_deposit("8000"))
    async with AsyncClient(rig.address, principal="alice") as alice, AsyncClient(rig.address, principal="bob") as bob:
        plan = (await alice.plan_liquidation(ALPHA)).plan
        proposed = await alice.approve_liquidation(plan)
        await rig.collateral.Deposit(a_deposit("4000", request_id="deposit-2"))
        as_of = timestamp(EXECUTED + timedelta(minutes=1))
        snapshot = market_pb.MarketSnapshot(as_of_time=as_of, levels={"spot:BTC": "50000", "zero:USD:1Y": "0.04"})
        await rig.market.PublishSnapshot(market_pb.PublishSnapshotRequest(snapshot=snapshot))
        with pytest.raises(
            PreconditionFailed, match=r"goes further than it must by now: .* and 0\.75 is to be reached; plan again"
        ) as told:
            await bob.approve_liquidation(plan, confirms=proposed.pending_request.pending_id)
        assert told.value.reason == "PLAN_OUTDATED"
        assert [one async for one in alice.list_liquidations()] == []
        again = await alice.plan_liquidation(ALPHA)
        assert not again.refusal_reason
        assert float(again.plan.pieces[0].trades[0].quantity) < float(plan.pieces[0].trades[0].quantity)


async def test_order_books_count_and_what_makes_no_sense_is_refused(rig):
    book = pb.OrderBook(instrument_id="BTC-USD-PERP", asks=[pb.DepthLevel(price="50100", quantity="2")])
    async with AsyncClient(rig.address) as client:
        planned = await client.plan_liquidation(ALPHA, order_books=[book])
        assert [trade.quantity for piece in planned.plan.pieces for trade in piece.trades] == ["2"]
        assert not planned.plan.reaches_target
        with pytest.raises(NotFound):
            await client.plan_liquidation("clients/alpha/accounts/none")
        with pytest.raises(InvalidRequest, match=r"target_utilization was 1\.5"):
            await client.plan_liquidation(ALPHA, target_utilization="1.5")
        with pytest.raises(InvalidRequest, match="trades"):
            await client.approve_liquidation(pb.LiquidationPlan(account=ALPHA, snapshot_id="0" * 32))


async def test_a_kept_plan_is_made_again_by_both_clients_and_what_was_altered_is_named(rig):
    book = pb.OrderBook(instrument_id="BTC-USD-PERP", asks=[pb.DepthLevel(price="50100", quantity="2")])
    async with AsyncClient(rig.address) as client:
        kept = (await client.plan_liquidation(ALPHA, order_books=[book])).plan
        await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "1", "50000"), account=ALPHA, request_id="2"))
        again = await client.reproduce_liquidation(kept)
        assert again.reproduced
        assert again.plan == kept
        with Client(rig.address) as blocking:
            assert await asyncio.to_thread(lambda: blocking.reproduce_liquidation(kept)) == again
        altered = pb.LiquidationPlan()
        altered.CopyFrom(kept)
        altered.cost = "1"
        named = await client.reproduce_liquidation(altered)
        assert not named.reproduced
        assert (named.difference.field, named.difference.recorded, named.difference.recomputed) == ("cost", "1", kept.cost)
        with pytest.raises(InvalidRequest, match="plan"):
            await client.reproduce_liquidation(pb.LiquidationPlan())


async def test_the_command_line_makes_a_kept_plan_again_and_fails_for_one_that_was_altered(rig, tmp_path):
    kept = tmp_path / "plan.json"

    def told(*arguments):
        return CliRunner().invoke(app, [*arguments, "--target", rig.address])

    planned = await asyncio.to_thread(told, "plan", "alpha/core", "--out", str(kept))
    assert planned.exit_code == 0, planned.output
    await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "1", "50000"), account=ALPHA, request_id="2"))
    same = await asyncio.to_thread(told, "reproduce", str(kept))
    assert same.exit_code == 0, same.output
    assert "reproduced, every order and figure the same" in same.output
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"cost": "1"}))
    other = await asyncio.to_thread(told, "reproduce", str(kept))
    assert other.exit_code == 1
    assert "NOT reproduced: cost was 1, came out as " in other.output
