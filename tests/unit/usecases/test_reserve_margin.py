"""Orders are decided with everything that is open already, refused for good, and never held up when they reduce risk."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.book import EntryKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import BookId, InstrumentId, OffsetGroupId
from crossmargin.domain.reservation import MOST_OPEN, Order, ReservationKind, ReservationStatus
from crossmargin.domain.trade_flag import TradeFlag
from crossmargin.usecases.reap_reservations import ReapReservations
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, USD, perpetual_trade, spot_trade

D = Decimal
RESTING, IMMEDIATE = ReservationKind.RESTING, ReservationKind.IMMEDIATE


def an_order(quantity, *, price="60000", kind=RESTING, lifetime_s=60, instrument=BTC_PERP, settlement=None, account=CORE):
    return Order(account, BookId("main"), InstrumentId(instrument), D(quantity), D(price), kind, timedelta(seconds=lifetime_s), settlement)


async def reserve(house, quantity, *, key=None, **terms):
    return await house.use_cases.reserve_margin(an_order(quantity, **terms), caller=house.caller(key))


async def refusal(call):
    with pytest.raises(DomainError) as refused:
        await call
    return refused.value


async def fill(house, quantity, reservation, *, price="60000"):
    trade = replace(perpetual_trade(quantity, price=price), reservation=reservation)
    recorded = await house.use_cases.record_trades(CORE, [trade], caller=house.caller())
    return recorded.outcomes[0]


async def standing(house):
    return await house.use_cases.read_standing(CORE)


async def open_quantities(house):
    return [one.remaining for one in (await standing(house)).reservations]


async def initial_margin(house, quantity="1"):
    """What one contract needs."""
    preview = await house.use_cases.preview_trades(CORE, [perpetual_trade(quantity)])
    return preview.after.requirement.initial_margin


async def test_an_order_that_fits_is_held_and_moves_no_margin(house):
    await house.deposit("100000")
    before = await house.use_cases.evaluate_margin(CORE)
    reserved = await reserve(house, "1")
    after = await standing(house)
    assert (after.margin.requirement, after.margin.equity) == (before.requirement, before.equity)
    assert reserved.before.initial_margin == 0
    assert reserved.after == after.need
    assert after.need.initial_margin == await initial_margin(house) > 0
    assert after.need.excess == 100_000 - after.need.initial_margin
    assert [one.sequence for one in after.reservations] == [reserved.reservation.sequence] == [2]
    entries = await house.ports.books.list_entries(CORE, after_sequence=1, limit=9)
    assert [(entry.entry.kind, entry.entry.reference) for entry in entries] == [
        (EntryKind.RESERVATION, "main BTC-PERP 1 60000 - resting 60 60000 - desk ")
    ]


async def test_orders_that_fit_alone_do_not_fit_together(house):
    """Six holds of 1,000 on 5,000: every one is counted in the next decision."""
    one = await initial_margin(house)
    await house.deposit(str(one * 5 + 1))
    outcomes = []
    for _ in range(6):
        try:
            outcomes.append((await reserve(house, "1")).reservation.sequence)
        except DomainError as error:
            outcomes.append(error.reason)
    assert outcomes == [2, 3, 4, 5, 6, Reason.INSUFFICIENT_MARGIN]


async def test_sixteen_orders_at_once_use_the_margin_once(house):
    await house.deposit(str(await initial_margin(house) * 3 + 1))
    results = await asyncio.gather(*(reserve(house, "1") for _ in range(16)), return_exceptions=True)
    assert sum(not isinstance(result, DomainError) for result in results) == 3
    assert {result.reason for result in results if isinstance(result, DomainError)} == {Reason.INSUFFICIENT_MARGIN}


async def test_a_refusal_is_for_good_under_its_key_and_says_what_was_missing(house):
    first = await refusal(reserve(house, "1", key="k1"))
    assert first.reason is Reason.INSUFFICIENT_MARGIN
    assert D(first.facts["excess_after"]) == -await initial_margin(house)
    await house.deposit("1000000")
    again = await refusal(reserve(house, "1", key="k1"))
    assert (again.reason, again.message, again.facts) == (first.reason, first.message, first.facts)
    assert await open_quantities(house) == []
    reserved = await reserve(house, "1", key="k2")
    replay = await reserve(house, "1", key="k2")
    assert replay == replace(reserved, replayed=True)
    assert (await refusal(reserve(house, "2", key="k2"))).reason is Reason.REQUEST_ID_REUSED
    assert await open_quantities(house) == [1]


async def test_what_reduces_risk_is_never_held_up(house):
    await house.deposit("10000")
    await house.trade("1")
    await house.publish("57000")
    assert (await house.use_cases.evaluate_margin(CORE)).excess_to_initial < 0
    assert (await refusal(reserve(house, "0.01"))).reason is Reason.INSUFFICIENT_MARGIN
    assert (await reserve(house, "-0.4", price="56900")).reservation.sequence == 3
    assert (await reserve(house, "-0.4", price="56900")).reservation.sequence == 4


async def test_two_reducing_orders_may_not_turn_the_position_round(house):
    await house.deposit("10000")
    await house.trade("1")
    await house.publish("57000")
    await reserve(house, "-1", price="56900")
    assert (await refusal(reserve(house, "-2", price="56900"))).reason is Reason.INSUFFICIENT_MARGIN


async def test_closing_at_a_giveaway_price_reduces_nothing(house):
    """It lowers the margin and throws away the equity: the deficit grows."""
    await house.deposit("10000")
    await house.trade("1")
    await house.publish("57000")
    assert (await refusal(reserve(house, "-1", price="20000"))).reason is Reason.INSUFFICIENT_MARGIN


async def test_an_order_at_a_bad_price_counts_with_what_it_loses_at_once(house):
    await house.deposit("100000")
    at_mark, above = await reserve(house, "1"), await reserve(house, "-1", price="59000")
    assert at_mark.after.excess - above.after.excess > 0
    dear = await reserve(house, "0.5", price="70000")
    assert above.after.excess - dear.after.excess >= D("5000")


async def test_a_buy_and_a_sell_do_not_hedge_one_another(house):
    """Either may fill without the other; only a position is a hedge."""
    one = await initial_margin(house)
    await house.deposit(str(one + 1_000))
    bought = await reserve(house, "1", price="59999")
    sold = await reserve(house, "-1", price="60001")
    assert bought.after.initial_margin == one
    assert sold.after.initial_margin >= one
    assert (await refusal(reserve(house, "0.5"))).reason is Reason.INSUFFICIENT_MARGIN


async def test_fills_convert_their_part_and_the_rest_stays_held(house):
    await house.deposit("100000")
    held = (await reserve(house, "1")).reservation.sequence
    need = (await standing(house)).need
    for quantity, left in (("0.25", [D("0.75")]), ("0.5", [D("0.25")]), ("0.25", [])):
        assert (await fill(house, quantity, held)).flags == frozenset()
        assert await open_quantities(house) == left
        now = await standing(house)
        assert now.need.excess == pytest.approx(need.excess, abs=D("0.05"))
        assert now.need.initial_margin == pytest.approx(need.initial_margin, abs=D("0.05"))
    assert (await standing(house)).need.excess == (await house.use_cases.evaluate_margin(CORE)).excess_to_initial
    (done,) = await house.ports.books.list_reservations(CORE, after_sequence=0, limit=9)
    assert (done.status, done.filled) == (ReservationStatus.FILLED, 1)
    words = [entry.entry.reference for entry in await house.ports.books.list_entries(CORE, after_sequence=2, limit=9)]
    assert words[1::2] == ["2 filled 0.25 by 3", "2 filled 0.5 by 5", "2 filled 0.25 by 7"]


async def test_one_batch_may_fill_a_reservation_twice(house):
    await house.deposit("100000")
    held = (await reserve(house, "1")).reservation.sequence
    trades = [replace(perpetual_trade(quantity), reservation=held) for quantity in ("0.25", "0.5")]
    recorded = await house.use_cases.record_trades(CORE, trades, caller=house.caller())
    assert [(outcome.sequence, outcome.flags) for outcome in recorded.outcomes] == [(3, frozenset()), (5, frozenset())]
    assert recorded.as_of_sequence == 6
    assert await open_quantities(house) == [D("0.25")]


async def test_a_fill_of_what_was_never_or_otherwise_reserved_is_booked_and_flagged(house):
    await house.deposit("100000")
    held = (await reserve(house, "1")).reservation.sequence
    assert (await fill(house, "1", 99)).flags == {TradeFlag.UNKNOWN_RESERVATION}
    assert (await fill(house, "-1", held)).flags == {TradeFlag.NOT_AS_RESERVED}
    assert await open_quantities(house) == [1]
    assert (await fill(house, "0.5", held, price="60001")).flags == {TradeFlag.WORSE_THAN_RESERVED}
    assert (await fill(house, "0.7", held)).flags == {TradeFlag.BEYOND_RESERVATION}
    assert (await fill(house, "0.1", held)).flags == {TradeFlag.BEYOND_RESERVATION}
    state = await house.use_cases.read_account(CORE)
    assert {position.instrument_id: position.quantity for position in state.positions}[BTC_PERP] == D("1.3")


async def test_a_release_ends_the_hold_once(house):
    await house.deposit("100000")
    held = (await reserve(house, "1")).reservation.sequence
    caller = house.caller("k1")
    released = await house.use_cases.release_reservation(CORE, held, caller=caller)
    assert (released.sequence, released.replayed) == (3, False)
    assert (await house.use_cases.release_reservation(CORE, held, caller=caller)).replayed
    assert await open_quantities(house) == []
    ended = await refusal(house.use_cases.release_reservation(CORE, held, caller=house.caller()))
    assert (ended.reason, ended.facts["status"]) == (Reason.RESERVATION_ENDED, "released")
    unknown = await refusal(house.use_cases.release_reservation(CORE, 1, caller=house.caller()))
    assert unknown.reason is Reason.UNKNOWN_RESERVATION
    assert (await fill(house, "1", held)).flags == {TradeFlag.AFTER_RELEASE}


async def test_an_immediate_order_past_its_time_is_not_counted_and_its_fill_is_flagged(house):
    await house.deposit("100000")
    held = (await reserve(house, "1", kind=IMMEDIATE, lifetime_s=5)).reservation.sequence
    house.database.clock_offset += timedelta(seconds=5)
    assert await open_quantities(house) == []
    assert (await fill(house, "1", held)).flags == {TradeFlag.AFTER_EXPIRY}
    reaper = ReapReservations(house.ports.writer, house.ports.books, house.clock)
    assert (await reaper.run_once(), await reaper.run_once()) == (1, 0)
    entries = await house.ports.books.list_entries(CORE, after_sequence=3, limit=9)
    assert [entry.entry.reference for entry in entries] == ["2 expired"]
    assert (await house.use_cases.read_account(CORE)).head.sequence == 4


async def test_a_resting_order_past_its_time_is_suspect_and_still_counted(house):
    await house.deposit("100000")
    held = (await reserve(house, "1", lifetime_s=5)).reservation.sequence
    need = (await standing(house)).need
    house.database.clock_offset += timedelta(days=5)
    now = await standing(house)
    assert ([one.status for one in now.reservations], now.need) == ([ReservationStatus.SUSPECT], need)
    assert await ReapReservations(house.ports.writer, house.ports.books, house.clock).run_once() == 0
    assert (await fill(house, "0.5", held)).flags == {TradeFlag.SUSPECT_RESERVATION}
    await house.use_cases.release_reservation(CORE, held, caller=house.caller())
    assert await open_quantities(house) == []


async def test_a_spot_order_holds_what_it_would_pay(house):
    await house.deposit("100000")
    reserved = await reserve(house, "1", instrument=BTC, settlement=USD)
    assert (reserved.reservation.paid_in, reserved.reservation.consideration) == (USD, 60_000)
    filled = await house.use_cases.preview_trades(CORE, [spot_trade("1")])
    assert reserved.after.excess == min(D(100_000), filled.after.excess_to_initial)


async def test_a_preview_says_what_a_reservation_would(house):
    one = await initial_margin(house)
    await house.deposit(str(one * 2 + 1))
    await reserve(house, "1")
    for quantity in ("0.5", "1", "1.1", "-0.5", "-2.5"):
        preview = await house.use_cases.preview_trades(CORE, [perpetual_trade(quantity)])
        if not preview.acceptable:
            refused = await refusal(reserve(house, quantity))
            assert D(refused.facts["excess_after"]) == preview.need_after.excess
            continue
        reserved = await reserve(house, quantity)
        assert (reserved.before, reserved.after) == (preview.need_before, preview.need_after)
        await house.use_cases.release_reservation(CORE, reserved.reservation.sequence, caller=house.caller())


async def test_a_market_that_moved_is_decided_on_and_not_the_one_before(house):
    one = await initial_margin(house)
    await house.deposit(str(one + 1))
    await reserve(house, "0.5")
    runs = house.compute.run_count
    await house.publish("30000")
    assert (await refusal(reserve(house, "0.01", price="30000"))).reason is Reason.INSUFFICIENT_MARGIN
    assert house.compute.run_count > runs


async def test_too_many_open_reservations_are_refused(house, monkeypatch):
    monkeypatch.setattr("crossmargin.usecases.reserve_margin.MOST_OPEN", 2)
    await house.deposit("1000000")
    for _ in range(2):
        await reserve(house, "0.1")
    refused = await refusal(reserve(house, "0.1"))
    assert (refused.reason, refused.facts["expected"]) == (Reason.TOO_MANY_RESERVATIONS, "2")
    assert MOST_OPEN == 200


@pytest.mark.parametrize("client", [True, False])
async def test_a_halt_refuses_orders_even_those_that_reduce_and_binds_the_refusal(house, client):
    await house.deposit("100000")
    await house.trade("1")
    held = (await reserve(house, "-0.5")).reservation.sequence
    scope = CORE.client_id if client else None
    halted = await house.use_cases.halt_trading(scope, reason="a runaway algorithm", caller=house.caller(principal="alice"))
    assert (halted.is_halted, halted.changed_by, halted.reason) == (True, "alice", "a runaway algorithm")
    refused = await refusal(reserve(house, "-0.5", key="k1"))
    assert (refused.reason, refused.facts["halt_reason"]) == (Reason.HALTED, "a runaway algorithm")
    assert (await fill(house, "-0.25", held)).flags == frozenset()
    await house.use_cases.release_reservation(CORE, held, caller=house.caller())
    await house.resume(scope)
    assert (await refusal(reserve(house, "-0.5", key="k1"))).reason is Reason.HALTED
    assert (await reserve(house, "-0.5")).reservation.sequence > held


async def limit(house, *, account=CORE.account_id, **limits):
    await house.limit(ExposureLimits(CORE.client_id, account, **limits))


@pytest.mark.parametrize("account", [CORE.account_id, None])
@pytest.mark.parametrize(
    "limits", [{"gross": D(120_000)}, {"net": D(120_000)}, {"groups": {OffsetGroupId("BTC"): D(120_000)}}], ids=["gross", "net", "group"]
)
async def test_open_orders_never_come_over_a_limit_together(house, limits, account):
    await house.deposit("1000000")
    await limit(house, account=account, **limits)
    await house.trade("1")
    await reserve(house, "1")
    refused = await refusal(reserve(house, "0.01"))
    assert refused.reason is Reason.LIMIT_EXCEEDED
    assert (D(refused.facts["expected"]), D(refused.facts["value"])) == (120_000, 120_600)
    await reserve(house, "-1")


async def test_one_order_is_held_against_its_own_limit(house):
    await house.deposit("1000000")
    await limit(house, order_notional=D(60_000))
    assert (await refusal(reserve(house, "1.001"))).facts["limit"] == "order"
    await reserve(house, "1")


async def test_a_trade_over_a_limit_is_booked_and_flagged_and_one_that_leads_back_is_not(house):
    await house.deposit("1000000")
    await limit(house, gross=D(60_000))
    assert (await fill(house, "1", None)).flags == {TradeFlag.LIMITS_NOT_CHECKED}
    await house.current_market()
    assert (await fill(house, "0.5", None)).flags == {TradeFlag.LIMIT_BREACHED}
    assert (await fill(house, "-0.25", None)).flags == frozenset()
    assert house.ports.request_reports.flags == {TradeFlag.LIMITS_NOT_CHECKED: 1, TradeFlag.LIMIT_BREACHED: 1}
    (usage,) = (await standing(house)).limits
    assert (usage.name, usage.used, usage.is_breached) == ("gross", 75_000, True)
    assert (await refusal(reserve(house, "0.1"))).reason is Reason.LIMIT_EXCEEDED
    assert (await reserve(house, "-0.5")).after.excess > 0
