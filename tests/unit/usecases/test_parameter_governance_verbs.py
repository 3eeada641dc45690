"""Risk parameters from a proposal to the market they are in force for, through the verbs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import ParameterState
from crossmargin.usecases.shadow_parameters import ShadowedAccount, ShadowSummary
from tests.unit.usecases.house import CORE, NOON, USD, unexplained
from tests.unit.usecases.refusals import refused

STANDARD, NEXT = RiskParameterSetId("standard-1"), RiskParameterSetId("house-2")
DAY = timedelta(days=1)


async def margin(house):
    return await house.use_cases.evaluate_margin(CORE)


async def initial_margin(house):
    return (await margin(house)).requirement.initial_margin


@pytest.fixture
async def invested(house):
    await house.deposit("1000000")
    await house.trade("10")
    return house


async def test_the_shipped_set_is_in_force_and_was_stored_by_the_system(house):
    governance = await house.ports.parameters.get_governance(STANDARD)
    assert (governance.state, governance.proposed_by, governance.approved_by) == (ParameterState.ACTIVE, "crossmargin", None)
    assert (await house.use_cases.parameters_in_force()).set_id == STANDARD


async def test_a_set_counts_only_once_it_is_activated(invested):
    house = invested
    before = await initial_margin(house)
    await house.propose("house-2", initial_margin_multiple="2")
    assert await initial_margin(house) == before
    await house.use_cases.approve_parameters(NEXT, caller=house.caller(principal="bob"))
    assert await initial_margin(house) == before
    await house.use_cases.activate_parameters(NEXT, active_from=None, ramp_days=0, caller=house.caller())
    result = await margin(house)
    assert result.requirement.initial_margin == 2 * result.requirement.maintenance_margin
    assert (await house.ports.parameters.get_governance(STANDARD)).state is ParameterState.RETIRED


async def test_the_time_of_the_snapshot_decides_and_not_the_clock(invested):
    house = invested
    await house.adopt("house-2", active_from=NOON + DAY, initial_margin_multiple="2")
    assert house.clock.now() < NOON + DAY
    assert (await margin(house)).stamp.parameter_set_id == STANDARD
    await house.publish(at=NOON + DAY - timedelta(microseconds=1))
    assert (await margin(house)).stamp.parameter_set_id == STANDARD
    await house.publish(at=NOON + DAY)
    assert (await margin(house)).stamp.parameter_set_id == NEXT


async def test_who_proposed_cannot_approve_and_nothing_changes(house):
    await house.propose("house-2")
    error = await refused(house.use_cases.approve_parameters(NEXT, caller=house.caller(principal="alice")), Reason.FOUR_EYES_REQUIRED)
    assert error.facts["principal"] == "alice"
    assert (await house.ports.parameters.get_governance(NEXT)).state is ParameterState.PROPOSED


async def test_the_same_request_again_is_answered_and_not_refused(house):
    await house.propose("house-2")
    caller = house.caller("once", principal="bob")
    first, again = [await house.use_cases.approve_parameters(NEXT, caller=caller) for _ in range(2)]
    assert first == again
    first, again = [await house.use_cases.activate_parameters(NEXT, active_from=None, ramp_days=5, caller=caller) for _ in range(2)]
    assert first == again


async def test_what_cannot_be_is_refused(house):
    caller = house.caller(principal="alice")
    await refused(house.use_cases.propose_parameters("{}", caller=caller), Reason.INVALID_RISK_PARAMETERS)
    await refused(house.use_cases.approve_parameters(NEXT, caller=caller), Reason.UNKNOWN_RISK_PARAMETERS)
    await house.propose("house-2")
    activate = house.use_cases.activate_parameters
    await refused(activate(NEXT, active_from=None, ramp_days=0, caller=house.caller()), Reason.WRONG_PARAMETER_STATE)
    await house.use_cases.approve_parameters(NEXT, caller=house.caller(principal="bob"))
    await refused(activate(NEXT, active_from=NOON - DAY, ramp_days=0, caller=house.caller()), Reason.ACTIVATION_IN_PAST)


async def test_a_halted_house_changes_no_parameters(house):
    house.database.is_halted = True
    await refused(house.propose("house-2"), Reason.HALTED)


async def test_two_activations_at_once_cannot_make_two_ramps(house):
    for name in ("house-2", "house-3"):
        await house.propose(name)
        await house.use_cases.approve_parameters(RiskParameterSetId(name), caller=house.caller(principal="bob"))
    activate = house.use_cases.activate_parameters
    outcomes = await asyncio.gather(
        *(activate(RiskParameterSetId(name), active_from=None, ramp_days=5, caller=house.caller()) for name in ("house-2", "house-3")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DomainError", "Governance"]


async def test_margin_goes_from_one_set_to_the_other_in_a_straight_line(invested):
    house = invested
    before = await margin(house)
    await house.adopt("house-2", active_from=NOON + DAY, ramp_days=10, initial_margin_multiple="2", tail_fraction="0.01")
    seen = []
    for days in (1, 3, 6, 10, 11, 12):
        await house.publish(at=NOON + days * DAY)
        seen.append(await margin(house))
    after = seen[-1]
    assert [result.stamp.ramp and result.stamp.ramp.fraction for result in seen] == [
        Decimal(0),
        Decimal("0.2"),
        Decimal("0.5"),
        Decimal("0.9"),
        None,
        None,
    ]
    for result in seen[:4]:
        assert (result.stamp.parameter_set_id, result.stamp.ramp.parameter_set_id) == (NEXT, STANDARD)
        exact = before.requirement.initial_margin + result.stamp.ramp.fraction * (
            after.requirement.initial_margin - before.requirement.initial_margin
        )
        assert 0 <= result.requirement.initial_margin - exact < Decimal("0.01")
    assert seen[4].requirement == after.requirement
    assert after.requirement.maintenance_margin > before.requirement.maintenance_margin


async def test_a_preview_ramps_as_margin_does(invested):
    house = invested
    await house.adopt("house-2", active_from=NOON, ramp_days=10, initial_margin_multiple="2")
    await house.publish(at=NOON + DAY)
    preview = await house.use_cases.preview_trades(CORE, [])
    assert preview.before == unexplained(await margin(house))
    assert preview.before.stamp.ramp is not None


async def test_an_explanation_ramps_as_margin_does_and_says_the_rest_of_the_set_in_force(invested):
    house = invested
    await house.adopt("house-2", active_from=NOON, ramp_days=1, offset_within_class="0.5", tail_fraction="0.01")
    await house.publish(at=NOON + DAY / 2)
    on_the_ramp = await house.use_cases.explain_margin(CORE)
    assert on_the_ramp.margin == await margin(house)
    assert on_the_ramp.margin.stamp.ramp.fraction == Decimal("0.5")
    await house.publish(at=NOON + DAY)
    after = await house.use_cases.explain_margin(CORE)
    assert after.margin.stamp.ramp is None
    assert replace(on_the_ramp, margin=after.margin) == after
    assert on_the_ramp.margin.requirement != after.margin.requirement


async def shadow(house, set_id):
    results = [result async for result in house.use_cases.shadow_parameters(set_id)]
    return results[:-1], results[-1]


async def test_a_shadow_run_says_what_activation_then_does(invested):
    house = invested
    other = await house.open_account("other", client="beta")
    await house.deposit("120000", account=other)
    await house.trade("5", account=other)
    now = {ref: await house.use_cases.evaluate_margin(ref) for ref in (CORE, other)}
    await house.propose(
        "house-2", initial_margin_multiple="3", bands={"watch": "0.01", "at_risk": "0.02", "margin_call": "0.05", "liquidation": "0.5"}
    )
    accounts, summary = await shadow(house, NEXT)
    assert all(isinstance(one, ShadowedAccount) for one in accounts)
    assert isinstance(summary, ShadowSummary)
    assert [(one.account, one.done, one.total) for one in accounts] == [(CORE, 1, 2), (other, 2, 2)]
    assert {one.account: one.in_force for one in accounts} == now
    assert {ref: await house.use_cases.evaluate_margin(ref) for ref in (CORE, other)} == now
    assert (summary.in_force_set_id, summary.shadow_set_id) == (STANDARD, NEXT)
    assert summary.called == [CORE, other]
    assert summary.liquidated == [other]
    await house.use_cases.approve_parameters(NEXT, caller=house.caller(principal="bob"))
    await house.use_cases.activate_parameters(NEXT, active_from=None, ramp_days=0, caller=house.caller())
    then = {ref: await house.use_cases.evaluate_margin(ref) for ref in (CORE, other)}
    assert {one.account: one.shadow for one in accounts} == then
    assert summary.initial_before == sum(result.requirement.initial_margin for result in now.values())
    assert summary.initial_after == sum(result.requirement.initial_margin for result in then.values())
    assert summary.maintenance_before == sum(result.requirement.maintenance_margin for result in now.values())
    assert summary.maintenance_after == sum(result.requirement.maintenance_margin for result in then.values())


async def test_an_account_that_cannot_be_margined_under_a_set_is_named_and_holds_up_nobody(invested):
    house = invested
    quiet = await house.open_account("quiet", client="beta")
    await house.deposit("1000", USD, account=quiet)
    shipped = json.loads((await house.ports.parameters.get_parameters(STANDARD)).document)

    def without_bitcoin(rows):
        return [row for row in rows if row["group_id"] != "BTC"]

    charges = shipped["charges"] | {"groups": without_bitcoin(shipped["charges"]["groups"])}
    methodologies = shipped["methodologies"]
    methodologies["span_grid"]["scan_ranges"]["groups"].pop("BTC")
    await house.propose("house-2", offset_groups=without_bitcoin(shipped["offset_groups"]), charges=charges, methodologies=methodologies)
    accounts, summary = await shadow(house, NEXT)
    assert [(one.account, one.reason) for one in accounts] == [(CORE, Reason.UNMAPPED_RISK_FACTOR), (quiet, None)]
    assert accounts[0].in_force is not None
    assert accounts[0].shadow is None
    assert (summary.failed, summary.called) == ([CORE], [])


async def test_a_shadow_of_nothing_is_refused(house):
    async def run():
        return await shadow(house, NEXT)

    await refused(run(), Reason.UNKNOWN_RISK_PARAMETERS)
