"""A cascade over the books: the shock, the rounds and the end, the same for the same seed, and cut short by whoever goes away."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.domain.cascade import CascadeRound, CascadeSummary, CascadeTerms, DepthKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorId
from crossmargin.domain.stress import AdHocScenario, StressPlan, StressShock
from crossmargin.usecases.run_stress import StressRequest
from crossmargin.usecases.simulate_cascade import CascadeRequest
from tests.unit.usecases.house import CORE, USD, perpetual_trade

FALL = AdHocScenario("fall", (StressShock(Decimal("-0.2"), factor=FactorId.parse("spot:BTC")),))
REQUEST = CascadeRequest(ad_hoc=FALL, terms=CascadeTerms(depth_multiple=Decimal("0.0001")))


@pytest.fixture
async def books(house):
    """Two accounts long of the same coin, the second with a little more behind it."""
    other = await house.open_account("core", client="beta")
    for account, cash in ((CORE, "230000"), (other, "262000")):
        await house.deposit(cash, USD, account=account)
        await house.use_cases.record_trades(account, [perpetual_trade("10", account=account)], caller=house.caller())
    return house


async def read(run):
    return [result async for result in run]


async def test_the_shock_comes_first_then_the_rounds_then_what_it_came_to(books):
    plan, *rounds, summary = await read(books.use_cases.simulate_cascade(REQUEST))
    assert isinstance(plan, StressPlan)
    assert isinstance(summary, CascadeSummary)
    assert all(isinstance(one, CascadeRound) for one in rounds)
    assert [one.number for one in rounds] == list(range(len(rounds)))
    assert (plan.scenarios, plan.accounts) == (("fall",), 2)
    assert abs(rounds[0].revaluation + 240_000) < Decimal("1e-6")
    assert summary.fallen >= 1
    assert await read(books.use_cases.simulate_cascade(REQUEST)) == [plan, *rounds, summary]


async def test_a_market_without_end_is_the_plain_stress(books):
    crash = AdHocScenario("crash", (StressShock(Decimal("-0.6"), factor=FactorId.parse("spot:BTC")),))
    infinite = CascadeRequest(ad_hoc=crash, terms=CascadeTerms(depth=DepthKind.INFINITE))
    *_, summary = await read(books.use_cases.simulate_cascade(infinite))
    *_, stress = await read(books.use_cases.run_stress(StressRequest(ad_hoc=(crash,))))
    assert summary.broker_loss == summary.first_broker_loss == stress.broker_loss > 0


async def test_whoever_stops_reading_stops_the_work(books):
    run = books.use_cases.simulate_cascade(REQUEST)
    async for result in run:
        if isinstance(result, CascadeRound):
            break
    before = books.compute.run_count
    await run.aclose()
    assert books.compute.run_count == before


async def test_a_shock_has_to_be_one_thing(books):
    for request, reason in (
        (CascadeRequest(), Reason.INVALID_ARGUMENT),
        (CascadeRequest(scenario="x", ad_hoc=FALL), Reason.INVALID_ARGUMENT),
        (CascadeRequest(scenario="Doomsday"), Reason.UNKNOWN_STRESS_SCENARIO),
    ):
        with pytest.raises(DomainError) as refused:
            await anext(books.use_cases.simulate_cascade(request))
        assert refused.value.reason is reason
