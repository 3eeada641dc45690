"""Stress over a real channel: from both clients, in messages; cut short by whoever goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound, ad_hoc_scenario, stress_shock
from tests.integration.grpc_rig import ALPHA, Rig, a_batch, a_trade, create_books, memory_use_cases, publish_market, served


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-5", "50000"), account=ALPHA, request_id="1"))
        yield running


def kinds_of(messages) -> list[str]:
    return [message.WhichOneof("message") for message in messages]


async def test_both_clients_get_the_plan_progress_and_the_outcomes(rig):
    asked = {"account": ALPHA, "ad_hoc": [ad_hoc_scenario("rise", [stress_shock("0.1", factor="spot:BTC")])], "correlation": True}
    async with AsyncClient(rig.address) as client:
        messages = [message async for message in client.run_stress(**asked)]
        library = await client.list_stress_scenarios()
    with Client(rig.address) as blocking:
        assert await asyncio.to_thread(lambda: list(blocking.run_stress(**asked))) == messages
    assert kinds_of(messages)[0] == "plan"
    assert messages[0].plan.scenarios[0] == "rise"
    outcomes = [message.outcome for message in messages if message.HasField("outcome")]
    assert len(outcomes) == len(messages[0].plan.scenarios) == 3
    rise = outcomes[0]
    assert float(rise.pnl) == pytest.approx(-0.1 * 5 * 50_000, rel=0.05)
    assert rise.kind == pb.STRESS_KIND_AD_HOC
    assert rise.accounts[0].account == ALPHA
    assert library.parameter_set_id
    assert {one.name for one in library.scenarios} >= {"Crypto falls by 40%", "Crypto falls by 40% reversed"}
    assert dict(library.scenarios[0].moves)["spot:BTC"] == "-0.4"


async def test_what_breaks_an_account_comes_with_its_moves(rig):
    async with AsyncClient(rig.address) as client:
        messages = [message async for message in client.reverse_stress(pb.BREAK_LINE_RUIN, account=ALPHA)]
    with Client(rig.address) as blocking:
        assert await asyncio.to_thread(lambda: list(blocking.reverse_stress(pb.BREAK_LINE_RUIN, account=ALPHA))) == messages
    assert kinds_of(messages) == ["plan", "result", "progress"]
    result = messages[1].result
    assert result.account == ALPHA
    assert result.plausibility.distance == "0"  # nothing is behind the account: it is broken as it stands
    assert result.outcome.after == result.outcome.before
    assert result.evaluation_count > 0


async def test_what_cannot_be_asked_says_why(rig):
    async with AsyncClient(rig.address) as client:
        with pytest.raises(NotFound, match="'Doomsday' is not in the library"):
            await anext(client.run_stress(scenarios=["Doomsday"]))
        with pytest.raises(InvalidRequest, match="reaches no risk factor"):
            await anext(client.run_stress(ad_hoc=[ad_hoc_scenario("x", [stress_shock("0.1", factor="spot:NOPE")])]))
        with pytest.raises(InvalidRequest, match="line"):
            await anext(client.reverse_stress(pb.BREAK_LINE_UNSPECIFIED))
        with pytest.raises(InvalidRequest, match="factor_kind was 'prices'; expected one of spot"):
            await anext(client.run_stress(ad_hoc=[ad_hoc_scenario("x", [stress_shock("0.1", group="BTC", kind="prices")])]))


async def test_a_caller_who_goes_away_ends_the_run(rig):
    call = rig.risk.RunStress(pb.RunStressRequest())
    assert (await call.read()).HasField("plan")
    call.cancel()
    assert await rig.metrics.codes_of("RunStress") == ["CANCELLED"]
