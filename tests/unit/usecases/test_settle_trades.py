"""Trades are in the client's positions when they are done; their settlement moves what the street owes to the custodian."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.book import EntryKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId
from crossmargin.domain.money import exact_sum
from crossmargin.usecases import settle_trades
from tests.unit.usecases.house import CORE, NOON, perpetual_trade, spot_trade
from tests.unit.usecases.refusals import refused

TODAY = NOON.date()


async def settle(house, day=TODAY, account=None, *, caller=None):
    return [one async for one in house.use_cases.settle_trades(day, account, caller=caller or house.caller())]


async def balances(house, account=CORE):
    """What every ledger account holds because of this account's entries."""
    entries = await house.ports.books.list_entries(account, after_sequence=0, limit=1000)
    legs = [leg for entry in entries for leg in entry.entry.postings]
    names = {(leg.ledger_account, leg.instrument_id) for leg in legs}
    totals = {name: exact_sum(leg.quantity for leg in legs if (leg.ledger_account, leg.instrument_id) == name) for name in names}
    return {name: total for name, total in totals.items() if total}


async def book(house, quantity="2", *, days=0):
    trade = replace(spot_trade(quantity), settle_date=TODAY + timedelta(days=days))
    (outcome,) = (await house.use_cases.record_trades(CORE, [trade], caller=house.caller())).outcomes
    return outcome.sequence


async def test_positions_are_on_trade_date_and_settlement_moves_the_street_to_the_custodian(house):
    await book(house)
    before = (await house.ports.books.account_state(CORE)).positions
    assert await balances(house) == {
        ("core", "BTC"): 2, ("street", "BTC"): -2, ("core", "USD"): -120_000, ("street", "USD"): 120_000
    }  # fmt: skip
    (settled,) = await settle(house)
    assert (settled.account, settled.trades, settled.as_of_sequence, settled.replayed) == (CORE, (1,), 2, False)
    assert (await house.ports.books.account_state(CORE)).positions == before
    assert await balances(house) == {
        ("core", "BTC"): 2, ("custodian", "BTC"): -2, ("core", "USD"): -120_000, ("custodian", "USD"): 120_000
    }  # fmt: skip
    entry = (await house.ports.books.get_entry(CORE, 2)).entry.entry
    assert (entry.kind, entry.details.event, entry.effective_at.date()) == (EntryKind.SETTLEMENT, "settlement of entry 1", TODAY)


async def test_a_trade_settles_once_and_not_before_its_day(house):
    await book(house)
    await book(house, "3", days=2)
    caller = house.caller()
    assert [one.trades for one in await settle(house, caller=caller)] == [(1,)]
    assert await settle(house, caller=caller) == []
    assert await settle(house) == []
    error = await refused(anext(house.use_cases.settle_trades(TODAY + timedelta(days=2), None, caller=caller)), Reason.EVENT_NOT_DUE)
    assert error.facts["value"] == "2026-03-04"


async def test_a_cancelled_trade_is_not_settled_and_a_cancelled_settlement_can_be_done_again(house):
    await book(house)
    await book(house, "5")
    await house.use_cases.cancel_trade(CORE, 2, reason="bust", caller=house.caller())
    assert [one.trades for one in await settle(house)] == [(1,)]
    await house.use_cases.cancel_lifecycle_event(CORE, 4, reason="failed to deliver", caller=house.caller())
    assert (await balances(house))["street", "BTC"] == -2
    assert [one.trades for one in await settle(house)] == [(1,)]
    assert (await balances(house))["custodian", "BTC"] == -2


async def test_one_account_is_settled_alone_and_says_so_when_nothing_is_due(house):
    await book(house)
    other = await house.open_account("other")
    (settled,) = await settle(house, account=other)
    assert (settled.trades, settled.as_of_sequence) == ((), 0)
    await refused(settle(house, account=replace(CORE, account_id=AccountId("stranger"))), Reason.UNKNOWN_ACCOUNT)


async def test_trades_that_come_in_between_are_settled_by_the_next_run(house):
    await book(house)
    caller = house.caller()
    await settle(house, caller=caller)
    await book(house, "7")
    assert [one.trades for one in await settle(house, caller=caller)] == [(3,)]


async def test_many_trades_are_settled_some_at_a_time_and_none_twice(house, monkeypatch):
    monkeypatch.setattr(settle_trades, "AT_ONCE", 3)
    for _ in range(7):
        await book(house)
    parts = [(one.trades, one.as_of_sequence) for one in await settle(house)]
    assert parts == [((1, 2, 3), 10), ((4, 5, 6), 13), ((7,), 14)]
    await house.use_cases.cancel_lifecycle_event(CORE, 9, reason="failed to deliver", caller=house.caller())
    for _ in range(2):
        await book(house)
    assert [one.trades for one in await settle(house, account=CORE)] == [(2, 16, 17)]
    assert (await balances(house))["custodian", "BTC"] == -18


async def test_a_run_that_broke_goes_on_where_it_was(house, monkeypatch):
    monkeypatch.setattr(settle_trades, "AT_ONCE", 2)
    for _ in range(5):
        await book(house)
    caller = house.caller()
    broken = house.use_cases.settle_trades(TODAY, None, caller=caller)
    assert (await anext(broken)).trades == (1, 2)
    await broken.aclose()
    assert [one.trades for one in await settle(house, caller=caller)] == [(3, 4), (5,)]


def test_a_settle_date_is_not_before_the_trade():
    with pytest.raises(DomainError, match="before the trade was executed"):
        replace(spot_trade("1"), settle_date=TODAY - timedelta(days=1))


async def test_nothing_is_delivered_of_a_margined_contract(house):
    trade = replace(perpetual_trade("1"), settle_date=TODAY)
    await refused(house.use_cases.record_trades(CORE, [trade], caller=house.caller()), Reason.INVALID_INSTRUMENT)


async def test_a_settle_date_belongs_to_what_a_request_id_names(house):
    caller = house.caller("again")
    await house.use_cases.record_trades(CORE, [spot_trade("1")], caller=caller)
    dated = replace(spot_trade("1"), settle_date=TODAY)
    await refused(house.use_cases.record_trades(CORE, [dated], caller=caller), Reason.REQUEST_ID_REUSED)
    assert Decimal(1) == (await balances(house))["core", "BTC"]


async def test_what_failed_to_settle_waits_for_a_request_of_another_name(house, monkeypatch):
    monkeypatch.setattr(settle_trades, "AT_ONCE", 1)
    await book(house)
    caller = house.caller()
    assert [one.replayed for one in await settle(house, caller=caller)] == [False]
    await house.use_cases.cancel_lifecycle_event(CORE, 2, reason="failed to deliver", caller=house.caller())
    assert [(one.trades, one.replayed) for one in await settle(house, caller=caller)] == [((1,), True)]
    assert [(one.trades, one.replayed) for one in await settle(house)] == [((1,), False)]
