"""Advice on margin modes over a real channel, by both clients and at the command line's table."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from crossmargin.api.v1.account_service_pb2 import ACCOUNT_MODE_ISOLATED
from crossmargin_cli.margin_mode_views import mode_table
from crossmargin_client import AsyncClient, Client, NotFound
from tests.integration.grpc_rig import ALPHA, a_batch, a_trade, create_books, memory_use_cases, publish_market, served


async def test_both_clients_are_advised_and_the_table_says_so():
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await publish_market(rig)
        await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        async with AsyncClient(rig.address) as client:
            advice = await client.advise_margin_mode(ALPHA)
            with pytest.raises(NotFound):
                await client.advise_margin_mode("clients/alpha/accounts/none")
        with Client(rig.address) as blocking:
            assert await asyncio.to_thread(lambda: blocking.advise_margin_mode(ALPHA)) == advice
    (one,) = advice.positions
    assert (one.instrument_id, one.advice) == ("BTC-USD-PERP", ACCOUNT_MODE_ISOLATED)
    assert one.margin_without == "0"
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(mode_table(advice))
    line = next(line for line in console.file.getvalue().splitlines() if "BTC-USD-PERP" in line)
    assert line.split()[1] == "isolate"
