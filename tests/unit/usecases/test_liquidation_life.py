"""What becomes of an approved liquidation: fills in the books, and an end that the market, the clock, the plan or a person brings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountStatus
from crossmargin.domain.breaker import BreakerKind
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import BookId, InstrumentId, PendingRequestId
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.liquidation_life import FillFlag, LiquidationOrder, LiquidationState, LiquidationStepKind
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.usecases.approve_liquidation import ApprovalRequest
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.liquidation import LiquidationFilter
from crossmargin.usecases.ports.page import Page
from tests.unit.usecases.house import BTC_PERP, CORE, EUROS, NOON, USD, a_history, perpetual_trade, spot_trade
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


def a_doubt(verdict, low, high, *, ticks=0):
    return Quality(verdict, NOON, Decimal(low), Decimal(high), ticks=ticks)


async def refusal_of(house, name):
    return (await house.use_cases.read_liquidation(CORE, name)).refusal


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.SUSPECT, Reason.SUSPECT_MARKET_DATA), (Verdict.MISSING, Reason.MISSING_MARKET_DATA)]
)
async def test_nothing_more_is_traded_on_a_price_that_would_begin_no_liquidation(approved, verdict, reason):
    """Even at the best end of the doubt the account is short, but what starts nothing lets nothing go on either."""
    house, _, name = approved
    await house.publish(FALL, at=NOON + timedelta(minutes=3), doubt=a_doubt(verdict, "51900", "52100"))
    told = await refusal_of(house, name)
    assert (told.reason, told.facts["subject"], told.facts["action"]) == (reason, "spot:BTC", "liquidation")
    ticks = (await house.current_market()).parameters.market_quality.confirming_ticks
    await house.publish(FALL, at=NOON + timedelta(minutes=4), doubt=a_doubt(Verdict.SUSPECT, "51900", "52100", ticks=ticks))
    assert await refusal_of(house, name) is None
    assert (await house.ports.liquidations.get_liquidation(CORE, name)).is_open


async def test_what_is_stale_is_not_traded_further(approved):
    house, _, name = approved
    await house.publish(FALL, at=NOON + timedelta(minutes=3), doubt=a_doubt(Verdict.STALE, "51900", "52100"))
    told = await refusal_of(house, name)
    assert told.reason is Reason.PLAN_OUTDATED
    assert "trades BTC-PERP, whose price is stale or missing" in told.message


async def test_that_an_account_may_have_recovered_is_said_before_that_its_price_is_doubted(approved):
    """The first ends the trading for good; the second only until the next quote."""
    house, _, name = approved
    await house.publish(FALL, at=NOON + timedelta(minutes=3), doubt=a_doubt(Verdict.SUSPECT, "52000", "60000"))
    assert (await refusal_of(house, name)).reason is Reason.NOT_IN_LIQUIDATION


async def in_euros(house):
    """Coins on borrowed dollars, sold out where a euro is worth 1.25 dollars; return the order and the liquidation."""
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await house.use_cases.import_history(a_history("spot:BTC", "fx:EUR"))
    await house.deposit("200000")
    await house.use_cases.record_trades(CORE, [spot_trade("14")], caller=house.caller())
    await house.publish(FALL, at=NOON + timedelta(minutes=1), fx_EUR="1.25")
    plan = (await house.use_cases.plan_liquidation(CORE, PlanWish())).plan
    asked = ApprovalRequest(CORE, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)
    proposed = await house.use_cases.approve_liquidation(asked, caller=house.caller(principal="alice"))
    await house.publish(FALL, at=NOON + timedelta(minutes=2), fx_EUR="1.25")
    caller = replace(house.caller(principal="bob"), confirms=proposed.pending_id)
    (order,) = plan.trades
    return order, (await house.use_cases.approve_liquidation(asked, caller=caller)).liquidation_id


@pytest.mark.parametrize(("worse", "flags"), [("0", set()), ("800", {FillFlag.BEYOND_LIMIT})])
async def test_a_coin_that_was_sold_for_euros_is_held_against_a_plan_in_dollars(house, worse, flags):
    """41,600 euros at 1.25 are 52,000 dollars: neither beyond the limit nor ten thousand dollars dearer than was expected."""
    order, name = await in_euros(house)
    price = (order.expected_price / Decimal("1.25")).quantize(Decimal("0.01")) - Decimal(worse)
    fill = replace(spot_trade("-1", settlement=EUROS.instrument_id), price=price)
    found = await report(house, name, fill)
    assert found.fills[0].flags == flags
    said = (await house.ports.liquidations.list_steps(CORE, name))[-1].fill
    assert abs(said.cost - Decimal(worse) * Decimal("1.25")) < Decimal("0.02")
    assert said.price == price
    assert abs(said.value - price * Decimal("1.25")) < Decimal("0.02")
    assert found.liquidation.cost == said.cost + said.expected_cost


async def test_what_is_paid_in_something_the_market_does_not_value_is_booked_and_its_cost_left_open(house):
    """Nobody can say what it was sold for, so it is to be looked at."""
    order, name = await in_euros(house)
    await house.publish(FALL, at=NOON + timedelta(minutes=3))
    fill = replace(spot_trade("-1", settlement=EUROS.instrument_id), price=order.limit_price)
    found = await report(house, name, fill)
    said = (await house.ports.liquidations.list_steps(CORE, name))[-1].fill
    assert (said.cost, said.value, said.flags) == (0, 0, {FillFlag.BEYOND_LIMIT})
    assert found.liquidation.standing is None
    assert found.liquidation.is_open, "where nobody knows how the account stands nothing ends"


async def test_one_request_id_is_one_report(approved):
    """Another liquidation, another fill or another day of settlement under the same request id is somebody's slip, and books nothing."""
    house, _, name = approved
    caller = house.caller(principal="olivia")
    _, other = await approve(house, minute=4)
    await house.use_cases.report_liquidation(CORE, other, [a_fill(-1)], caller=caller)
    sequence = (await house.use_cases.read_account(CORE)).head.sequence
    for liquidation, fills in (
        (name, [a_fill(-1)]),
        (other, [a_fill(-2)]),
        (other, [a_fill(-1), a_fill(-1)]),
        (other, [replace(a_fill(-1), settle_date=NOON.date() + timedelta(days=2))]),
    ):
        await refused(house.use_cases.report_liquidation(CORE, liquidation, fills, caller=caller), Reason.REQUEST_ID_REUSED)
    assert (await house.use_cases.read_account(CORE)).head.sequence == sequence


async def test_a_report_that_is_decided_again_tells_each_step_once(approved):
    """A storage that could not commit asks again: what is told is what the last decision wrote."""
    house, _, name = approved
    writer, verb = house.ports.writer, house.use_cases.report_liquidation

    class Again:
        async def decide(self, request, decide):
            async def twice(books):
                await decide(books)
                return await decide(books)

            return await writer.decide(request, twice)

    again = replace(verb, decide_on_market=replace(verb.decide_on_market, writer=Again()))
    await again(CORE, name, [a_fill(-1)], caller=house.caller(principal="olivia"))
    kinds = [step.kind for step in house.ports.liquidation_reports.steps]
    assert kinds == [LiquidationStepKind.APPROVED, LiquidationStepKind.FILLED]
    assert (await house.ports.liquidations.get_liquidation(CORE, name)).orders[0].filled == -1


async def test_nothing_is_booked_in_a_closed_account(approved):
    house, _, name = approved
    contents = house.database.contents
    contents.heads[CORE] = replace(contents.heads[CORE], status=AccountStatus.CLOSED)
    await refused(report(house, name, a_fill(-1)), Reason.ACCOUNT_CLOSED)


async def test_a_halt_stops_no_fill_and_no_liquidation(short):
    """What lowers risk goes on, and what has happened is booked."""
    await short.use_cases.halt_trading(CORE.client_id, reason="a rogue desk", caller=short.caller(principal="alice"))
    plan, name = await approve(short, minute=2)
    assert (await short.use_cases.read_liquidation(CORE, name)).refusal is None
    assert (await report(short, name, a_fill(plan.trades[0].quantity))).liquidation.state is LiquidationState.DONE


async def test_more_than_is_held_is_booked_as_it_was_and_leaves_the_account_on_the_other_side(approved):
    """Fourteen are held and sixteen were sold: fourteen are paid what they have gained, and two are short at what they were sold for."""
    house, _, name = approved
    dollars = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}[USD].quantity
    over = await report(house, name, a_fill(-14), a_fill(-2))
    assert [fill.flags for fill in over.fills] == [{FillFlag.OVERFILLED}, {FillFlag.OVERFILLED, FillFlag.TURNED_OVER}]
    held = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}
    assert held[USD].quantity - dollars == -14 * 8000
    assert (held[BTC_PERP].quantity, held[BTC_PERP].cost) == (-2, -2 * 52_000)


async def test_a_fill_of_more_than_is_held_is_split_between_what_it_closes_and_what_it_opens(approved):
    """At once as in two: fourteen are paid what they have gained and are all that counts for the liquidation, two are a position."""
    house, plan, name = approved
    before = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}
    done = await report(house, name, a_fill(-16))
    assert len(done.fills) == 1
    after = {one.instrument_id: one for one in (await house.use_cases.read_account(CORE)).positions}
    assert after[USD].quantity - before[USD].quantity == -14 * 8000
    assert (after[BTC_PERP].quantity, after[BTC_PERP].cost) == (-2, -2 * 52_000)
    assert done.fills[0].flags == {FillFlag.OVERFILLED, FillFlag.TURNED_OVER}
    assert (done.liquidation.orders[0].filled, done.liquidation.state) == (-14, LiquidationState.DONE)
    (fill,) = [step.fill for step in await house.ports.liquidations.list_steps(CORE, name) if step.fill is not None]
    assert (fill.quantity, fill.opened, fill.closed) == (-16, -2, -14)
    assert (fill.value, done.liquidation.traded_value) == (14 * 52_000, 14 * 52_000)
    assert fill.cost == round((plan.trades[0].expected_price - 52_000) * 14, 2)


async def test_what_is_not_there_any_more_is_not_counted_as_closed_and_ends_what_is_left(approved):
    """The client closed most of it himself. Of what was sold by the plan a part closed something, and there is nothing left to sell."""
    house, plan, name = approved
    assert plan.trades[0].quantity < Decimal("-3.5")
    await house.use_cases.record_trades(CORE, [perpetual_trade("-11.5", price=FALL)], caller=house.caller())
    found = await report(house, name, a_fill("-3.5"))
    assert found.fills[0].flags == {FillFlag.TURNED_OVER}
    assert found.liquidation.orders[0].filled == Decimal("-2.5")
    assert found.liquidation.left
    assert not found.liquidation.is_open


async def test_what_a_fill_opens_is_said_of_the_account_and_not_of_one_of_its_books(approved):
    """Sold in a book that holds none of it, two reduce what the account holds: they count, and open nothing for it."""
    house, _, name = approved
    found = await report(house, name, replace(a_fill(-2), book_id=BookId("hedge")))
    assert (found.fills[0].flags, found.liquidation.orders[0].filled) == (frozenset(), -2)


async def test_a_liquidation_that_closes_more_than_is_held_by_now_ends_with_the_next_report_and_says_so(approved):
    house, plan, name = approved
    assert plan.trades[0].quantity < -3
    stored = await house.ports.liquidations.get_liquidation(CORE, name)
    order = replace(stored.orders[0], trade=replace(plan.trades[0], quantity=Decimal(-14)))
    await changed(house, name, target_utilization=Decimal("0.01"), orders=(order,))
    await house.use_cases.record_trades(CORE, [perpetual_trade("-7", price=FALL)], caller=house.caller())
    found = await report(house, name, a_fill(-1))
    assert found.liquidation.state is LiquidationState.SUPERSEDED
    assert (await house.ports.liquidations.list_steps(CORE, name))[-1].text == (
        "what is left of it trades more of BTC-PERP than is held by now; plan again"
    )


async def test_a_fill_that_closes_more_than_its_book_holds_is_worth_what_it_would_be_in_two(approved):
    """At once or in two parts, the account is worth the same to the cent."""
    house, _, name = approved
    await report(house, name, a_fill(-16))
    at_once = (await house.use_cases.evaluate_margin(CORE)).equity.equity
    await house.use_cases.record_trades(CORE, [perpetual_trade("2", price=FALL)], caller=house.caller())
    flat = await house.use_cases.evaluate_margin(CORE)
    assert flat.equity.equity == at_once == 300_000 - 14 * 8000


async def test_each_fill_names_the_entry_that_books_it_and_the_entry_the_liquidation(approved):
    house, _, name = approved
    before = (await house.use_cases.read_account(CORE)).head.sequence
    own = replace(a_fill(-2), reference="venue 7")
    found = await report(house, name, a_fill(-1), own)
    fills = [step.fill for step in await house.ports.liquidations.list_steps(CORE, name) if step.fill is not None]
    assert [fill.sequence for fill in fills] == [fill.sequence for fill in found.fills] == [before + 1, before + 2]
    entries = [house.database.contents.entries[CORE, fill.sequence].entry for fill in fills]
    booked = [leg.quantity for entry in entries for leg in entry.postings if leg.instrument_id == BTC_PERP and leg.ledger_account == "core"]
    assert booked == [-1, -2]
    assert [entry.reference for entry in entries] == [f"liquidation {name}", "venue 7"]


async def test_a_fill_closes_what_its_own_book_holds(approved):
    """From a book that holds nothing it is a position of that book, at what it was sold for, and no gain is paid."""
    house, _, name = approved
    before = (await house.use_cases.read_account(CORE)).positions
    dollars = sum(one.quantity for one in before if one.instrument_id == USD)
    await report(house, name, replace(a_fill(-2), book_id=BookId("hedge")))
    held = {(one.book_id, one.instrument_id): one for one in (await house.use_cases.read_account(CORE)).positions}
    assert (held["hedge", BTC_PERP].quantity, held["hedge", BTC_PERP].cost) == (-2, -2 * 52_000)
    assert sum(one.quantity for (_, name), one in held.items() if name == USD) == dollars
    assert held["main", BTC_PERP].quantity == 14


async def test_a_fill_of_what_the_market_does_not_value_any_more_is_booked_without_a_cost(approved):
    house, plan, name = approved
    levels = {FactorId.parse("spot:ETH"): Decimal(3_000)}
    await house.use_cases.publish_snapshot(MarketSnapshot(NOON + timedelta(minutes=3), levels, {}), principal="feed")
    found = await report(house, name, a_fill(-1, plan.trades[0].limit_price))
    fill = (await house.ports.liquidations.list_steps(CORE, name))[-1].fill
    assert (fill.cost, fill.value, fill.flags) == (0, 0, frozenset())
    assert (found.liquidation.state, found.liquidation.standing) == (LiquidationState.EXECUTING, None)


async def test_a_liquidation_keeps_what_it_was_planned_on_and_what_it_was_approved_on(short):
    plan, name = await approve(short, minute=2)
    found = await short.ports.liquidations.get_liquidation(CORE, name)
    newest = (await short.current_market()).snapshot.snapshot_id
    assert (found.snapshot_id, found.sequence, found.approved_snapshot_id) == (plan.snapshot_id, plan.sequence, newest)
    assert newest != plan.snapshot_id
    assert (found.before.band, found.before.equity) == (Band.LIQUIDATION, 300_000 - 14 * 8000)
    assert found.promised.utilization <= Decimal("0.77")
    assert found.estimated_cost == plan.cost
    assert (found.persons.asked_by, found.persons.confirmed_by) == ("alice", "bob")
    assert [order.trade for order in found.orders] == list(plan.trades)


async def test_a_report_ends_what_may_not_be_needed_any_more(approved):
    """At the levels the account is short, at the best end of the market it is not: after a fill nothing more is traded on that."""
    house, _, name = approved
    await house.publish(FALL, at=NOON + timedelta(minutes=3), doubt=a_doubt(Verdict.SUSPECT, FALL, "60000"))
    found = await report(house, name, a_fill("-0.1"))
    view = await house.current_market()
    low, _ = view.margin(portfolio_of(await house.ports.books.account_state(CORE))).utilization_range
    assert (found.liquidation.state, found.liquidation.standing.utilization) == (LiquidationState.CURED, low)
    assert low <= Decimal("0.75")


async def changed(house, name, **changes):
    """Let the liquidation be stored otherwise."""
    liquidations = house.database.contents.liquidations
    (key,) = [key for key, each in liquidations.items() if each.liquidation_id == name]
    liquidations[key] = replace(liquidations[key], **changes)


async def test_where_nobody_can_say_where_the_rest_would_end_a_report_ends_nothing(approved):
    """An order is left in something that the market does not value by now."""
    house, _, name = approved
    stored = await house.ports.liquidations.get_liquidation(CORE, name)
    unknown = LiquidationOrder(replace(stored.orders[0].trade, instrument_id=InstrumentId("SOL-PERP")))
    await changed(house, name, orders=(*stored.orders, unknown))
    found = await report(house, name, a_fill(-1))
    assert (found.liquidation.state, found.liquidation.standing) == (LiquidationState.EXECUTING, None)
    assert "trades SOL-PERP, which this market does not value" in (await refusal_of(house, name)).message


async def test_at_its_target_to_the_digit_nothing_more_is_traded(approved):
    house, _, name = approved
    view = await house.current_market()
    now = view.margin(portfolio_of(await house.ports.books.account_state(CORE))).utilization
    stored = await house.ports.liquidations.get_liquidation(CORE, name)
    one = LiquidationOrder(replace(stored.orders[0].trade, quantity=Decimal("-0.001")))
    for target, reason in ((now, Reason.NOT_IN_LIQUIDATION), (now - Decimal("0.000001"), None)):
        await changed(house, name, target_utilization=target, orders=(one,))
        told = await refusal_of(house, name)
        assert (told and told.reason) == reason


async def test_a_list_says_what_has_expired_though_nobody_has_written_it_down(approved):
    house, _, name = approved
    house.clock.move_to((await house.ports.liquidations.get_liquidation(CORE, name)).expires_at)
    (listed,) = await house.use_cases.read_liquidation.list(LiquidationFilter(), Page(9))
    assert listed.state is LiquidationState.EXPIRED


async def test_one_request_id_ends_one_liquidation_for_one_reason(approved):
    house, _, name = approved
    _, other = await approve(house, minute=4)
    caller = house.caller(principal="carol")
    await house.use_cases.abandon_liquidation(CORE, other, text="the client has paid", caller=caller)
    for liquidation, text in ((name, "the client has paid"), (other, "another reason")):
        await refused(house.use_cases.abandon_liquidation(CORE, liquidation, text=text, caller=caller), Reason.REQUEST_ID_REUSED)
