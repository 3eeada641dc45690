"""A cascade over a real channel, by both clients."""

from __future__ import annotations

import asyncio

import pytest

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, InvalidRequest, ad_hoc_scenario, stress_shock
from tests.integration.grpc_rig import ALPHA, a_batch, a_trade, create_books, memory_use_cases, publish_market, served

REQUEST = pb.SimulateCascadeRequest(
    ad_hoc=ad_hoc_scenario("rise", [stress_shock("0.1", factor="spot:BTC")]), depth=pb.MARKET_DEPTH_KIND_LINEAR, seed=3
)


async def test_both_clients_get_the_plan_the_rounds_and_the_end():
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await publish_market(rig)
        await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        async with AsyncClient(rig.address) as client:
            messages = [message async for message in client.simulate_cascade(REQUEST)]
            with pytest.raises(InvalidRequest, match="expected exactly one of its fields"):
                await anext(client.simulate_cascade(pb.SimulateCascadeRequest()))
        with Client(rig.address) as blocking:
            assert await asyncio.to_thread(lambda: list(blocking.simulate_cascade(REQUEST))) == messages
    kinds = [message.WhichOneof("message") for message in messages]
    assert (kinds[0], kinds[1], kinds[-1]) == ("plan", "round", "summary")
    first, summary = messages[1].round, messages[-1].summary
    assert (first.number, first.fallen_count) == (0, 0)
    assert summary.fallen_count == 1  # nothing is behind the account
    assert float(summary.first_broker_loss) > 0
    assert [one.account for one in messages[2].round.fallen] == [ALPHA]
