"""Top-ups over a real channel, by both clients."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
import pytest_asyncio

from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound, inventory_item
from tests.integration.grpc_rig import ALPHA, a_batch, a_deposit, a_trade, create_books, memory_use_cases, publish_market, served

HAVE = [inventory_item("USD", "5000000", cost_rate="0.05"), inventory_item("BTC", 2, cost_rate="0.01", lot_size=1, minimum_transfer=1)]


@pytest_asyncio.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.collateral.Deposit(a_deposit("20000"))
        await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-20", "50000")))
        yield running


async def test_both_clients_are_told_the_cheapest_delivery_and_nothing_moves(rig):
    positions = await rig.positions()
    async with AsyncClient(rig.address) as client:
        found = await client.suggest_top_up(ALPHA, HAVE)
        assert found.goal == pb.TOP_UP_GOAL_INITIAL_MARGIN
        assert found.reaches_target
        assert Decimal(found.before.excess) < 0 <= Decimal(found.after.excess)
        assert [line.instrument_id for line in found.lines] == ["USD", "BTC"]
        assert Decimal(found.lines[1].quantity) in {1, 2}, "coins hedge the short and cost least, in whole lots"
        assert sum(Decimal(line.cost) for line in found.lines) == Decimal(found.cost)
        assert found.summary.startswith("deliver ")
        half = await client.suggest_top_up(ALPHA, HAVE, target_utilization="0.5")
        assert (half.goal, half.target_utilization) == (pb.TOP_UP_GOAL_UTILIZATION, "0.5")
        assert Decimal(half.after.utilization) <= Decimal("0.5")
        with Client(rig.address) as blocking:
            assert await asyncio.to_thread(lambda: blocking.suggest_top_up(ALPHA, HAVE)) == found
    assert await rig.positions() == positions


async def test_what_is_not_enough_is_said_with_what_is_missing(rig):
    async with AsyncClient(rig.address) as client:
        found = await client.suggest_top_up(ALPHA, [inventory_item("USD", 1000)])
        assert not found.reaches_target
        assert Decimal(found.missing) == Decimal(found.missing_before) - 1000
        assert f"{Decimal(found.missing):,.2f} USD of value are missing" in found.summary
        assert found.lines[0].use == pb.TOP_UP_USE_EXHAUSTED


async def test_a_goal_that_makes_no_sense_is_refused(rig):
    async with AsyncClient(rig.address) as client:
        with pytest.raises(NotFound, match="no open margin call"):
            await client.suggest_top_up(ALPHA, HAVE, clears_call=True)
        with pytest.raises(InvalidRequest, match=r"target_utilization was 1\.5"):
            await client.suggest_top_up(ALPHA, HAVE, target_utilization="1.5")
        with pytest.raises(InvalidRequest, match="inventory"):
            await client.suggest_top_up(ALPHA, [])
        with pytest.raises(InvalidRequest, match="USD twice"):
            await client.suggest_top_up(ALPHA, [HAVE[0], HAVE[0]])
        with pytest.raises(ValueError, match="not both"):
            await client.suggest_top_up(ALPHA, HAVE, target_utilization="0.5", clears_call=True)
    request = pb.SuggestTopUpRequest(account=ALPHA, inventory=HAVE, goal=pb.TOP_UP_GOAL_INITIAL_MARGIN, target_utilization="0.5")
    with pytest.raises(Exception, match="expected none for the goal initial margin"):
        await rig.collateral.SuggestTopUp(request)
