"""From a plan to its approval: two persons, a newer market, and nothing at all while the account is not short."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountStatus
from crossmargin.domain.breaker import BreakerKind
from crossmargin.domain.errors import Reason
from crossmargin.domain.liquidation import DepthLevel, LiquidationTerms, OrderBook, PlanWish
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION
from crossmargin.domain.margin import Band
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.pending_request import PendingRequest, PendingState
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.usecases.approve_liquidation import ApprovalRequest, ApprovedLiquidation
from crossmargin.usecases.evaluate_margin import portfolio_of
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, NOON, USD, perpetual_trade, spot_trade
from tests.unit.usecases.refusals import refused

FALL = "52000"


@pytest.fixture
async def short(house):
    """An account that was fine at 60,000 and is past the line at 52,000."""
    await house.deposit("300000")
    await house.trade("14")
    await house.publish(FALL, at=NOON + timedelta(minutes=1))
    return house


async def plan_of(house):
    return await house.use_cases.plan_liquidation(CORE, PlanWish())


def asked(gated) -> ApprovalRequest:
    plan = gated.plan
    return ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)


async def approve(house, request, who, confirms=None):
    caller = replace(house.caller(principal=who), confirms=confirms)
    return await house.use_cases.approve_liquidation(request, caller=caller)


async def test_a_plan_is_proposed_by_one_and_approved_by_another_on_a_newer_market_and_then_reported_as_trades(short):
    gated = await plan_of(short)
    assert (gated.band, gated.refusal) == (Band.LIQUIDATION, None)
    assert gated.plan.after.utilization <= Decimal("0.75")
    proposed = await approve(short, asked(gated), "alice")
    assert isinstance(proposed, PendingRequest)
    assert proposed.asked.words.startswith(f"liquidate {CORE} to utilization 0.75 as planned at snapshot")
    assert "sell" in proposed.asked.words
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    approved = await approve(short, asked(gated), "bob", proposed.pending_id)
    assert isinstance(approved, ApprovedLiquidation)
    assert approved.before.band is Band.LIQUIDATION
    assert approved.after.utilization <= Decimal("0.77")
    assert (await short.ports.pending.get_pending(proposed.pending_id)).state is PendingState.CONFIRMED
    (trade,) = gated.plan.trades
    executed = perpetual_trade(str(trade.quantity), price=str(trade.expected_price), reference=f"liquidation {proposed.pending_id}")
    await short.use_cases.record_trades(CORE, [executed], caller=short.caller())
    after = await plan_of(short)
    assert (after.plan.pieces, after.refusal.reason) == ((), Reason.NOT_IN_LIQUIDATION)


async def test_the_one_who_proposed_cannot_approve_and_another_plan_is_another_proposal(short):
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    await refused(approve(short, asked(gated), "alice", proposed.pending_id), Reason.FOUR_EYES_REQUIRED)
    (trade,) = gated.plan.trades
    other = replace(asked(gated), trades=(replace(trade, limit_price=trade.limit_price - 1),))
    await refused(approve(short, other, "bob", proposed.pending_id), Reason.PENDING_REQUEST_DIFFERS)


async def test_nothing_is_approved_at_the_snapshot_that_the_plan_was_made_at(short):
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await refused(approve(short, asked(gated), "bob", proposed.pending_id), Reason.PLAN_OUTDATED)
    assert (await short.ports.pending.get_pending(proposed.pending_id)).state is PendingState.AWAITING


async def test_an_account_that_has_recovered_is_left_alone(short):
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish("60000", at=NOON + timedelta(minutes=2))
    told = await refused(approve(short, asked(gated), "bob", proposed.pending_id), Reason.NOT_IN_LIQUIDATION)
    assert told.facts["account"] == str(CORE)
    still = await plan_of(short)
    assert still.refusal.reason is Reason.NOT_IN_LIQUIDATION


async def test_a_plan_that_is_not_enough_any_more_is_made_again(short):
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish("46000", at=NOON + timedelta(minutes=2))
    await refused(approve(short, asked(gated), "bob", proposed.pending_id), Reason.PLAN_OUTDATED)
    again = await plan_of(short)
    assert abs(again.plan.trades[0].quantity) > abs(gated.plan.trades[0].quantity)


async def written(house, pending_id):
    """What a refusal leaves as it was: the books, what awaits its second person, and the liquidations."""
    account = await house.use_cases.read_account(CORE)
    return account, await house.ports.pending.get_pending(pending_id), dict(house.database.contents.liquidations)


async def test_a_plan_that_goes_further_than_it_must_by_now_is_made_again(short):
    """Planned at 50,000; by the approval the coin has come back a little, and the account is still short."""
    await short.publish("50000", at=NOON + timedelta(minutes=2))
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish("51500", at=NOON + timedelta(minutes=3))
    before = await written(short, proposed.pending_id)
    told = await refused(approve(short, asked(gated), "bob", proposed.pending_id), Reason.PLAN_OUTDATED)
    assert "goes further than it must by now: with a unit less of everything it would end at 0." in told.message
    assert told.message.endswith(", and 0.75 is to be reached; plan again")
    assert await written(short, proposed.pending_id) == before
    again = await plan_of(short)
    assert abs(again.plan.trades[0].quantity) < abs(gated.plan.trades[0].quantity)
    assert isinstance(await approve(short, asked(again), "alice"), PendingRequest)


async def test_a_plan_that_money_has_come_in_for_is_made_again_and_smaller(short):
    """The client has paid a part: nobody who is still short may lose more than what is still needed."""
    await short.publish("50000", at=NOON + timedelta(minutes=2))
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.deposit("20000")
    await short.publish("50000", at=NOON + timedelta(minutes=3))
    told = await refused(approve(short, asked(gated), "bob", proposed.pending_id), Reason.PLAN_OUTDATED)
    assert "goes further than it must by now" in told.message
    assert (await plan_of(short)).band is Band.LIQUIDATION


@pytest.mark.parametrize(("tolerance", "is_near_enough"), [("0", False), ("0.5", True)])
async def test_how_far_below_its_target_a_plan_may_end_by_now_is_the_same_parameter(short, tolerance, is_near_enough):
    await adopted(short, "house-2", end_tolerance=tolerance)
    await short.publish("51000", at=NOON + timedelta(minutes=2))
    gated = await plan_of(short)
    await short.publish("51010", at=NOON + timedelta(minutes=3))
    if is_near_enough:
        assert isinstance(await approve(short, asked(gated), "alice"), PendingRequest)
    else:
        told = await refused(approve(short, asked(gated), "alice"), Reason.PLAN_OUTDATED)
        assert "goes further than it must by now" in told.message


async def test_a_plan_counts_what_it_is_expected_to_cost_among_what_is_needed(short):
    """At the marks alone the plan would end too far below its target: trading is dear, and the money for it has to be there."""
    await adopted(short, "house-2", impact_coefficient="100", end_tolerance="0.001")
    gated = await plan_of(short)
    assert gated.plan.cost > 2_000
    proposed = await approve(short, asked(gated), "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    done = await approve(short, asked(gated), "bob", proposed.pending_id)
    assert done.after.utilization < Decimal("0.745")


@pytest.mark.parametrize("cost", ["-0.01", "-5000"])
async def test_trading_that_is_said_to_earn_something_is_refused(short, cost):
    gated = await plan_of(short)
    wrong = replace(asked(gated), trades=(replace(gated.plan.trades[0], cost=Decimal(cost)),))
    told = await refused(approve(short, wrong, "alice"), Reason.INVALID_ARGUMENT)
    assert (told.facts["field"], told.facts["value"]) == ("cost of BTC-PERP", cost)


async def test_two_persons_agree_to_what_it_is_to_cost(short):
    """It is what says how much has to be closed."""
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    assert f", at an expected cost of {gated.plan.cost}: sell" in proposed.asked.words
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    (trade,) = gated.plan.trades
    other = replace(asked(gated), trades=(replace(trade, cost=trade.cost + 1),))
    await refused(approve(short, other, "bob", proposed.pending_id), Reason.PENDING_REQUEST_DIFFERS)


async def test_coins_that_are_pledged_for_a_loan_are_sold_as_far_as_they_must_be_and_approved_of_after_a_move(house):
    """There is no margin but the haircut: a plan leaves a cushion under what stays, and the market may take half of it or add to it."""
    await house.deposit("200000")
    await house.use_cases.record_trades(CORE, [spot_trade("14")], caller=house.caller())
    await house.publish(FALL, at=NOON + timedelta(minutes=1))
    gated = await plan_of(house)
    (trade,) = gated.plan.trades
    assert gated.plan.before.maintenance_margin == 0 > gated.plan.before.equity
    assert -8 < trade.quantity < -5
    for minute, (price, is_fine) in enumerate([("51500", True), ("52500", True), ("50000", False), ("54000", False)], start=2):
        await house.publish(price, at=NOON + timedelta(minutes=minute))
        assert (await plan_of(house)).band is Band.LIQUIDATION
        if is_fine:
            assert isinstance(await approve(house, asked(gated), "alice"), PendingRequest)
        else:
            await refused(approve(house, asked(gated), "alice"), Reason.PLAN_OUTDATED)


async def test_a_breaker_stands_in_the_way_until_a_person_resets_it(short):
    gated = await plan_of(short)
    await short.ports.breakers.trip(BreakerKind.LIQUIDATIONS, at=NOON, cause="too many")
    await refused(approve(short, asked(gated), "alice"), Reason.LIQUIDATION_PAUSED)
    assert (await plan_of(short)).refusal.reason is Reason.LIQUIDATION_PAUSED
    await short.use_cases.reset_breaker(BreakerKind.LIQUIDATIONS, note="the feed was fine", principal="bob")
    assert isinstance(await approve(short, asked(gated), "alice"), PendingRequest)


async def test_trades_that_do_not_reduce_what_is_held_are_refused(short):
    gated = await plan_of(short)
    (trade,) = gated.plan.trades
    for quantity in (Decimal(1), Decimal(-15)):
        wrong = replace(asked(gated), trades=(replace(trade, quantity=quantity),))
        await refused(approve(short, wrong, "alice"), Reason.INVALID_ARGUMENT)


async def test_the_same_key_gives_the_same_answer(short):
    gated = await plan_of(short)
    caller = short.caller(principal="alice")
    first = await short.use_cases.approve_liquidation(asked(gated), caller=caller)
    again = await short.use_cases.approve_liquidation(asked(gated), caller=caller)
    assert first.pending_id == again.pending_id


async def adopted(house, set_id, **rules):
    """Put a set in force that differs from the shipped one in its rules for liquidations."""
    values = {name: str(value) for name, value in asdict(FIRST_LIQUIDATION).items()} | rules
    await house.adopt(set_id, liquidation=values)


async def test_a_plan_ends_where_the_set_in_force_says_and_one_of_an_earlier_set_comes_out_again(short):
    """What a committee changes changes the next plan, and the last one is still what its set, its market and its entry make of it."""
    before = (await plan_of(short)).plan
    view = await short.current_market()
    await adopted(short, "house-2", target_utilization="0.5", impact_coefficient="2")
    after = (await plan_of(short)).plan
    assert (after.parameter_set_id, after.target_utilization, after.impact_coefficient) == ("house-2", Decimal("0.5"), 2)
    assert Decimal("0.49") < after.after.utilization <= Decimal("0.5")
    named = await short.ports.parameters.get_parameters(before.parameter_set_id)
    assert named.content_hash == before.parameters_hash
    again = await short.current_market.under(named, view)
    portfolio = portfolio_of(await short.use_cases.read_account(CORE))
    assert plan_liquidation(again.known(portfolio), again.market, named, LiquidationTerms(named.liquidation)) == before


async def test_an_approval_without_a_target_ends_where_the_parameters_say_and_is_good_for_as_long_as_they_say(short):
    await adopted(short, "house-2", target_utilization="0.6", lifetime_minutes="7", report_minutes="7")
    gated = await plan_of(short)
    request = replace(asked(gated), target_utilization=None)
    proposed = await approve(short, request, "alice")
    assert proposed.asked.words.startswith(f"liquidate {CORE} to the target of the risk parameters as planned")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    done = await approve(short, request, "bob", proposed.pending_id)
    stored = await short.ports.liquidations.get_liquidation(CORE, done.liquidation_id)
    assert stored.target_utilization == Decimal("0.6")
    assert stored.expires_at - stored.approved_at == timedelta(minutes=7)


async def test_the_second_person_cannot_agree_to_another_target(short):
    """The orders are the same, but what ends the liquidation is not."""
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    other = replace(asked(gated), target_utilization=Decimal("0.99"))
    await refused(approve(short, other, "bob", proposed.pending_id), Reason.PENDING_REQUEST_DIFFERS)


@pytest.mark.parametrize(("tolerance", "is_near_enough"), [("0", False), ("0.5", True)])
async def test_how_far_above_its_target_a_plan_may_end_by_now_is_a_parameter(short, tolerance, is_near_enough):
    await adopted(short, "house-2", end_tolerance=tolerance)
    gated = await plan_of(short)
    await short.publish("51000", at=NOON + timedelta(minutes=2))
    if is_near_enough:
        assert isinstance(await approve(short, asked(gated), "alice"), PendingRequest)
    else:
        await refused(approve(short, asked(gated), "alice"), Reason.PLAN_OUTDATED)


async def test_a_breaker_is_named_before_an_account_that_has_recovered(short):
    """While it has tripped nobody knows whether anybody has recovered."""
    gated = await plan_of(short)
    await short.publish("60000", at=NOON + timedelta(minutes=2))
    await short.ports.breakers.trip(BreakerKind.LIQUIDATIONS, at=NOON, cause="too many")
    await refused(approve(short, asked(gated), "alice"), Reason.LIQUIDATION_PAUSED)


async def test_nothing_of_a_closed_account_is_liquidated(short):
    gated = await plan_of(short)
    contents = short.database.contents
    contents.heads[CORE] = replace(contents.heads[CORE], status=AccountStatus.CLOSED)
    await refused(approve(short, asked(gated), "alice"), Reason.ACCOUNT_CLOSED)


def a_doubt(verdict, low, high, *, ticks=0):
    return Quality(verdict, NOON, Decimal(low), Decimal(high), ticks=ticks)


async def test_what_is_stale_by_now_is_not_traded_though_the_account_is_short_at_its_best_end(short):
    """The plan was made while its price was fresh. What is stale is liquidated by other instruments, and here is none."""
    gated = await plan_of(short)
    await short.publish(FALL, at=NOON + timedelta(minutes=2), doubt=a_doubt(Verdict.STALE, "51900", "52100"))
    assert (await plan_of(short)).band is Band.LIQUIDATION
    told = await refused(approve(short, asked(gated), "alice"), Reason.PLAN_OUTDATED)
    assert "trades BTC-PERP, whose price is stale or missing; plan again" in told.message


async def test_what_is_suspect_is_traded_once_it_is_confirmed(short):
    gated = await plan_of(short)
    ticks = (await short.current_market()).parameters.market_quality.confirming_ticks
    for count, may in ((ticks - 1, False), (ticks, True)):
        doubt = a_doubt(Verdict.SUSPECT, "51900", "52100", ticks=count)
        await short.publish(FALL, at=NOON + timedelta(minutes=2 + count), doubt=doubt)
        if may:
            assert isinstance(await approve(short, asked(gated), "alice"), PendingRequest)
        else:
            await refused(approve(short, asked(gated), "alice"), Reason.NOT_IN_LIQUIDATION)


async def test_orders_that_cross_each_other_are_refused_though_together_they_reduce(short):
    """Twenty sold and ten bought are four left, but after the first order the account is short of six."""
    gated = await plan_of(short)
    (trade,) = gated.plan.trades
    both = (replace(trade, quantity=Decimal(-20)), replace(trade, quantity=Decimal(10)))
    told = await refused(approve(short, replace(asked(gated), trades=both), "alice"), Reason.INVALID_ARGUMENT)
    assert "all trades of one instrument on one side" in told.message


@pytest.mark.parametrize("paid_in", ["EUR", "BTC", None])
async def test_an_asset_is_planned_to_be_sold_for_dollars_and_for_nothing_else(short, paid_in):
    """Expected prices are in dollars: as many euros would be worth more than what was sold."""
    gated = await plan_of(short)
    await short.deposit("0.01", BTC)
    coin = replace(gated.plan.trades[0], instrument_id=BTC, quantity=Decimal("-0.01"), settlement=paid_in)
    told = await refused(approve(short, replace(asked(gated), trades=(*gated.plan.trades, coin)), "alice"), Reason.INVALID_ARGUMENT)
    assert told.facts["field"] == "settlement of BTC"


async def test_a_contract_is_planned_to_settle_in_what_it_settles_in(short):
    gated = await plan_of(short)
    (trade,) = gated.plan.trades
    await refused(approve(short, replace(asked(gated), trades=(replace(trade, settlement=BTC),)), "alice"), Reason.INVALID_ARGUMENT)
    same = replace(asked(gated), trades=(replace(trade, settlement=USD),))
    assert isinstance(await approve(short, same, "alice"), PendingRequest)


@pytest.mark.parametrize("name", ["expected_price", "limit_price"])
async def test_a_price_that_the_instrument_cannot_trade_at_is_refused_before_it_can_stop_a_report(short, name):
    gated = await plan_of(short)
    (trade,) = gated.plan.trades
    await refused(approve(short, replace(asked(gated), trades=(replace(trade, **{name: Decimal(0)}),)), "alice"), Reason.INVALID_PRICE)


async def test_a_decision_that_is_made_again_reports_what_it_wrote_and_nothing_of_the_one_given_up(short):
    """A storage that could not commit asks again, and by then the account has recovered: nothing was approved."""
    gated = await plan_of(short)
    proposed = await approve(short, asked(gated), "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    writer, verb = short.ports.writer, short.use_cases.approve_liquidation

    class Again:
        async def decide(self, request, decide):
            async def twice(books):
                assert (await decide(books)).records, "the first decision approves"
                await short.ports.breakers.trip(BreakerKind.LIQUIDATIONS, at=NOON, cause="too many")
                return await decide(books)

            return await writer.decide(request, twice)

    again = replace(verb, decide_on_market=replace(verb.decide_on_market, writer=Again()))
    caller = replace(short.caller(principal="bob"), confirms=proposed.pending_id)
    await refused(again(asked(gated), caller=caller), Reason.LIQUIDATION_PAUSED)
    assert short.ports.liquidation_reports.steps == []


async def test_an_approval_answers_how_the_account_stands_before_and_after_and_answers_so_again(short):
    """By the target that was asked for, which is not that of the risk parameters."""
    plan = (await short.use_cases.plan_liquidation(CORE, PlanWish(target_utilization=Decimal("0.5")))).plan
    request = ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, Decimal("0.5"))
    proposed = await approve(short, request, "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    caller = replace(short.caller(principal="bob"), confirms=proposed.pending_id)
    first = await short.use_cases.approve_liquidation(request, caller=caller)
    again = await short.use_cases.approve_liquidation(request, caller=caller)
    stored = await short.ports.liquidations.get_liquidation(CORE, first.liquidation_id)
    assert stored.target_utilization == Decimal("0.5")
    assert (first.before, first.after) == (again.before, again.after) == (stored.before, stored.promised)
    assert (first.before.equity, first.before.band) == (300_000 - 14 * 8000, Band.LIQUIDATION)
    assert first.after.utilization <= Decimal("0.5")
    assert abs(first.after.equity - first.before.equity) < Decimal("0.05"), "at the marks, where closing a contract costs nothing"
    assert (first.replayed, again.replayed) == (False, True)
    kinds = [step.kind.value for step in short.ports.liquidation_reports.steps]
    assert kinds == ["approved"], "what was told is not told again"


async def test_an_account_without_equity_is_closed_out_altogether_and_its_utilization_told_as_infinite(house):
    await house.deposit("90000")
    await house.trade("14")
    await house.publish(FALL, at=NOON + timedelta(minutes=1))
    gated = await plan_of(house)
    assert not gated.plan.reaches_target
    proposed = await approve(house, asked(gated), "alice")
    await house.publish(FALL, at=NOON + timedelta(minutes=2))
    done = await approve(house, asked(gated), "bob", proposed.pending_id)
    assert (done.before.utilization, done.before.equity) == (None, 90_000 - 14 * 8000)
    assert done.after.maintenance_margin == 0
    less = replace(asked(gated), trades=(replace(gated.plan.trades[0], quantity=gated.plan.trades[0].quantity / 2),))
    told = await refused(approve(house, less, "alice"), Reason.PLAN_OUTDATED)
    assert "would end nowhere by now" in told.message


async def test_a_plan_keeps_to_the_order_books_that_it_was_asked_for_with(short):
    levels = (DepthLevel(Decimal(51_990), Decimal("0.5")), DepthLevel(Decimal(51_900), Decimal("0.25")))
    depth = {BTC_PERP: OrderBook(bids=levels, asks=())}
    plan = (await short.use_cases.plan_liquidation(CORE, PlanWish(depth=depth))).plan
    assert (plan.depth, plan.reaches_target) == (depth, False)
    assert sum(trade.quantity for trade in plan.trades) == Decimal("-0.75")


async def test_the_band_to_act_on_is_that_of_the_best_end_and_not_that_at_the_levels(short):
    """Past the line at the levels, and in margin call until somebody confirms them."""
    await short.publish(FALL, at=NOON + timedelta(minutes=2), doubt=a_doubt(Verdict.SUSPECT, "51900", "52100"))
    gated = await plan_of(short)
    assert (gated.plan.before.band, gated.band) == (Band.LIQUIDATION, Band.MARGIN_CALL)
    assert gated.refusal.reason is Reason.NOT_IN_LIQUIDATION


async def test_what_a_plan_was_expected_to_cost_is_that_of_all_its_orders(short):
    """Both halves of one order, each with its share."""
    gated = await plan_of(short)
    (trade,) = gated.plan.trades
    first = replace(trade, quantity=(trade.quantity / 2).quantize(Decimal("0.001")), cost=Decimal("1.25"))
    second = replace(trade, quantity=trade.quantity - first.quantity, cost=Decimal("2.5"))
    request = replace(asked(gated), trades=(first, second))
    proposed = await approve(short, request, "alice")
    await short.publish(FALL, at=NOON + timedelta(minutes=2))
    done = await approve(short, request, "bob", proposed.pending_id)
    assert (await short.ports.liquidations.get_liquidation(CORE, done.liquidation_id)).estimated_cost == Decimal("3.75")
