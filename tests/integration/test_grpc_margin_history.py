"""What house runs found is listed page by page, and a watcher is told the band with a memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band
from crossmargin.domain.margin_history import margin_point
from crossmargin_client import AsyncClient, InvalidRequest, NotFound
from tests.integration.grpc_rig import ALPHA, a_batch, a_deposit, a_trade, create_books, memory_use_cases, publish_market, served

ACCOUNT = account_ref_from_name(ALPHA, what="account")


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.collateral.Deposit(a_deposit())
        await running.books.RecordTrades(a_batch(a_trade()))
        yield running


async def store_runs(rig, count, *, band=Band.MARGIN_CALL):
    result = await rig.use_cases.evaluate_margin(ACCOUNT)
    before = None
    for _ in range(count):
        state = BandState(band)
        await rig.use_cases.history.record_run([margin_point(result, before, state)], epoch=0)
        before = state
    return result


async def test_runs_are_listed_and_each_can_be_reproduced(rig):
    result = await store_runs(rig, 3)
    async with AsyncClient(rig.address) as client:
        points = [point async for point in client.list_margin_history(ALPHA)]
        assert [(point.remembered_band, point.band_before) for point in points] == [
            (pb.BAND_MARGIN_CALL, pb.BAND_UNSPECIFIED),
            (pb.BAND_MARGIN_CALL, pb.BAND_MARGIN_CALL),
            (pb.BAND_MARGIN_CALL, pb.BAND_MARGIN_CALL),
        ]
        assert Decimal(points[0].equity) == result.equity.equity
        assert Decimal(points[0].excess) == result.excess_to_initial
        assert points[0].band == pb.BAND_HEALTHY
        assert (await client.reproduce_margin(points[-1].stamp)).reproduced
        last = points[-1].record_time.ToDatetime(UTC)
        assert [point.run async for point in client.list_margin_history(ALPHA, start=last)] == [points[-1].run]
        assert [point.run async for point in client.list_margin_history(ALPHA, end=last)] == [points[0].run, points[1].run]


async def test_a_page_goes_on_where_the_one_before_ended(rig):
    await store_runs(rig, 3)
    first = await rig.margin.ListMarginHistory(pb.ListMarginHistoryRequest(account=ALPHA, page_size=2))
    second = await rig.margin.ListMarginHistory(pb.ListMarginHistoryRequest(account=ALPHA, page_size=2, page_token=first.next_page_token))
    assert ([point.run for point in first.points], [point.run for point in second.points]) == ([1, 2], [3])
    assert second.next_page_token == ""


async def test_an_unknown_account_and_an_end_before_the_start_are_refused(rig):
    async with AsyncClient(rig.address) as client:
        with pytest.raises(NotFound):
            await anext(client.list_margin_history("clients/nobody/accounts/core"))
        now = datetime.now(UTC)
        with pytest.raises(InvalidRequest, match="end_time"):
            await anext(client.list_margin_history(ALPHA, start=now, end=now - timedelta(seconds=1)))


async def test_a_watcher_begins_with_what_the_monitor_remembers(rig):
    result = await rig.use_cases.evaluate_margin(ACCOUNT)
    state = BandState(Band.WATCH)
    point = replace(margin_point(result, None, state), stamp=result.stamp)
    await rig.use_cases.history.record_run([point], epoch=0)
    call = rig.margin.WatchMargin(pb.WatchMarginRequest(account=ALPHA))
    told = await call.read()
    call.cancel()
    # Far below every line the memory ends; the plain band and the remembered one agree.
    assert (told.margin.band, told.remembered_band, told.liquidation_immediate) == (pb.BAND_HEALTHY, pb.BAND_HEALTHY, False)
