"""Stress over the books: the house and one account, in order, in part, and cut short."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.market import FactorId
from crossmargin.domain.stress import (
    AdHocScenario,
    BreakLine,
    ReverseStress,
    ScenarioOutcome,
    StressKind,
    StressPlan,
    StressProgress,
    StressShock,
)
from crossmargin.engine.stress_library import ALL_AGAINST_NAME, NO_DIVERSIFICATION_NAME
from crossmargin.usecases.run_stress import BLOCK_ACCOUNTS, StressRequest
from tests.unit.usecases.house import CORE, USD, perpetual_trade

FALL = AdHocScenario("fall", (StressShock(Decimal("-0.4"), factor=FactorId.parse("spot:BTC")),), both_directions=True)
ONE = StressRequest(account=CORE, ad_hoc=(FALL,))


@pytest.fixture
async def books(house):
    """Two accounts that go opposite ways, one of them with hardly anything behind it."""
    await house.deposit("100000")
    await house.trade("2")
    other = await house.open_account("core", client="beta")
    await house.deposit("60000", USD, account=other)
    await house.use_cases.record_trades(other, [perpetual_trade("-2", account=other)], caller=house.caller())
    return house


async def read(run):
    results = [result async for result in run]
    plan, *rest = results
    assert isinstance(plan, StressPlan)
    return plan, [one for one in rest if isinstance(one, StressProgress)], [one for one in rest if not isinstance(one, StressProgress)]


async def test_an_account_is_stressed_and_what_it_loses_is_what_it_holds_times_the_move(books):
    plan, _, (fall, rise) = await read(books.use_cases.run_stress(ONE))
    assert plan.scenarios == ("fall", "fall reversed") == (fall.name, rise.name)
    assert plan.accounts == 1
    assert fall.pnl == Decimal("-48000.00")  # two coins at 60,000, down by 40%
    assert rise.pnl == Decimal(f"{120_000 * (1 / 0.6 - 1):.2f}")
    assert [(one.instrument_id, one.pnl) for one in fall.positions] == [("BTC-PERP", fall.pnl)]
    assert [(one.group_id, one.pnl) for one in fall.groups] == [("BTC", fall.pnl)]
    (account,) = fall.accounts
    assert account.before.equity - account.after.equity == 48_000
    assert account.account == CORE


async def test_the_house_adds_up_over_its_accounts(books):
    _, progress, (fall, rise) = await read(books.use_cases.run_stress(replace(ONE, account=None)))
    assert fall.account_count == rise.account_count == 2
    assert fall.pnl == 0  # long and short the same
    assert str(rise.accounts[0].account) == "clients/beta/accounts/core"
    assert rise.broker_loss == -rise.accounts[0].after.equity == Decimal(f"{120_000 * (1 / 0.6 - 1) - 60_000:.2f}")
    assert fall.broker_loss == 0
    done = [one.done for one in progress]
    assert done == sorted(done)
    assert (done[-1], progress[-1].total) == (6, 6)  # two accounts at rest and in two scenarios


async def test_without_any_scenario_the_whole_library_and_correlation_are_run(books):
    plan, _, outcomes = await read(books.use_cases.run_stress(StressRequest(account=CORE, accounts_shown=1, positions_shown=0)))
    assert plan.scenarios[-2:] == (NO_DIVERSIFICATION_NAME, ALL_AGAINST_NAME)
    assert "All crypto falls as one by 40%" in plan.scenarios
    assert [one.name for one in outcomes] == list(plan.scenarios)
    assert all(one.positions == () and len(one.accounts) == 1 for one in outcomes)
    _, library = await books.use_cases.run_stress.library()
    assert [one.name for one in library] == list(plan.scenarios[:-2])
    against = outcomes[-1]
    assert against.kind is StressKind.ALL_AGAINST
    assert against.pnl < 0


async def test_the_numbers_name_everything_they_depend_on_and_are_the_same_again(books):
    plan, _, outcomes = await read(books.use_cases.run_stress(replace(ONE, account=None, correlation=True)))
    view = await books.current_market()
    assert (plan.snapshot_id, plan.parameters_hash) == (view.snapshot.snapshot_id, view.parameters.content_hash)
    assert plan.scenario_set_hash == view.market.scenarios.content_hash
    again = await read(books.use_cases.run_stress(replace(ONE, account=None, correlation=True)))
    assert again[2] == outcomes


async def test_an_account_without_a_value_is_named_and_holds_up_nobody(books):
    third = await books.open_account("core", client="gamma")
    await books.deposit("1", USD, account=third)
    await books.publish(at=books.clock.now(), bitcoin="60000")
    state = await books.ports.books.account_state(third)
    lost = DomainError(Reason.MISSING_RISK_FACTOR, "no price of it")

    class WithoutOne:
        def __getattr__(self, name):
            return getattr(books.ports.books, name)

        async def account_states(self, accounts):
            if third in accounts:
                raise lost
            return await books.ports.books.account_states(accounts)

        async def account_state(self, account, **options):
            if account == third:
                raise lost
            return await books.ports.books.account_state(account, **options)

    assert state.account.ref == third
    run = replace(books.use_cases.run_stress, books=WithoutOne())
    _, _, outcomes = await read(run(replace(ONE, account=None)))
    for outcome in outcomes:
        assert outcome.account_count == 2
        assert [(one.account, one.reason) for one in outcome.failures] == [(third, Reason.MISSING_RISK_FACTOR)]


async def test_whoever_stops_reading_stops_the_work(books):
    for number in range(2 * BLOCK_ACCOUNTS):
        await books.open_account(f"a{number}")
    run = books.use_cases.run_stress(StressRequest())
    async for result in run:
        if isinstance(result, ScenarioOutcome):
            break
    await run.aclose()
    stopped = books.compute.run_count
    await books.compute.run(int)  # waits for whatever was still under way
    assert books.compute.run_count == stopped + 1
    blocks = -(-42 // BLOCK_ACCOUNTS)
    assert stopped < 12 + 2 * blocks  # the market, the accounts at rest, one scenario, and what was handed out of the next


async def test_what_breaks_each_account(books):
    plan, progress, results = await read(books.use_cases.run_stress.reverse(None, BreakLine.RUIN))
    assert plan.scenarios == ()
    assert progress[-1] == StressProgress(2, 2)
    assert all(isinstance(one, ReverseStress) for one in results)
    long, short = results
    assert long.outcome is None  # a fall by five sixths is more than 30 standard deviations away
    assert float(short.outcome.pnl) == pytest.approx(-60_000, abs=1)
    (alone,) = (await read(books.use_cases.run_stress.reverse(CORE, BreakLine.RUIN)))[2]
    assert alone == long


async def test_what_cannot_be_asked_is_refused_before_anything_runs(books):
    stranger = AccountRef(ClientId("nobody"), AccountId("core"))
    for request, reason in (
        (StressRequest(account=stranger), Reason.UNKNOWN_ACCOUNT),
        (StressRequest(scenarios=("Doomsday",)), Reason.UNKNOWN_STRESS_SCENARIO),
        (StressRequest(accounts_shown=-1), Reason.INVALID_ARGUMENT),
        (StressRequest(positions_shown=1001), Reason.INVALID_ARGUMENT),
    ):
        with pytest.raises(DomainError) as refused:
            await anext(books.use_cases.run_stress(request))
        assert refused.value.reason is reason


async def test_a_house_without_accounts_has_outcomes_of_nothing(house):
    _, _, outcomes = await read(house.use_cases.run_stress(replace(ONE, account=None)))
    assert [(one.account_count, one.pnl) for one in outcomes] == [(1, 0), (1, 0)]  # the one account there is holds nothing
