"""A liquidation lives by its rules: what a fill does to its orders, what is to be looked at, and what ends it, to the digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, PendingRequestId, SnapshotId
from crossmargin.domain.liquidation import PlannedTrade
from crossmargin.domain.liquidation_life import (
    OPEN_STATES,
    Fill,
    FillFlag,
    Liquidation,
    LiquidationOrder,
    LiquidationState,
    LiquidationStepKind,
    abandoned,
    approved,
    check_open,
    expired,
    filled,
    recovered,
    reviewed,
    superseded,
    unreported,
)
from crossmargin.domain.margin import Band
from crossmargin.domain.money import exact_sum
from crossmargin.domain.pending_request import Persons
from crossmargin.domain.stress import StressStanding

D = Decimal
CORE = AccountRef(ClientId("alpha"), AccountId("core"))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
PERP, BTC, ETH = InstrumentId("PERP"), InstrumentId("BTC"), InstrumentId("ETH")
ENDED = [state for state in LiquidationState if state not in OPEN_STATES]


def an_order(name, quantity, limit, cost="0"):
    return PlannedTrade(InstrumentId(name), D(quantity), None, D(limit), D(limit), D(cost), D(0))


ORDERS = (
    an_order("PERP", "-2", "100", "4"),
    an_order("BTC", "0.5", "60000", "1"),
    an_order("PERP", "-3", "98", "8"),
    an_order("ETH", "1", "3000"),
)
BEFORE = StressStanding(D(10), D(20), D(2), Band.LIQUIDATION)
PROMISED = StressStanding(D(10), D("7.5"), D("0.75"), Band.AT_RISK)
NEW = approved(
    Liquidation(
        account=CORE,
        liquidation_id=PendingRequestId("0f3a5b7c9d1e2f40"),
        state=LiquidationState.APPROVED,
        orders=tuple(map(LiquidationOrder, ORDERS)),
        target_utilization=D("0.75"),
        snapshot_id=SnapshotId("0" * 32),
        sequence=7,
        approved_snapshot_id=SnapshotId("1" * 32),
        persons=Persons("alice", "bob"),
        approved_at=NOW,
        expires_at=NOW + timedelta(hours=4),
        before=BEFORE,
        promised=PROMISED,
        estimated_cost=D(13),
    )
).liquidation


def fill(name, quantity, price="100", *, cost="0", value="0"):
    return Fill(InstrumentId(name), D(quantity), D(price), 9, D(cost), D(value))


def after(liquidation, *fills, at=NOW):
    """The liquidation after fills, and the flags of the last one."""
    flags = frozenset()
    for each in fills:
        change = filled(liquidation, each, each.price, at=at, by="olivia")
        liquidation, flags = change.liquidation, change.step.fill.flags
    return liquidation, flags


def done(liquidation=NEW):
    return after(liquidation, fill("PERP", -5), fill("BTC", "0.5"), fill("ETH", 1))[0]


def in_state(state):
    return replace(NEW, state=state, ended_at=None if state in OPEN_STATES else NOW)


def standing(utilization):
    return replace(BEFORE, utilization=None if utilization is None else D(utilization))


def test_a_fill_goes_to_the_first_order_of_its_instrument_until_that_is_done_and_what_is_too_much_to_the_last():
    now = NEW
    for quantity, of_first, of_second in (("-1.5", "-1.5", "0"), ("-1.5", "-2", "-1"), ("-2", "-2", "-3"), ("-7", "-2", "-10")):
        now, _ = after(now, fill("PERP", quantity))
        assert [order.filled for order in now.orders] == [D(of_first), 0, D(of_second), 0]
    assert [trade.instrument_id for trade in now.left] == [BTC, ETH], "an order that was overfilled leaves nothing, nor the other way round"
    assert now.state is LiquidationState.EXECUTING


def test_what_is_left_of_an_order_is_what_it_is_less_what_was_traded_signed_like_it():
    now, _ = after(NEW, fill("PERP", "-0.5"), fill("BTC", "0.2"))
    assert {trade.instrument_id: trade.quantity for trade in now.left if trade.instrument_id != PERP} == {BTC: D("0.3"), ETH: D(1)}
    assert [trade.quantity for trade in now.left if trade.instrument_id == PERP] == [D("-1.5"), D(-3)]
    assert [trade.quantity for trade in NEW.left] == [trade.quantity for trade in ORDERS]


@pytest.mark.parametrize(
    ("name", "quantity", "price", "is_beyond"),
    [
        ("PERP", "-1", "98", False),  # the worst of the limits of the instrument
        ("PERP", "-1", "97.99", True),
        ("PERP", "-1", "100.01", False),
        ("BTC", "0.1", "60000", False),
        ("BTC", "0.1", "60000.01", True),
        ("BTC", "0.1", "59999", False),
        ("ETH", "0.1", "3000", False),
        ("ETH", "0.1", "3000.01", True),  # within the limit of another instrument
    ],
)
def test_a_fill_at_the_limit_is_within_it_and_one_that_is_worse_by_a_digit_is_not(name, quantity, price, is_beyond):
    _, flags = after(NEW, fill(name, quantity, price))
    assert flags == ({FillFlag.BEYOND_LIMIT} if is_beyond else frozenset())


def test_of_several_purchases_the_highest_limit_counts():
    bought = replace(NEW, orders=tuple(LiquidationOrder(an_order("ETH", "1", limit)) for limit in ("98", "100", "99")))
    for price, flags in (("100", set()), ("100.01", {FillFlag.BEYOND_LIMIT})):
        assert after(bought, fill("ETH", "0.5", price))[1] == flags


def test_the_limit_is_held_against_what_was_paid_in_the_money_of_the_plan():
    """Sold for 80 euros, which are 100 dollars; and for what nobody can value, which is to be looked at."""
    paid = fill("PERP", -1, "80")
    for price, flags in ((D(100), set()), (D("97.99"), {FillFlag.BEYOND_LIMIT}), (None, {FillFlag.BEYOND_LIMIT})):
        assert filled(NEW, paid, price, at=NOW, by="olivia").step.fill.flags == flags


def test_all_that_was_planned_is_not_too_much_and_a_bit_more_is_whichever_order_it_came_to():
    whole, flags = after(NEW, fill("PERP", -5))
    assert flags == frozenset()
    _, flags = after(whole, fill("PERP", "-0.001"))
    assert flags == {FillFlag.OVERFILLED}
    over, _ = after(NEW, fill("PERP", -6))
    _, flags = after(over, fill("ETH", 1, "3000"))
    assert flags == frozenset(), "too much of one instrument is said of that one"
    _, flags = after(over, fill("PERP", -1))
    assert flags == {FillFlag.OVERFILLED}


@pytest.mark.parametrize(("opened", "filled_of_it"), [("0", "-4"), ("-1", "-3"), ("-4", "0")])
def test_what_of_a_fill_closed_nothing_counts_neither_for_the_orders_nor_for_the_cost(opened, filled_of_it):
    """It has opened a position, which is none of the liquidation's: what is planned is still to be closed, if anything is there."""
    now, flags = after(NEW, replace(fill("PERP", -4), opened=D(opened)))
    assert sum(order.filled for order in now.orders) == D(filled_of_it)
    assert flags == ({FillFlag.TURNED_OVER} if D(opened) else set())
    assert now.cost == D(12) * D(filled_of_it) / -5
    assert [order.left for order in now.orders if order.trade.instrument_id == PERP] == (
        [D(0), D(-1)] if opened == "0" else [D(0), D(-2)] if opened == "-1" else [D(-2), D(-3)]
    )


def test_a_fill_after_the_end_is_late_and_opens_nothing_again():
    for state in ENDED:
        late = filled(in_state(state), fill("PERP", -1), D(100), at=NOW, by="olivia")
        assert (late.liquidation.state, late.liquidation.ended_at, late.step.fill.flags) == (state, NOW, {FillFlag.LATE})
    over = filled(NEW, fill("PERP", -1), D(100), at=NEW.expires_at, by="olivia")
    assert (over.liquidation.state, over.step.fill.flags) == (LiquidationState.EXPIRED, {FillFlag.LATE})
    in_time = filled(NEW, fill("PERP", -1), D(100), at=NEW.expires_at - MOMENT, by="olivia")
    assert (in_time.liquidation.state, in_time.step.fill.flags) == (LiquidationState.EXECUTING, frozenset())


def test_costs_and_what_was_traded_add_up_over_all_fills_and_a_fill_has_its_share_of_the_estimate():
    now, _ = after(NEW, fill("PERP", "-2.5", cost="3", value="250"), fill("BTC", "0.1", cost="-1.5", value="6000"))
    # Of the twelve that five contracts were expected to cost half, and a fifth of the one for half a coin.
    assert (now.cost, now.traded_value) == (D(3) + D(6) + D("-1.5") + D("0.2"), D(6250))
    assert filled(NEW, fill("PERP", -1), D(100), at=NOW, by="olivia").step.fill.expected_cost == D("2.4")


def test_a_fill_is_heard_of_and_what_was_noted_about_silence_is_over():
    silent = replace(NEW, is_unreported=True)
    assert silent.heard_at == NOW
    later = NOW + timedelta(minutes=5)
    now, _ = after(silent, fill("PERP", -1), at=later)
    assert (now.heard_at, now.reported_at, now.is_unreported) == (later, later, False)


@pytest.mark.parametrize(("name", "quantity", "side"), [("PERP", "1", "purchase"), ("BTC", "-0.1", "sale"), ("SOL", "1", "purchase")])
def test_what_the_plan_does_not_trade_or_not_that_way_round_is_refused_by_name(name, quantity, side):
    with pytest.raises(DomainError, match=f"a {side} of {name}, which liquidation") as refused:
        after(NEW, fill(name, quantity))
    assert (refused.value.reason, refused.value.facts["value"]) == (Reason.INVALID_ARGUMENT, name)


def test_a_liquidation_that_has_ended_stays_as_it_ended_whatever_time_it_is():
    for state in LiquidationState:
        assert in_state(state).at(NEW.expires_at - MOMENT) == in_state(state)
        late = in_state(state).at(NEW.expires_at)
        if state in OPEN_STATES:
            assert (late.state, late.ended_at) == (LiquidationState.EXPIRED, NEW.expires_at)
        else:
            assert late == in_state(state)


def test_all_traded_is_done_whatever_that_came_to_and_says_so():
    ended = reviewed(done(), standing("0.9"), "would end at 0.9", at=NOW, by="olivia")
    assert (ended.liquidation.state, ended.liquidation.ended_at, ended.step.kind) == (LiquidationState.DONE, NOW, LiquidationStepKind.DONE)
    assert ended.step.text == "ended at utilization 0.9, 0.75 was promised; cost 13.00, 13 was expected"
    assert reviewed(done(), standing(None), "", at=NOW, by="olivia").step.text.startswith("ended at utilization infinite, ")
    unknown = reviewed(replace(done(), promised=standing(None)), None, "", at=NOW, by="olivia").step.text
    assert unknown.startswith("ended at an account that cannot be margined now, infinite was promised")


@pytest.mark.parametrize(("utilization", "is_cured"), [("0.75", True), ("0.750001", False), ("0", True), (None, False)])
def test_an_account_at_its_target_to_the_digit_needs_no_more(utilization, is_cured):
    change = reviewed(NEW, standing(utilization), "", at=NOW, by="olivia")
    assert (change is not None) is is_cured
    if change is not None:
        assert (change.liquidation.state, change.step.kind) == (LiquidationState.CURED, LiquidationStepKind.CURED)
        assert change.step.text == f"utilization is {utilization}, and 0.75 was to be reached"


def test_what_is_left_is_superseded_where_it_would_miss_and_goes_on_where_nobody_knows():
    change = reviewed(NEW, standing("0.9"), "trades more of PERP than is held by now", at=NOW, by="olivia")
    assert (change.liquidation.state, change.step.kind) == (LiquidationState.SUPERSEDED, LiquidationStepKind.SUPERSEDED)
    assert change.step.text == "what is left of it trades more of PERP than is held by now; plan again"
    assert reviewed(NEW, None, "", at=NOW, by="olivia") is None
    assert reviewed(NEW, standing("0.7"), "would end at 0.8", at=NOW, by="olivia").liquidation.state is LiquidationState.CURED


@pytest.mark.parametrize("state", ENDED)
def test_nothing_becomes_of_what_has_ended(state):
    ended = in_state(state)
    late = NEW.expires_at + timedelta(days=1)
    assert reviewed(replace(done(), state=state), standing("0.5"), "would end nowhere", at=NOW, by="olivia") is None
    assert expired(ended, at=late, by="crossmargin") is None
    assert unreported(ended, report_within=timedelta(0), at=late, by="crossmargin") is None
    assert recovered(ended, D(0), at=NOW, by="crossmargin") is None
    with pytest.raises(DomainError, match=f"is {state.value}; plan again") as refused:
        abandoned(ended, at=NOW, by="carol", text="why")
    assert refused.value.reason is Reason.LIQUIDATION_ENDED


def test_it_expires_at_its_time_and_not_a_moment_before():
    assert expired(NEW, at=NEW.expires_at - MOMENT, by="crossmargin") is None
    change = expired(after(NEW, fill("PERP", -5))[0], at=NEW.expires_at + timedelta(hours=1), by="crossmargin")
    assert (change.liquidation.state, change.liquidation.ended_at) == (LiquidationState.EXPIRED, NEW.expires_at)
    assert change.step.text == "2 of 4 orders are not done; plan again if the account is still short"
    with pytest.raises(DomainError, match="is expired"):
        check_open(NEW, NEW.expires_at)
    assert check_open(NEW, NEW.expires_at - MOMENT) is NEW


def test_silence_is_noted_after_so_long_to_the_moment_once_and_not_past_the_end():
    within = timedelta(minutes=30)
    now, _ = after(NEW, fill("PERP", -1), at=NOW + timedelta(minutes=10))
    heard = now.heard_at
    assert unreported(now, report_within=within, at=heard + within - MOMENT, by="crossmargin") is None
    change = unreported(now, report_within=within, at=heard + within, by="crossmargin")
    assert (change.liquidation.state, change.liquidation.is_unreported) == (LiquidationState.EXECUTING, True)
    assert change.step.text == "nothing was reported for 30 minutes; 4 of 4 orders are not done"
    assert unreported(change.liquidation, report_within=within, at=heard + 2 * within, by="crossmargin") is None
    assert unreported(now, report_within=within, at=NEW.expires_at, by="crossmargin") is None


@pytest.mark.parametrize(("highest", "is_over"), [("0.75", True), ("0.750001", False), (None, False)])
def test_the_monitor_ends_what_is_not_needed_at_the_least_favourable_end(highest, is_over):
    change = recovered(NEW, None if highest is None else D(highest), at=NOW, by="crossmargin")
    assert (change is not None) is is_over
    if change is not None:
        assert (change.liquidation.state, change.liquidation.ended_at) == (LiquidationState.CURED, NOW)
    assert recovered(NEW, D(0), at=NEW.expires_at, by="crossmargin") is None, "that one has expired, and is to be told so"


def test_another_takes_its_place_by_name_and_whoever_ends_it_says_why():
    change = superseded(NEW, PendingRequestId("1" * 16), at=NOW, by="alice and bob")
    assert (change.liquidation.state, change.step.text) == (LiquidationState.SUPERSEDED, f"liquidation {'1' * 16} was approved")
    with pytest.raises(DomainError) as refused:
        abandoned(NEW, at=NOW, by="carol", text="  ")
    assert refused.value.reason is Reason.INVALID_ARGUMENT


FILLS = st.lists(
    st.tuples(st.sampled_from(["PERP", "BTC", "ETH"]), st.decimals("0.001", "4", places=3), st.decimals(50, 150, places=2)), max_size=8
)


@given(FILLS)
def test_whatever_is_filled_no_unit_is_lost_or_counted_twice_and_steps_are_numbered_without_gaps(fills):
    now, numbers = NEW, [1]
    for name, size, price in fills:
        change = filled(now, fill(name, -size if name == "PERP" else size, price, value=size * price), price, at=NOW, by="olivia")
        now = change.liquidation
        numbers.append(change.step.number)
    for name in ("PERP", "BTC", "ETH"):
        own = [order for order in now.orders if order.trade.instrument_id == name]
        traded = exact_sum(size for one, size, _ in fills if one == name)
        assert abs(exact_sum(order.filled for order in own)) == traded
        assert all(abs(order.filled) <= abs(order.trade.quantity) for order in own[:-1]), "only the last one is more than full"
        planned = abs(exact_sum(order.trade.quantity for order in own))
        assert abs(exact_sum(order.left for order in own)) == max(D(0), planned - traded)
    assert numbers == list(range(1, len(fills) + 2))
    assert now.traded_value == exact_sum(size * price for _, size, price in fills)
