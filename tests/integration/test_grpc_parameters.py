"""Risk parameters in two persons' hands, and margin computed again, over a real channel."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import reference_service_pb2 as pb
from tests.builders import risk_parameters_document
from tests.integration.grpc_rig import (
    ALPHA,
    BETA,
    EXECUTED,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    refusal_of,
    served,
    timestamp,
)

BEYOND_THE_MARGIN = (
    "liquidation_distances",
    "worst_direction",
    "diversification",
    "directional_concentrations",
    "isolation_advice",
    "requirement_interval",
    "tail",
    "scenarios",
)
D = Decimal
ALICE, BOB = ((("x-crossmargin-principal", name),) for name in ("alice", "bob"))
DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        for account, deposit in ((ALPHA, "1000000"), (BETA, "200000")):
            await running.collateral.Deposit(a_deposit(deposit, account=account, request_id=account))
            await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "5", "50000"), account=account, request_id=account))
        yield running


def a_document(set_id="house-2", **changes):
    small = {"set_id": set_id, "observation_count": 100, "minimum_observation_count": 50}
    return json.dumps(risk_parameters_document(**(small | changes)))


async def propose(rig, set_id="house-2", metadata=ALICE, **changes):
    request = pb.ProposeRiskParametersRequest(request_id=f"propose-{set_id}", document=a_document(set_id, **changes))
    return (await rig.reference.ProposeRiskParameters(request, metadata=metadata)).parameter_set


async def approve(rig, set_id="house-2", metadata=BOB):
    request = pb.ApproveRiskParametersRequest(request_id=f"approve-{set_id}", parameter_set_id=set_id)
    return (await rig.reference.ApproveRiskParameters(request, metadata=metadata)).parameter_set


async def activate(rig, set_id="house-2", **fields):
    request = pb.ActivateRiskParametersRequest(request_id=f"activate-{set_id}", parameter_set_id=set_id, **fields)
    return (await rig.reference.ActivateRiskParameters(request, metadata=BOB)).parameter_set


async def publish(rig, at, bitcoin="50000"):
    snapshot = market_pb.MarketSnapshot(as_of_time=timestamp(at), levels={"spot:BTC": bitcoin, "zero:USD:1Y": "0.04"})
    await rig.market.PublishSnapshot(market_pb.PublishSnapshotRequest(snapshot=snapshot))


async def margin_of(rig, account=ALPHA):
    return (await rig.margin.GetMargin(margin_pb.GetMarginRequest(account=account))).margin


async def test_a_set_goes_through_two_pairs_of_hands(rig):
    proposed = await propose(rig)
    assert (proposed.state, proposed.proposed_by) == (pb.PARAMETER_STATE_PROPOSED, "alice")
    assert not proposed.HasField("approve_time")
    approved = await approve(rig)
    assert (approved.state, approved.approved_by) == (pb.PARAMETER_STATE_APPROVED, "bob")
    active = await activate(rig, ramp_days=10)
    assert (active.state, active.activated_by, active.ramp_days) == (pb.PARAMETER_STATE_ACTIVE, "bob", 10)
    assert active.active_from_time == timestamp(EXECUTED)
    assert active.in_force
    listed = (await rig.reference.ListRiskParameters(pb.ListRiskParametersRequest())).parameter_sets
    assert [(one.parameter_set_id, one.state, one.in_force) for one in listed] == [
        ("house-2", pb.PARAMETER_STATE_ACTIVE, True),
        ("test-1", pb.PARAMETER_STATE_RETIRED, False),
    ]
    assert listed[0] == active
    in_force = await rig.reference.GetRiskParameters(pb.GetRiskParametersRequest())
    assert (in_force.parameter_set_id, in_force.parameter_set) == ("house-2", active)


async def test_sets_are_listed_page_by_page(rig):
    await propose(rig)
    first = await rig.reference.ListRiskParameters(pb.ListRiskParametersRequest(page_size=1))
    second = await rig.reference.ListRiskParameters(pb.ListRiskParametersRequest(page_size=1, page_token=first.next_page_token))
    assert [one.parameter_set_id for page in (first, second) for one in page.parameter_sets] == ["house-2", "test-1"]
    assert not second.next_page_token


@pytest.mark.parametrize("metadata", [ALICE, None], ids=["the same name", "nobody is told apart"])
async def test_who_proposed_cannot_approve(rig, metadata):
    await propose(rig, metadata=metadata)
    refusal = await refusal_of(approve(rig, metadata=metadata))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "FOUR_EYES_REQUIRED")
    assert refusal.facts["proposed_by"] == refusal.facts["principal"] == ("alice" if metadata else "local")


async def test_steps_that_cannot_be_taken_are_refused_with_their_reason(rig):
    refusal = await refusal_of(propose(rig, tail_fraction="2"))
    assert (refusal.code, refusal.reason, refusal.facts["field"]) == ("INVALID_ARGUMENT", "INVALID_RISK_PARAMETERS", "tail_fraction")
    refusal = await refusal_of(approve(rig))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "UNKNOWN_RISK_PARAMETERS")
    await propose(rig)
    refusal = await refusal_of(activate(rig))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WRONG_PARAMETER_STATE")
    await approve(rig)
    refusal = await refusal_of(activate(rig, active_from_time=timestamp(EXECUTED - DAY)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "ACTIVATION_IN_PAST")
    refusal = await refusal_of(activate(rig, ramp_days=366))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "ramp_days")
    await activate(rig, active_from_time=timestamp(EXECUTED + DAY), ramp_days=5)
    await propose(rig, "house-3")
    await approve(rig, "house-3")
    refusal = await refusal_of(activate(rig, "house-3", active_from_time=timestamp(EXECUTED + 3 * DAY), ramp_days=1))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "RAMP_UNDER_WAY")


async def test_a_shadow_run_streams_every_account_and_then_a_summary(rig):
    before = {account: await margin_of(rig, account) for account in (ALPHA, BETA)}
    await propose(rig, initial_margin_multiple="2", bands={"watch": "0.1", "at_risk": "0.2", "margin_call": "0.3", "liquidation": "0.9"})
    stream = rig.reference.ShadowRiskParameters(pb.ShadowRiskParametersRequest(parameter_set_id="house-2"))
    *accounts, last = [message async for message in stream]
    assert [(one.account.account, one.account_count_done, one.account_count) for one in accounts] == [(ALPHA, 1, 2), (BETA, 2, 2)]
    assert last.WhichOneof("result") == "summary"
    assert (last.account_count_done, last.account_count) == (2, 2)
    summary = last.summary
    assert (summary.in_force_set_id, summary.shadow_set_id) == ("test-1", "house-2")
    assert list(summary.called_accounts) == [BETA]
    for one in accounts:
        now = before[one.account.account]
        assert one.account.in_force.initial_margin == now.requirement.initial_margin
        assert one.account.in_force.band == now.band
        assert D(one.account.shadow.initial_margin) == 2 * D(now.requirement.maintenance_margin)
    initial = sum(D(margin.requirement.initial_margin) for margin in before.values())
    assert D(summary.initial_margin_before) == initial
    assert D(summary.initial_margin_after) == sum(D(one.account.shadow.initial_margin) for one in accounts)
    assert await margin_of(rig) == before[ALPHA]


async def reproduce(rig, margin, *, figures=True):
    request = margin_pb.ReproduceMarginRequest(stamp=margin.stamp, margin=margin if figures else None)
    return await rig.margin.ReproduceMargin(request)


async def test_a_margin_on_a_ramp_is_reproduced_figure_by_figure_after_everything_has_changed(rig):
    await propose(rig, tail_fraction="0.05", initial_margin_multiple="2")
    await approve(rig)
    await activate(rig, ramp_days=3)
    await publish(rig, EXECUTED + DAY)
    explained = await rig.margin.ExplainMargin(margin_pb.ExplainMarginRequest(account=ALPHA))
    assert explained.margin.stamp.ramp.fraction == "0.333333333333"
    await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "-7", "50000"), request_id="later"))
    await publish(rig, EXECUTED + 10 * DAY, bitcoin="41000")
    assert await margin_of(rig) != explained.margin
    again = await reproduce(rig, explained.margin)
    assert again.reproduced
    assert not again.HasField("difference")
    for part in BEYOND_THE_MARGIN:
        explained.ClearField(part)
    assert again.explained == explained


async def test_a_figure_that_was_tampered_with_is_named(rig):
    margin = await margin_of(rig)
    wrong = margin_pb.Margin()
    wrong.CopyFrom(margin)
    wrong.requirement.initial_margin = "1"
    answer = await reproduce(rig, wrong)
    assert not answer.reproduced
    assert (answer.difference.field, answer.difference.recorded) == ("requirement.initial_margin", "1")
    assert answer.difference.recomputed == margin.requirement.initial_margin
    assert (await reproduce(rig, wrong, figures=False)).reproduced
    wrong.stamp.parameters_hash = "f" * 64
    assert (await reproduce(rig, wrong)).difference.field == "stamp.parameters_hash"
    margin.stamp.as_of_time.seconds += 1
    assert (await reproduce(rig, margin)).difference.field == "stamp.as_of_time"


async def test_a_charge_that_was_left_out_is_named(rig):
    margin = await margin_of(rig)
    margin.requirement.charges.add(name="liquidity", amount="5")
    difference = (await reproduce(rig, margin)).difference
    assert (difference.field, difference.recomputed) == ("requirement.charges", "[]")
    margin.requirement.ClearField("charges")
    margin.ClearField("equity")
    assert (await reproduce(rig, margin)).difference.field == "equity"


async def test_another_engine_is_said_to_be_another(rig):
    margin = await margin_of(rig)
    margin.stamp.engine_version = "0"
    refusal = await refusal_of(reproduce(rig, margin))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "ENGINE_VERSION_DIFFERS")


async def test_a_stamp_that_none_ever_was_is_refused(rig):
    refusal = await refusal_of(rig.margin.ReproduceMargin(margin_pb.ReproduceMarginRequest()))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "stamp")
    margin = await margin_of(rig)
    for change, reason in (({"account": "core"}, "INVALID_IDENTIFIER"), ({"snapshot_id": "x"}, "INVALID_IDENTIFIER")):
        stamp = margin_pb.MarginStamp()
        stamp.CopyFrom(margin.stamp)
        stamp.MergeFrom(margin_pb.MarginStamp(**change))
        refusal = await refusal_of(rig.margin.ReproduceMargin(margin_pb.ReproduceMarginRequest(stamp=stamp)))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)
