"""Both storages keep an approval to what is still needed: a plan that goes further than it must by now leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.errors import Reason
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.pending_request import PendingRequest, PendingState
from crossmargin.usecases.approve_liquidation import ApprovalRequest, ApprovedLiquidation
from tests.contract.test_reproduction_contract import Desk
from tests.unit.usecases.house import BTC_PERP, CORE, NOON
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


def contracts_of(request):
    return -sum(trade.quantity for trade in request.trades if trade.instrument_id == BTC_PERP)
