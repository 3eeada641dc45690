"""Collateral leaves an account only while equity covers the initial margin without it, whatever its open orders do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import Account, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, Transfer, Withdrawal
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId
from crossmargin.usecases.read_unsettled import Unsettled
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, NOON, USD, spot_trade
from tests.unit.usecases.test_reserve_margin import refusal, reserve

D = Decimal
MAIN = BookId("main")
BUCKET = AccountRef(CORE.client_id, AccountId("bucket"))


@pytest.fixture
async def bucket(house):
    await house.use_cases.create_account(Account(BUCKET, "A bucket", AccountMode.ISOLATED, CORE.account_id), caller=house.caller())


def withdraw(house, quantity, instrument=USD, *, key=None, account=CORE):
    withdrawal = Withdrawal(account, MAIN, instrument, D(quantity), "wire 7")
    return house.use_cases.withdraw_collateral(withdrawal, caller=house.caller(key))


def a_transfer(quantity, instrument=USD, *, source=CORE, destination=BUCKET):
    return Transfer(source, destination, MAIN, instrument, D(quantity), "to the satellite")


def transfer(house, quantity, instrument=USD, *, key=None, **ends):
    return house.use_cases.transfer_collateral(a_transfer(quantity, instrument, **ends), caller=house.caller(key))


async def excess(house, account=CORE):
    return (await house.use_cases.read_standing(account)).need.excess


async def held(house, account=CORE):
    state = await house.use_cases.read_account(account)
    return {position.instrument_id: position.quantity for position in state.positions}


async def test_what_can_be_spared_is_withdrawn_once(house):
    await house.deposit("1000")
    caller = house.caller("k1")
    withdrawal = Withdrawal(CORE, MAIN, USD, D(400), "wire 7")
    first = await house.use_cases.withdraw_collateral(withdrawal, caller=caller)
    again = await house.use_cases.withdraw_collateral(withdrawal, caller=caller)
    assert (first.sequence, first.excess_after, again) == (2, 600, replace(first, replayed=True))
    assert await held(house) == {USD: 600}
    (entry,) = await house.ports.books.list_entries(CORE, after_sequence=1, limit=9)
    assert (entry.entry.kind, entry.entry.reference) == (EntryKind.WITHDRAWAL, "wire 7")
    assert [(leg.ledger_account, leg.quantity) for leg in entry.entry.postings] == [("core", -400), ("custodian", 400)]


@pytest.mark.parametrize("instrument", [USD, BTC])
async def test_the_largest_quantity_of_a_refusal_may_leave_and_hardly_more(house, instrument):
    await house.deposit("20000")
    await house.deposit("1", BTC)
    await house.trade({USD: "-4", BTC: "-1.5"}[instrument])
    whole = {USD: "20000", BTC: "1"}[instrument]
    refused = await refusal(withdraw(house, whole, instrument))
    assert refused.reason is Reason.INSUFFICIENT_MARGIN
    largest = D(refused.facts["largest_quantity"])
    assert 0 < largest < D(whole)
    step = {USD: D("0.01"), BTC: D("0.01")}[instrument]
    again = await refusal(withdraw(house, largest + step, instrument))
    assert again.reason is Reason.INSUFFICIENT_MARGIN
    assert (await withdraw(house, largest, instrument)).sequence > 0
    assert 0 <= await excess(house) < 600


async def test_never_more_than_is_held_leaves_even_without_any_risk(house):
    await house.deposit("1000")
    refused = await refusal(withdraw(house, "1000.01"))
    assert (refused.reason, refused.facts["largest_quantity"]) == (Reason.INSUFFICIENT_HOLDING, "1000")
    assert (await refusal(withdraw(house, "1", BTC))).facts["largest_quantity"] == "0"
    assert (await refusal(withdraw(house, "1", BTC_PERP))).reason is Reason.INVALID_INSTRUMENT
    assert (await refusal(withdraw(house, "0.001"))).reason is Reason.INVALID_DECIMAL
    await withdraw(house, "1000")
    assert await held(house) == {}


async def test_nothing_leaves_an_account_in_deficit(house):
    await house.deposit("100")
    await house.trade("1")
    refused = await refusal(withdraw(house, "1"))
    assert (refused.reason, refused.facts["largest_quantity"]) == (Reason.INSUFFICIENT_MARGIN, "0")


async def test_what_open_orders_hold_does_not_leave(house):
    await house.deposit("100000")
    reserved = await reserve(house, "1")
    refused = await refusal(withdraw(house, "99999"))
    assert D(refused.facts["largest_quantity"]) == reserved.after.excess
    await house.use_cases.release_reservation(CORE, reserved.reservation.sequence, caller=house.caller())
    await withdraw(house, "99999")


async def test_sixteen_withdrawals_at_once_take_what_is_there_once(house):
    await house.deposit("1000")
    results = await asyncio.gather(*(withdraw(house, "300") for _ in range(16)), return_exceptions=True)
    assert sum(not isinstance(result, DomainError) for result in results) == 3
    assert await held(house) == {USD: 100}


async def test_a_refused_withdrawal_stays_refused_under_its_key(house):
    first = await refusal(withdraw(house, "5", key="k1"))
    await house.deposit("1000")
    again = await refusal(withdraw(house, "5", key="k1"))
    assert (again.reason, again.message, again.facts) == (first.reason, first.message, first.facts)
    assert (await refusal(withdraw(house, "6", key="k1"))).reason is Reason.REQUEST_ID_REUSED
    assert await held(house) == {USD: 1000}


async def test_trying_a_withdrawal_writes_nothing_and_says_the_same(house):
    await house.deposit("1000")
    tried = await house.use_cases.withdraw_collateral.validate(Withdrawal(CORE, MAIN, USD, D(400)))
    assert (tried.sequence, tried.excess_after) == (0, 600)
    refused = await refusal(house.use_cases.withdraw_collateral.validate(Withdrawal(CORE, MAIN, USD, D(1001))))
    assert refused.facts == (await refusal(withdraw(house, "1001"))).facts
    assert await held(house) == {USD: 1000}


async def test_a_halt_lets_nothing_leave_and_deposits_in(house, bucket):
    await house.deposit("1000")
    await house.use_cases.halt_trading(None, reason="why", caller=house.caller())
    assert (await refusal(withdraw(house, "1"))).reason is Reason.HALTED
    assert (await refusal(transfer(house, "1"))).reason is Reason.HALTED
    assert (await refusal(house.use_cases.withdraw_collateral.validate(Withdrawal(CORE, MAIN, USD, D(1))))).reason is Reason.HALTED
    await house.deposit("1")
    assert await held(house) == {USD: 1001}


async def test_a_transfer_is_one_entry_in_each_ledger_each_against_the_other(house, bucket):
    await house.deposit("1000")
    done = await transfer(house, "400", key="k1")
    assert (done.source_sequence, done.destination_sequence, done.excess_after) == (2, 1, 600)
    assert await transfer(house, "400", key="k1") == replace(done, replayed=True)
    assert (await held(house), await held(house, BUCKET)) == ({USD: 600}, {USD: 400})
    out, into = [(await house.ports.books.list_entries(ref, after_sequence=n, limit=9))[0].entry for ref, n in ((CORE, 1), (BUCKET, 0))]
    assert out.kind is into.kind is EntryKind.TRANSFER
    assert [(leg.ledger_account, leg.quantity) for leg in out.postings] == [("core", -400), ("bucket", 400)]
    assert [(leg.ledger_account, leg.quantity) for leg in into.postings] == [("bucket", 400), ("core", -400)]
    back = await transfer(house, "400", source=BUCKET, destination=CORE)
    assert (back.source_sequence, back.destination_sequence) == (2, 3)
    assert (await held(house), await held(house, BUCKET)) == ({USD: 1000}, {})


async def test_a_transfer_needs_margin_in_the_account_that_gives(house, bucket):
    await house.deposit("20000")
    await house.trade("1")
    refused = await refusal(transfer(house, "20000"))
    assert refused.reason is Reason.INSUFFICIENT_MARGIN
    await transfer(house, refused.facts["largest_quantity"])
    assert await excess(house) == 0
    assert (await refusal(transfer(house, "0.01"))).reason is Reason.INSUFFICIENT_MARGIN
    await house.trade("0.01", account=BUCKET)
    all_of_it = transfer(house, refused.facts["largest_quantity"], source=BUCKET, destination=CORE)
    assert (await refusal(all_of_it)).reason is Reason.INSUFFICIENT_MARGIN


async def test_transfers_both_ways_at_once_neither_wait_in_a_circle_nor_lose_anything(house, bucket):
    await house.deposit("1000")
    await transfer(house, "500")
    there = [transfer(house, "10") for _ in range(8)]
    back = [transfer(house, "10", source=BUCKET, destination=CORE) for _ in range(8)]
    await asyncio.gather(*there, *back)
    assert (await held(house), await held(house, BUCKET)) == ({USD: 500}, {USD: 500})


async def test_only_a_core_and_its_bucket_exchange_collateral(house, bucket):
    other = await house.open_account("other")
    stranger = await house.open_account("core", client="beta")
    for ends in ({"destination": other}, {"destination": stranger}, {"destination": CORE}, {"source": other, "destination": BUCKET}):
        refused = await refusal(house.use_cases.transfer_collateral(a_transfer("1", **ends), caller=house.caller()))
        assert refused.reason is Reason.INVALID_TRANSFER
    unknown = AccountRef(CORE.client_id, AccountId("nowhere"))
    assert (await refusal(transfer(house, "1", destination=unknown))).reason is Reason.UNKNOWN_ACCOUNT


async def test_nothing_goes_into_a_closed_account(house, bucket):
    await house.deposit("1000")
    house.database.contents.heads[BUCKET] = replace(house.database.contents.heads[BUCKET], status=AccountStatus.CLOSED)
    assert (await refusal(transfer(house, "1"))).reason is Reason.ACCOUNT_CLOSED
    assert await held(house) == {USD: 1000}


async def test_a_hedge_may_not_leave_over_a_limit_nor_arrive_over_one(house, bucket):
    await house.deposit("1000000")
    await house.deposit("1", BTC)
    await house.trade("-1")
    await house.limit(ExposureLimits(CORE.client_id, CORE.account_id, net=D(1000)))
    assert (await refusal(withdraw(house, "0.5", BTC))).reason is Reason.LIMIT_EXCEEDED
    await house.limit(ExposureLimits(CORE.client_id, CORE.account_id))
    await house.limit(ExposureLimits(BUCKET.client_id, BUCKET.account_id, gross=D(1000)))
    refused = await refusal(transfer(house, "0.5", BTC))
    assert (refused.reason, refused.facts["scope"]) == (Reason.LIMIT_EXCEEDED, str(BUCKET))


@pytest.mark.parametrize("instrument", [BTC, USD])
async def test_what_was_bought_or_sold_for_does_not_leave_before_it_has_come(house, bucket, instrument):
    """It counts in margin from the trade on, and the street has it still: neither a withdrawal nor a transfer gives it away."""
    await house.deposit("500000")
    await house.deposit("3", BTC)
    quantity, stays, waits = {BTC: ("2", "3", "2"), USD: ("-2", "500000", "120000")}[instrument]
    await house.use_cases.record_trades(CORE, [replace(spot_trade(quantity), settle_date=NOON.date())], caller=house.caller())
    beyond = D(stays) + 1
    for refused in (await refusal(withdraw(house, beyond, instrument)), await refusal(transfer(house, beyond, instrument))):
        assert refused.reason is Reason.INSUFFICIENT_HOLDING
        assert (refused.facts["held"], refused.facts["unsettled"], refused.facts["largest_quantity"]) == (stays, waits, stays)
        assert "not settled yet" in refused.message
    tried = Withdrawal(CORE, MAIN, instrument, beyond, "wire 7")
    assert (await refusal(house.use_cases.withdraw_collateral.validate(tried))).reason is Reason.INSUFFICIENT_HOLDING
    assert [one async for one in house.use_cases.settle_trades(NOON.date(), None, caller=house.caller())]
    assert (await withdraw(house, beyond, instrument)).sequence > 0


async def test_what_is_booked_while_a_withdrawal_is_on_its_way_is_seen_under_the_lock(house, monkeypatch):
    await house.deposit("200000")
    seen = Unsettled.of

    async def slow(ledger, account):
        monkeypatch.undo()
        read = await seen(ledger, account)
        await house.use_cases.record_trades(CORE, [replace(spot_trade("2"), settle_date=NOON.date())], caller=house.caller())
        return read

    monkeypatch.setattr(Unsettled, "of", slow)
    assert (await refusal(withdraw(house, "2", BTC))).facts["unsettled"] == "2"


async def test_trying_a_transfer_looks_at_the_limits_of_both_ends(house, bucket):
    await house.deposit("1", BTC)
    await house.limit(ExposureLimits(BUCKET.client_id, BUCKET.account_id, gross=D(1000)))
    tried = await refusal(house.use_cases.transfer_collateral.validate(a_transfer("0.5", BTC)))
    assert (tried.reason, tried.facts["scope"]) == (Reason.LIMIT_EXCEEDED, str(BUCKET))


async def test_trying_a_transfer_writes_nothing(house, bucket):
    await house.deposit("1000")
    tried = await house.use_cases.transfer_collateral.validate(a_transfer("400"))
    assert (tried.source_sequence, tried.destination_sequence, tried.excess_after) == (0, 0, 600)
    assert (await refusal(house.use_cases.transfer_collateral.validate(a_transfer("1001")))).reason is Reason.INSUFFICIENT_HOLDING
    assert await held(house) == {USD: 1000}


async def test_whatever_a_bucket_holds_and_loses_the_core_stays_as_it_was(house, bucket):
    """Not a bit of its margin moves, but for what a house run charges the owner for size; and the rest of the loss is the broker's."""
    await house.deposit("100000")
    await house.trade("1")
    await transfer(house, 1000)
    before = await house.use_cases.evaluate_margin(CORE)
    await house.trade("5", account=BUCKET)
    assert await house.use_cases.evaluate_margin(CORE) == before
    await house.publish("40000", at=NOON + timedelta(seconds=1))
    core, lost = await house.use_cases.evaluate_margin(CORE), await house.use_cases.evaluate_margin(BUCKET)
    assert (core.equity.equity, core.gap) == (79_000, None)
    assert (lost.equity.equity, lost.gap.realized) == (-99_000, 99_000)
