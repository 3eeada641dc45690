"""An outlook over a real channel, by both clients, and as people read it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band
from crossmargin.domain.margin_history import margin_point
from crossmargin_cli.outlook_views import outlook_lines, outlook_table
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound
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


async def test_both_clients_read_an_outlook_with_the_trend_of_the_stored_runs(rig):
    result = await rig.use_cases.evaluate_margin(ACCOUNT)
    point = margin_point(result, None, BandState(Band.HEALTHY))
    for equity in (point.equity + 1_000, point.equity):
        await rig.use_cases.history.record_run([replace(point, equity=equity)], epoch=0)
    async with AsyncClient(rig.address) as client:
        found = await client.project_utilization(ALPHA)
        with Client(rig.address) as blocking:
            same = await asyncio.to_thread(lambda: blocking.project_utilization(ALPHA, horizon=timedelta(hours=24)))
        assert same == found
        assert Decimal(found.equity_trend) == -1_000
        assert Decimal(found.projected.equity) == Decimal(found.known.equity) - 1_000 == result.equity.equity - 1_000
        assert (found.known, found.parameter_fraction, found.call_number) == (found.now, "1", 0)
        assert found.horizon_time.ToDatetime() == found.stamp.as_of_time.ToDatetime() + timedelta(days=1)
        with pytest.raises(InvalidRequest, match="expected more than nothing and at most 5 days"):
            await client.project_utilization(ALPHA, horizon=timedelta(days=90_000))
        with pytest.raises(InvalidRequest, match="horizon"):
            await client.project_utilization(ALPHA, horizon=timedelta(seconds=-1))
        with pytest.raises(NotFound):
            await client.project_utilization("clients/alpha/accounts/none")
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(outlook_table(found))
    assert [line.split()[0] for line in console.file.getvalue().splitlines() if "healthy" in line] == ["now", "known", "projected"]
    lines = list(outlook_lines(found))
    assert lines == ["Trend of 0.0 observed hours: equity -1,000, maintenance margin 0."]
    found.ends.add(name="final settlement BTC-MAR").due_time.FromSeconds(0)
    found.parameter_set_id, found.parameter_fraction = "next", "0.5"
    found.call_number, found.call_outstanding = 3, "5000"
    found.call_due_time.FromSeconds(0)
    assert list(outlook_lines(found))[1:] == [
        "By then: final settlement BTC-MAR, 1970-01-01 00:00 UTC.",
        "In force then: next, for 50.0% of the result.",
        "Call 3 is due 1970-01-01 00:00 UTC with 5,000 outstanding; it is counted as not met.",
    ]
