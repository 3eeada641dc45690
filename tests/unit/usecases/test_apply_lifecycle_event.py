"""An event reaches every account that it concerns once, whatever breaks and whoever asks again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountStatus
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import AmericanOption, DatedFuture, Instrument, OptionRight, Payoff
from crossmargin.domain.lifecycle_event import (
    Delivery,
    Exercise,
    FinalSettlement,
    Funding,
    LifecycleEvent,
    Maturity,
    Variation,
)
from crossmargin.usecases.apply_lifecycle_event import Applied
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, NOON, USD, perpetual_trade
from tests.unit.usecases.refusals import refused

D = Decimal
FUTURE = Instrument(InstrumentId("BTC-MAR"), DatedFuture(BTC, USD, D(1), Payoff.LINEAR, NOON), 3)
OPTION = Instrument(InstrumentId("BTC-PUT"), AmericanOption(BTC, USD, D(1), OptionRight.PUT, D(61_000), NOON), 3)


def funding(rate="0.0001", *, at=NOON, price="60000") -> LifecycleEvent:
    return LifecycleEvent(BTC_PERP, at, Funding(D(rate), D(price)))


async def run(house, event, account=None, *, caller=None):
    return [one async for one in house.use_cases.apply_lifecycle_event(event, account, caller=caller or house.caller())]


async def held(house, account=CORE):
    state = await house.ports.books.account_state(account)
    return {position.instrument_id: (position.quantity, position.cost) for position in state.positions}


def said(outcomes):
    return [(one.account.account_id, one.applied, one.sequence) for one in outcomes]


async def trade(house, instrument, quantity, price, account=CORE):
    deal = replace(perpetual_trade(quantity, price=price, account=account), instrument_id=instrument.instrument_id)
    (outcome,) = (await house.use_cases.record_trades(account, [deal], caller=house.caller())).outcomes
    return outcome.sequence


@pytest.fixture
async def short(house):
    """An account on the other side."""
    ref = await house.open_account("short")
    await house.trade("-3", account=ref)
    await house.trade("3")
    return ref


async def test_an_event_is_applied_to_every_holder_by_name_and_what_longs_pay_shorts_get(house, short):
    await house.open_account("idle")
    outcomes = await run(house, funding())
    assert said(outcomes) == [("core", Applied.BOOKED, 2), ("short", Applied.BOOKED, 2)]
    assert [one.amounts for one in outcomes] == [((USD, D(-18)),), ((USD, D(18)),)]
    assert (await held(house))[USD] == (-18, 0)
    assert (await held(house, short))[USD] == (18, 0)


async def test_an_event_is_paid_once_under_any_request_id(house, short):
    caller = house.caller()
    await run(house, funding(), caller=caller)
    again = await run(house, funding(), caller=caller)
    assert [(one.applied, one.replayed) for one in again] == [(Applied.BOOKED, True)] * 2
    other = await run(house, funding())
    assert said(other) == [("core", Applied.ALREADY_BOOKED, 2), ("short", Applied.ALREADY_BOOKED, 2)]
    assert [one.amounts for one in other] == [one.amounts for one in again]
    assert (await held(house))[USD] == (-18, 0)
    await run(house, funding(at=NOON - timedelta(hours=8)))  # another funding: nothing was held then
    assert (await held(house))[USD] == (-18, 0)


async def test_a_run_that_broke_goes_on_where_it_stopped(house, short):
    caller = house.caller()
    broken = house.use_cases.apply_lifecycle_event(funding(), None, caller=caller)
    assert (await anext(broken)).account == CORE
    await broken.aclose()
    assert [(one.applied, one.replayed) for one in await run(house, funding(), caller=caller)] == [
        (Applied.BOOKED, True),
        (Applied.BOOKED, False),
    ]
    assert ((await held(house))[USD], (await held(house, short))[USD]) == ((-18, 0), (18, 0))


async def test_the_same_event_with_another_rate_is_refused_until_the_first_is_taken_back(house, short):
    await run(house, funding())
    wrong = await run(house, funding("0.0002"))
    assert [(one.applied, one.refusal.reason) for one in wrong] == [(Applied.REFUSED, "ALREADY_EXISTS")] * 2
    assert "entry 2 with price 60000, rate 0.0001; it now came with price 60000, rate 0.0002" in wrong[0].refusal.message
    await house.use_cases.cancel_lifecycle_event(CORE, 2, reason="rate was wrong", caller=house.caller())
    corrected = await run(house, funding("0.0002"), CORE)
    assert said(corrected) == [("core", Applied.BOOKED, 4)]
    assert (await held(house))[USD] == (-36, 0)


async def test_funding_is_paid_on_what_was_held_at_its_time(house):
    await house.trade("3")
    late = replace(perpetual_trade("5"), executed_at=NOON + timedelta(seconds=1))
    early = replace(perpetual_trade("1"), executed_at=NOON - timedelta(hours=1))
    await house.use_cases.record_trades(CORE, [late, early], caller=house.caller())
    assert [one.amounts for one in await run(house, funding())] == [((USD, D(-24)),)]


async def test_whoever_sold_since_still_gets_what_was_due_then(house):
    await house.trade("3")
    closing = replace(perpetual_trade("-3"), executed_at=NOON + timedelta(seconds=1))
    await house.use_cases.record_trades(CORE, [closing], caller=house.caller())
    assert [one.amounts for one in await run(house, funding())] == [((USD, D(-18)),)]


async def test_variation_moves_the_profit_from_cost_to_cash(house):
    await house.trade("3")
    (outcome,) = await run(house, LifecycleEvent(BTC_PERP, NOON, Variation(D(61_000))))
    assert outcome.amounts == ((USD, D(3_000)),)
    assert await held(house) == {BTC_PERP: (3, 183_000), USD: (3_000, 0)}


async def test_an_end_takes_what_a_late_trade_brings_in_too(house):
    await house.use_cases.create_instrument(FUTURE, caller=house.caller())
    await trade(house, FUTURE, "2", "60000")
    end = LifecycleEvent(FUTURE.instrument_id, NOON, FinalSettlement(D(61_000)))
    assert said(await run(house, end)) == [("core", Applied.BOOKED, 2)]
    assert said(await run(house, end)) == [("core", Applied.ALREADY_BOOKED, 2)]
    await trade(house, FUTURE, "1", "60500")
    assert said(await run(house, end)) == [("core", Applied.BOOKED, 4)]
    assert await held(house) == {USD: (2_500, 0)}
    entry = await house.ports.books.get_entry(CORE, 4)
    assert entry.entry.entry.details.event == "final settlement BTC-MAR #2"
    await trade(house, FUTURE, "1", "60500")
    other_price = replace(end, happening=FinalSettlement(D(62_000)))
    assert [one.refusal.reason for one in await run(house, other_price)] == ["ALREADY_EXISTS"]


async def test_a_holder_exercises_a_part_and_a_writer_is_assigned(house, short):
    await house.use_cases.create_instrument(OPTION, caller=house.caller())
    await trade(house, OPTION, "5", "900")
    await trade(house, OPTION, "-5", "900", short)
    part = LifecycleEvent(OPTION.instrument_id, NOON, Exercise(D(60_000), Delivery.PHYSICAL, D(2)))
    await refused(anext(house.use_cases.apply_lifecycle_event(part, None, caller=house.caller())), Reason.INVALID_EVENT)
    for account, sign in ((CORE, 1), (short, -1)):
        before = await held(house, account)
        (outcome,) = await run(house, part, account)
        assert outcome.amounts == ((BTC, D(-2 * sign)), (OPTION.instrument_id, D(-2 * sign)), (USD, D(122_000 * sign)))
        assert (await run(house, part, account))[0].applied is Applied.ALREADY_BOOKED
        assert (await held(house, account))[OPTION.instrument_id][0] == before[OPTION.instrument_id][0] - 2 * sign


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (LifecycleEvent(InstrumentId("NOTHING"), NOON, Maturity()), Reason.UNKNOWN_INSTRUMENT),
        (LifecycleEvent(BTC_PERP, NOON, Maturity()), Reason.INVALID_EVENT),
        (funding(price="0"), Reason.INVALID_PRICE),
        (funding(at=NOON + timedelta(seconds=2)), Reason.EVENT_NOT_DUE),
    ],
)
async def test_what_fits_nobody_fails_the_call_before_anything_is_booked(house, event, reason):
    await house.trade("3")
    await refused(run(house, event), reason)
    assert (await house.ports.books.account_state(CORE)).head.sequence == 1


async def test_an_account_that_refuses_does_not_hold_up_the_others(house, short):
    heads = house.database.contents.heads
    heads[CORE] = replace(heads[CORE], status=AccountStatus.CLOSED)
    outcomes = await run(house, funding())
    assert [(one.applied, one.refusal and one.refusal.reason) for one in outcomes] == [
        (Applied.REFUSED, "ACCOUNT_CLOSED"),
        (Applied.BOOKED, None),
    ]


async def test_storage_that_fails_ends_the_run_and_not_the_account(house, short):
    class Failing:
        async def write(self, request, decide):
            raise DomainError(Reason.STORAGE_UNAVAILABLE, "no answer")

    event = replace(house.use_cases.apply_lifecycle_event, writer=Failing())
    await refused(anext(event(funding(), None, caller=house.caller())), Reason.STORAGE_UNAVAILABLE)


async def test_what_is_booked_between_the_look_and_the_lock_is_seen(house):
    await house.trade("3")

    class Racing:
        """Lets somebody else in after the books were looked at."""

        async def write(self, request, decide):
            if request.method == "ApplyLifecycleEvent":
                await house.trade("1")
            return await house.ports.writer.write(request, decide)

    event = replace(house.use_cases.apply_lifecycle_event, writer=Racing())
    assert [one.amounts async for one in event(funding(), None, caller=house.caller())] == [((USD, D(-24)),)]


async def test_an_unknown_account_is_refused(house):
    stranger = replace(CORE, client_id=type(CORE.client_id)("nobody"))
    await refused(run(house, funding(), stranger), Reason.UNKNOWN_ACCOUNT)


async def test_events_are_facts_that_a_halt_does_not_refuse(house):
    await house.trade("3")
    house.database.is_halted = True
    assert [one.applied for one in await run(house, funding())] == [Applied.BOOKED]
