"""A backtest over a real channel: from the client, in messages; cut short by whoever goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound
from tests.integration.grpc_rig import (
    ALPHA,
    DAY_COUNT,
    FIRST_DAY,
    Rig,
    a_batch,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    served,
)

LAST_DAY = FIRST_DAY + timedelta(days=DAY_COUNT - 1)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        yield running


def in_order(messages):
    return [message.WhichOneof("message") for message in messages]


async def test_both_clients_get_the_plan_progress_and_the_books(rig):
    asked = {"books": ["btc-long", "btc-short"], "first_day": LAST_DAY - timedelta(days=20), "confidence": "0.95", "every": 2}
    async with AsyncClient(rig.address) as client:
        messages = [message async for message in client.run_backtest(**asked)]
    with Client(rig.address) as blocking:
        assert await asyncio.to_thread(lambda: list(blocking.run_backtest(**asked))) == messages
    kinds = in_order(messages)
    assert (kinds[0], kinds[-2:]) == ("plan", ["book", "book"])
    assert set(kinds[1:-2]) == {"progress"}
    plan, long, short = messages[0].plan, messages[-2].book, messages[-1].book
    assert (list(plan.books), plan.every, plan.confidence) == (["btc-long", "btc-short"], 2, "0.95")
    assert messages[-3].progress.days_done == plan.day_count
    gained, lost = ([float(amount) for amount in book.series.pnl] for book in (long, short))
    assert gained == pytest.approx([-amount for amount in lost], abs=0.02)
    assert any(gained)


async def test_an_account_is_named_by_its_resource_name(rig):
    async with AsyncClient(rig.address) as client:
        messages = [message async for message in client.run_backtest(account=ALPHA, first_day=LAST_DAY - timedelta(days=20))]
        with pytest.raises(NotFound):
            await anext(client.run_backtest(account="clients/alpha/accounts/none"))
        with pytest.raises(InvalidRequest, match="expected one of btc-long"):
            await anext(client.run_backtest(books=["btc"]))
    assert messages[-1].book.book == ALPHA
    assert messages[-1].book.requirements[0].day_count > 0


async def test_a_caller_who_goes_away_ends_the_test(rig):
    call = rig.risk.RunBacktest(pb.RunBacktestRequest(books=["btc-long"]))
    assert (await call.read()).HasField("plan")
    call.cancel()
    assert await rig.metrics.codes_of("RunBacktest") == ["CANCELLED"]
