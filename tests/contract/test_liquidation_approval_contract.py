"""Both storages keep an approval to what is still needed: a plan that goes further than it must by now leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.errors import Reason
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.liquidation_life import FillFlag
from crossmargin.domain.pending_request import PendingRequest, PendingState
from crossmargin.usecases.approve_liquidation import ApprovalRequest, ApprovedLiquidation
from tests.contract.test_reproduction_contract import Desk
from tests.unit.usecases.house import BTC_PERP, CORE, NOON, perpetual_trade
from tests.unit.usecases.refusals import refused

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def short(storage):
    """An account that holds a contract too many at 50,000."""
    compute = ThreadComputePool()
    desk = Desk(storage, compute)
    await desk.open()
    await desk.trade("70")
    await desk.publish("50000", at=NOON + MINUTE)
    yield desk
    compute.close()


async def plan_of(desk):
    plan = (await desk.use_cases.plan_liquidation(CORE, PlanWish())).plan
    return ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)


async def approve(desk, request, who, confirms=None):
    return await desk.use_cases.approve_liquidation(request, caller=replace(desk.caller(who), confirms=confirms))


async def test_a_plan_that_collateral_has_come_in_for_is_refused_and_a_smaller_one_approved(short):
    first = await plan_of(short)
    proposed = await approve(short, first, "alice")
    await short.deposit("60000")
    await short.publish("50000", at=NOON + 2 * MINUTE)
    sequence = (await short.use_cases.read_account(CORE)).head.sequence
    told = await refused(approve(short, first, "bob", proposed.pending_id), Reason.PLAN_OUTDATED)
    assert "goes further than it must by now" in told.message
    assert (await short.use_cases.read_account(CORE)).head.sequence == sequence
    assert (await short.ports.pending.get_pending(proposed.pending_id)).state is PendingState.AWAITING
    assert await short.ports.liquidations.open_liquidation(CORE) is None
    second = await plan_of(short)
    assert contracts_of(second) < contracts_of(first)
    again = await approve(short, second, "alice")
    assert isinstance(again, PendingRequest)
    await short.publish("50000", at=NOON + 3 * MINUTE)
    done = await approve(short, second, "bob", again.pending_id)
    assert isinstance(done, ApprovedLiquidation)
    assert (await short.ports.liquidations.open_liquidation(CORE)).liquidation_id == done.liquidation_id


async def test_a_fill_of_more_than_is_held_is_booked_in_two_parts_and_only_what_it_closed_is_counted(short):
    """What is too much is a position at its price, and what the liquidation says of itself stops at what there was."""
    request = await plan_of(short)
    proposed = await approve(short, request, "alice")
    await short.publish("50000", at=NOON + 2 * MINUTE)
    name = (await approve(short, request, "bob", proposed.pending_id)).liquidation_id
    held = await holding(short)
    fill = perpetual_trade(str(-held.quantity - 2), price="50000")
    done = await short.use_cases.report_liquidation(CORE, name, [fill], caller=short.caller("olivia"))
    assert done.fills[0].flags == {FillFlag.OVERFILLED, FillFlag.TURNED_OVER}
    left = await holding(short)
    assert (left.quantity, left.cost) == (-2, -2 * 50_000)
    stored = await short.ports.liquidations.get_liquidation(CORE, name)
    assert not stored.is_open
    assert sum(order.filled for order in stored.orders if order.trade.instrument_id == BTC_PERP) == -held.quantity
    (step,) = [each for each in await short.ports.liquidations.list_steps(CORE, name) if each.fill is not None]
    assert (step.fill.opened, step.fill.value) == (-2, held.quantity * 50_000)


async def holding(desk):
    (found,) = [each for each in (await desk.use_cases.read_account(CORE)).positions if each.instrument_id == BTC_PERP]
    return found


def contracts_of(request):
    return -sum(trade.quantity for trade in request.trades if trade.instrument_id == BTC_PERP)
