"""A coupon, a funding or an end that nobody booked is noticed, in the accounts that it is missing in and in no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import FixedRateBond, Instrument
from crossmargin.domain.lifecycle_event import Coupon, FinalSettlement, LifecycleEvent
from crossmargin.usecases.list_due_events import LOOK_BACK
from crossmargin.usecases.watch_due_events import WatchDueEvents
from tests.unit.domain import instruments as the
from tests.unit.usecases.house import BTC_PERP, CORE, NOON, perpetual_trade
from tests.unit.usecases.test_apply_lifecycle_event import FUTURE, funding, run, trade

D = Decimal
BOND = Instrument(
    InstrumentId("UST"), the.bond(issue_date=NOON.date() - timedelta(days=600), maturity_date=NOON.date() + timedelta(days=1000)), 2
)


async def due(house, account=None):
    return [(event.account.account_id, event.name) for event in await house.use_cases.list_due_events(account)]


async def buy_bond(house, quantity="1000", *, days_ago=0):
    deal = replace(perpetual_trade(quantity, price="100"), instrument_id=BOND.instrument_id, executed_at=NOON - timedelta(days=days_ago))
    await house.use_cases.record_trades(CORE, [deal], caller=house.caller())


@pytest.fixture
async def bond(house):
    assert isinstance(BOND.terms, FixedRateBond)
    await house.use_cases.create_instrument(BOND, caller=house.caller())
    return house


async def test_nothing_is_due_of_what_is_only_held_or_not_held_at_all(bond):
    await bond.trade("1")
    assert await due(bond) == []
    await buy_bond(bond)
    assert await due(bond) == [], "it was bought after its last coupon"


async def test_a_coupon_of_what_was_held_is_due_until_it_is_booked_and_again_when_that_is_taken_back(bond):
    await buy_bond(bond, days_ago=300)
    missing = [name for _, name in await due(bond)]
    assert missing
    assert {account for account, _ in await due(bond)} == {"core"}
    for name in missing:
        day = NOON.date().fromisoformat(name.split()[-1])
        event = LifecycleEvent(BOND.instrument_id, NOON, Coupon(day))
        assert event.name == name
        (outcome,) = await run(bond, event)
    assert await due(bond) == []
    await bond.use_cases.cancel_lifecycle_event(CORE, outcome.sequence, reason="wrong", caller=bond.caller())
    assert await due(bond) == [("core", missing[-1])]
    await run(bond, event)
    assert await due(bond) == [], "it was booked once more"


async def test_payments_of_long_ago_are_not_looked_for(bond):
    await buy_bond(bond, days_ago=590)
    found = await bond.use_cases.list_due_events()
    assert found
    assert all(event.due > NOON - LOOK_BACK for event in found)
    assert list(found) == sorted(found, key=lambda event: event.due)


async def test_what_has_ended_is_due_while_anything_of_it_is_held(house):
    await house.use_cases.create_instrument(FUTURE, caller=house.caller())
    await trade(house, FUTURE, "2", "60000")
    assert await due(house) == [("core", "final-settlement BTC-MAR")]
    await run(house, LifecycleEvent(FUTURE.instrument_id, NOON, FinalSettlement(D(61_000))))
    assert await due(house) == []


async def test_funding_that_one_account_has_booked_is_due_in_the_others_that_held_the_contract_then(house):
    short = await house.open_account("short")
    late = await house.open_account("late")
    await house.trade("-3", account=short)
    await house.trade("3")
    deal = replace(perpetual_trade("1", account=late), executed_at=NOON)
    await house.use_cases.record_trades(late, [deal], caller=house.caller())
    before = funding(at=NOON - timedelta(hours=8))
    assert await due(house) == []
    await run(house, before, CORE)
    assert await due(house) == [], "nobody held it then"
    now = funding(at=NOON)
    await run(house, now, CORE)
    assert await due(house) == [("late", now.name), ("short", now.name)]
    assert await due(house, short) == [("short", now.name)]
    await run(house, now)
    assert await due(house) == []
    assert BTC_PERP in now.name


class Reports:
    def __init__(self):
        self.told = []

    def due_events_seen(self, due):
        self.told.append(list(due))

    def withdraw_due_events(self):
        self.told.append(None)


async def test_the_leader_tells_since_when_and_withdraws_what_nobody_knows(house, monkeypatch):
    await house.use_cases.create_instrument(FUTURE, caller=house.caller())
    await trade(house, FUTURE, "2", "60000")
    reports = Reports()
    watch = WatchDueEvents(house.use_cases.list_due_events, reports, leadership=None, clock=house.clock)
    assert await watch._look()
    assert reports.told == [[NOON]]

    async def away(*_, **__):
        raise DomainError(Reason.SERVICE_BUSY, "busy")

    monkeypatch.setattr(type(house.ports.books), "accounts_with", away)
    assert not await watch._look()
    assert reports.told[-1] is None
