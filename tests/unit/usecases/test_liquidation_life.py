"""What becomes of an approved liquidation: fills in the books, and an end that the market, the clock, the plan or a person brings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.breaker import BreakerKind
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.liquidation_life import FillFlag, LiquidationState, LiquidationStepKind
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION
from crossmargin.usecases.approve_liquidation import ApprovalRequest
from crossmargin.usecases.ports.liquidation import LiquidationFilter
from crossmargin.usecases.ports.page import Page
from tests.unit.usecases.house import BTC_PERP, CORE, NOON, USD, perpetual_trade, spot_trade
from tests.unit.usecases.refusals import refused

FALL = "52000"


@pytest.fixture
async def short(house):
    """An account that was fine at 60,000 and is past the line at 52,000."""
    await house.deposit("300000")
    await house.trade("14")
    await house.publish(FALL, at=NOON + timedelta(minutes=1))
    return house


async def approve(house, *, minute):
    """Plan at the market of now, and have two persons approve of it on the same market a minute later."""
    plan = (await house.use_cases.plan_liquidation(CORE, PlanWish())).plan
    asked = ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)
    proposed = await house.use_cases.approve_liquidation(asked, caller=house.caller(principal="alice"))
    await house.publish(FALL, at=NOON + timedelta(minutes=minute))
    caller = replace(house.caller(principal="bob"), confirms=proposed.pending_id)
    return plan, (await house.use_cases.approve_liquidation(asked, caller=caller)).liquidation_id


@pytest.fixture
async def approved(short):
    plan, name = await approve(short, minute=2)
    return short, plan, name


async def report(house, name, *fills, **options):
    return await house.use_cases.report_liquidation(CORE, name, fills, caller=house.caller(principal="olivia", **options))


def a_fill(quantity, price=FALL):
    return perpetual_trade(str(quantity), price=str(price))


async def test_fills_are_booked_and_the_last_one_ends_it_with_what_was_promised(approved):
    house, plan, name = approved
    (trade,) = plan.trades
    half = round(trade.quantity / 2, 2)
    first = await report(house, name, a_fill(half, trade.expected_price))
    assert (first.liquidation.state, first.fills[0].flags) == (LiquidationState.EXECUTING, frozenset())
    assert first.liquidation.orders[0].left == trade.quantity - half
    done = await report(house, name, a_fill(trade.quantity - half, trade.expected_price))
    ended = done.liquidation
    assert ended.state is LiquidationState.DONE
    assert ended.standing.utilization <= Decimal("0.75")
    assert abs(ended.standing.utilization - ended.promised.utilization) < Decimal("0.001")
    assert abs(ended.cost - ended.estimated_cost) < Decimal("0.05")
    held = {one.instrument_id: one.quantity for one in (await house.use_cases.read_account(CORE)).positions}
    assert held[BTC_PERP] == 14 + trade.quantity
    steps = await house.ports.liquidations.list_steps(CORE, name)
    kinds = [LiquidationStepKind.APPROVED, LiquidationStepKind.FILLED, LiquidationStepKind.FILLED, LiquidationStepKind.DONE]
    assert [step.kind for step in steps] == kinds
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert (steps[0].by, steps[1].by, steps[2].fill.sequence) == ("alice and bob", "olivia", done.fills[0].sequence)
    assert "was promised" in steps[-1].text


async def test_a_closed_contract_is_paid_what_it_has_gained(approved):
    """Bought at 60,000 and sold at 52,000: the loss leaves the dollars, and what is left has its share of the cost."""
    house, _, name = approved
    before = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}
    await report(house, name, a_fill(-2))
    after = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}
    assert after[USD].quantity - before[USD].quantity == -2 * 8000
    assert after[BTC_PERP].cost == before[BTC_PERP].cost / 14 * 12


async def test_a_fill_that_is_not_as_planned_is_booked_and_flagged(approved):
    house, plan, name = approved
    (trade,) = plan.trades
    worse = await report(house, name, a_fill(-1, trade.limit_price - 1))
    assert worse.fills[0].flags == {FillFlag.BEYOND_LIMIT}
    over = await report(house, name, a_fill(trade.quantity, trade.expected_price))
    assert over.fills[0].flags == {FillFlag.OVERFILLED}
    assert over.liquidation.state is LiquidationState.DONE
    late = await report(house, name, a_fill("-0.1", trade.expected_price))
    assert late.fills[0].flags == {FillFlag.LATE, FillFlag.OVERFILLED}
    assert late.liquidation.state is LiquidationState.DONE
    assert over.liquidation.cost > over.liquidation.estimated_cost


async def test_what_the_plan_does_not_trade_is_refused_and_nothing_of_the_report_is_booked(approved):
    house, _, name = approved
    sequence = (await house.use_cases.read_account(CORE)).head.sequence
    for wrong in (a_fill(1), spot_trade("-1")):
        await refused(report(house, name, a_fill(-1), wrong), Reason.INVALID_ARGUMENT)
    await refused(report(house, name), Reason.INVALID_ARGUMENT)
    await refused(report(house, PendingRequestId("0" * 16), a_fill(-1)), Reason.UNKNOWN_LIQUIDATION)
    assert (await house.use_cases.read_account(CORE)).head.sequence == sequence
    assert (await house.ports.liquidations.get_liquidation(CORE, name)).last_step == 1


async def test_the_same_report_again_books_nothing_again(approved):
    house, _, name = approved
    caller = house.caller(principal="olivia")
    first = await house.use_cases.report_liquidation(CORE, name, [a_fill(-1)], caller=caller)
    again = await house.use_cases.report_liquidation(CORE, name, [a_fill(-1)], caller=caller)
    assert (again.fills, again.replayed) == (first.fills, True)
    assert (await house.ports.liquidations.get_liquidation(CORE, name)).last_step == 2


async def test_it_ends_when_the_account_does_not_need_the_rest_any_more(approved):
    """A call that was met, a market that came back: nobody is closed out further than he must be."""
    house, _, name = approved
    await house.publish("60000", at=NOON + timedelta(minutes=3))
    gated = await house.use_cases.read_liquidation(CORE, name)
    assert gated.refusal.reason is Reason.NOT_IN_LIQUIDATION
    cured = await report(house, name, a_fill("-0.1", "60000"))
    assert cured.liquidation.state is LiquidationState.CURED
    await refused(house.use_cases.abandon_liquidation(CORE, name, text="why", caller=house.caller()), Reason.LIQUIDATION_ENDED)


async def test_it_ends_when_the_market_has_left_it_behind(approved):
    house, _, name = approved
    assert (await house.use_cases.read_liquidation(CORE, name)).refusal is None
    await house.publish("46000", at=NOON + timedelta(minutes=3))
    assert (await house.use_cases.read_liquidation(CORE, name)).refusal.reason is Reason.PLAN_OUTDATED
    left_behind = await report(house, name, a_fill("-0.1", "46000"))
    assert left_behind.liquidation.state is LiquidationState.SUPERSEDED


async def test_nothing_more_may_be_traded_while_a_breaker_stands_in_the_way(approved):
    house, _, name = approved
    await house.ports.breakers.trip(BreakerKind.LIQUIDATIONS, at=NOON, cause="too many")
    assert (await house.use_cases.read_liquidation(CORE, name)).refusal.reason is Reason.LIQUIDATION_PAUSED


async def test_an_approval_is_not_good_for_ever(approved):
    house, _, name = approved
    found = (await house.use_cases.read_liquidation(CORE, name)).liquidation
    house.database.clock_offset += FIRST_LIQUIDATION.lifetime
    house.clock.move_to(found.expires_at)
    gated = await house.use_cases.read_liquidation(CORE, name)
    assert (gated.liquidation.state, gated.refusal.reason) == (LiquidationState.EXPIRED, Reason.LIQUIDATION_ENDED)
    late = await report(house, name, a_fill("-0.1"))
    assert (late.liquidation.state, late.fills[0].flags) == (LiquidationState.EXPIRED, {FillFlag.LATE})
    assert await house.use_cases.read_liquidation.list(LiquidationFilter(open_at=house.clock.now()), Page(9)) == []


async def test_one_person_ends_it_and_says_why(approved):
    house, _, name = approved
    await refused(house.use_cases.abandon_liquidation(CORE, name, text=" ", caller=house.caller()), Reason.INVALID_ARGUMENT)
    ended = await house.use_cases.abandon_liquidation(CORE, name, text="the client has paid", caller=house.caller(principal="carol"))
    assert ended.state is LiquidationState.ABANDONED
    assert (await house.use_cases.read_liquidation(CORE, name)).refusal.reason is Reason.LIQUIDATION_ENDED
    last = (await house.ports.liquidations.list_steps(CORE, name))[-1]
    assert (last.kind, last.by, last.text) == (LiquidationStepKind.ABANDONED, "carol", "the client has paid")


async def test_another_plan_takes_the_place_of_one_that_is_open(approved):
    house, _, name = approved
    _, successor = await approve(house, minute=4)
    assert successor != name
    every = await house.use_cases.read_liquidation.list(LiquidationFilter(account=CORE), Page(9))
    assert {one.liquidation_id: one.state for one in every} == {
        name: LiquidationState.SUPERSEDED,
        successor: LiquidationState.APPROVED,
    }
    assert (await house.ports.liquidations.open_liquidation(CORE)).liquidation_id == successor


async def test_nothing_is_booked_by_an_approval(short):
    before = (await short.use_cases.read_account(CORE)).head.sequence
    await approve(short, minute=2)
    assert (await short.use_cases.read_account(CORE)).head.sequence == before
