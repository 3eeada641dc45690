"""What the readers of an account's entries promise: what became of each, what was held when, and that nothing is booked twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.book import (
    EntryKind,
    NewEntry,
    Trade,
    Withdrawal,
    entry_from_settlement,
    entry_from_trade,
    entry_from_withdrawal,
    reversing_entry,
)
from crossmargin.domain.entry_details import EntryDetails
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.lifecycle_event import application_name, settlement_event
from crossmargin.domain.pending_request import Persons
from crossmargin.usecases.ports.books import BookedEntry
from tests.builders import AS_OF
from tests.contract.storage import CORE, DESK, OTHER, a_deposit, a_request, decide_entries
from tests.unit.domain import instruments as the

BTC = InstrumentId("BTC")
DUE = AS_OF.astimezone(UTC).date() + timedelta(days=2)


async def write(storage, key: str, *entries: NewEntry) -> None:
    await storage.writer.write(a_request(key, entries[0].account), decide_entries(*entries))


async def entry(storage, sequence: int):
    return (await storage.books.get_entry(CORE, sequence)).entry


def a_trade(
    quantity: str = "2", *, book: str = "desk", at: datetime = AS_OF, settle_date: date | None = None, instrument=the.COIN
) -> NewEntry:
    settlement = the.USD if instrument.is_asset else None
    trade = Trade(CORE, BookId(book), instrument.instrument_id, Decimal(quantity), Decimal(60_000), at, settlement, "T", settle_date)
    return entry_from_trade(trade, instrument, the.CASH if instrument.is_asset else None)


def an_event(name: str, quantity: int = 5) -> NewEntry:
    details = EntryDetails(event=name, terms=(("price", "60000"), ("rate", "0.0001")))
    return replace(a_deposit(CORE, quantity), kind=EntryKind.FUNDING, details=details)


async def test_details_come_back_as_booked_and_the_chain_holds_them(storage):
    await storage.open_accounts(CORE)
    entries = [a_trade(settle_date=DUE), an_event("funding BTC-PERP now"), a_deposit(CORE, 1)]
    await write(storage, "k1", *entries)
    stored = await storage.books.list_entries(CORE, after_sequence=0, limit=10)
    assert [numbered.entry for numbered in stored] == entries
    assert stored[-1].chain_hash == (await storage.books.account_state(CORE)).head.chain_hash
    assert (await storage.books.get_entry(CORE, 2)) == BookedEntry(stored[1], None)
    assert await storage.books.get_entry(CORE, 4) is None
    assert await storage.books.get_entry(OTHER, 1) is None


async def test_an_entry_is_taken_back_once(storage):
    await storage.open_accounts(CORE)
    await write(storage, "k1", a_trade(), a_trade("3"))
    back = reversing_entry(await entry(storage, 1), EntryKind.TRADE_CANCELLATION, reason="bust")
    await write(storage, "k2", back)
    assert (await storage.books.get_entry(CORE, 1)).reversed_by == 3
    assert (await storage.books.get_entry(CORE, 2)).reversed_by is None
    for number, attempt in enumerate([(back,), (a_deposit(CORE, 1), back)]):
        with pytest.raises(DomainError) as refused:
            await write(storage, f"k{3 + number}", *attempt)
        assert refused.value.reason is Reason.ALREADY_CANCELLED
        assert refused.value.facts == {"account": str(CORE), "sequence": "1", "cancelled_by": "3"}
    state = await storage.books.account_state(CORE)
    assert (state.head.sequence, {held.instrument_id: held.quantity for held in state.positions}) == (3, {"BTC": 3, "USD": -180_000})


async def test_an_event_of_one_name_is_booked_once_even_by_a_decision_that_did_not_look(storage):
    await storage.open_accounts(CORE, OTHER)
    await write(storage, "k1", an_event("coupon A"))
    with pytest.raises(ValueError, match="booked before"):
        await write(storage, "k2", an_event("coupon A", 7))
    assert await storage.books.account_sequence(CORE) == 1
    await write(storage, "k3", replace(an_event("coupon A"), account=OTHER))


async def test_the_applications_of_an_event_are_found_by_its_name_and_no_other(storage):
    await storage.open_accounts(CORE)
    names = ["coupon A", "coupon A 2026", application_name("coupon A", 1), "coupon AB", "coupon A$", application_name("coupon A", 10)]
    await write(storage, "k1", *(an_event(name) for name in names))
    await write(storage, "k2", reversing_entry(await entry(storage, 3), EntryKind.EVENT_CANCELLATION, reason="wrong rate"))
    found = await storage.books.event_entries(CORE, "coupon A")
    assert [(booked.entry.sequence, booked.reversed_by) for booked in found] == [(1, None), (3, 7), (6, None)]
    assert list(await storage.books.event_entries(OTHER, "coupon A")) == []
    asked = ["coupon B", "coupon A", "coupon A 2026"]
    assert list(await storage.books.event_counts(CORE, asked)) == [0, 3, 1]
    assert list(await storage.books.event_counts(OTHER, asked)) == [0, 0, 0]
    assert list(await storage.books.event_counts(CORE, [])) == []


async def test_the_events_of_an_instrument_that_stand_are_found_in_all_accounts(storage):
    await storage.open_accounts(CORE, OTHER)
    names = ["coupon A 2026-05-15", "maturity A", "coupon AB 2026-05-15", "settlement of entry 1", application_name("funding A x", 1)]
    await write(storage, "k1", *(an_event(name) for name in names))
    await write(storage, "k2", replace(an_event("coupon A 2026-05-15"), account=OTHER))
    await write(storage, "k3", reversing_entry(await entry(storage, 2), EntryKind.EVENT_CANCELLATION, reason="wrong"))
    found = await storage.books.booked_events(InstrumentId("A"), since=AS_OF)
    assert [(one.account, one.name, one.effective_at) for one in found] == [
        (CORE, "coupon A 2026-05-15", AS_OF),
        (CORE, "funding A x #2", AS_OF),
        (OTHER, "coupon A 2026-05-15", AS_OF),
    ]
    assert list(await storage.books.booked_events(InstrumentId("A"), since=AS_OF + timedelta(microseconds=1))) == []


async def test_trades_are_listed_by_book_and_by_what_was_traded(storage):
    await storage.open_accounts(CORE)
    await write(
        storage, "k1", a_trade(), a_deposit(CORE, 9), a_trade("-1", book="other"), a_trade("4", instrument=the.PERPETUAL), a_trade("5")
    )
    await write(storage, "k2", reversing_entry(await entry(storage, 3), EntryKind.TRADE_CANCELLATION, reason="bust"))

    async def listed(book=None, instrument=None, after=0, limit=10):
        found = await storage.books.list_trades(CORE, book_id=book, instrument_id=instrument, after_sequence=after, limit=limit)
        return [(booked.entry.sequence, booked.reversed_by) for booked in found]

    assert await listed() == [(1, None), (3, 6), (4, None), (5, None)]
    assert await listed(limit=2) == [(1, None), (3, 6)]
    assert await listed(after=3) == [(4, None), (5, None)]
    assert await listed(book=DESK, instrument=BTC) == [(1, None), (5, None)]
    assert await listed(book=BookId("other")) == [(3, 6)]
    # What was paid was not traded.
    assert await listed(instrument=the.USD) == []
    with pytest.raises(DomainError) as refused:
        await storage.books.list_trades(OTHER, book_id=None, instrument_id=None, after_sequence=0, limit=1)
    assert refused.value.reason is Reason.UNKNOWN_ACCOUNT


async def test_many_unsettled_trades_are_found_in_time_before_the_tables_were_ever_analysed(storage):
    """A new or restored database knows nothing of its tables yet; a read has to be done within 2.5 seconds all the same."""
    await storage.open_accounts(CORE)
    await write(storage, "k1", *(a_trade(settle_date=DUE) for _ in range(400)))
    assert len(await storage.books.unsettled_trades(CORE, settle_date=DUE)) == 400


async def test_trades_are_unsettled_from_their_day_until_they_are_settled_or_cancelled(storage):
    await storage.open_accounts(CORE)
    await write(storage, "k1", a_trade(), a_trade("1", settle_date=DUE), a_trade("3", settle_date=DUE), a_trade("4", settle_date=date.max))

    async def unsettled(day=DUE):
        return [numbered.sequence for numbered in await storage.books.unsettled_trades(CORE, settle_date=day)]

    assert await unsettled(DUE - timedelta(days=1)) == []
    assert await unsettled() == [2, 3]
    assert await unsettled(date.max) == [2, 3, 4]
    await write(storage, "k2", reversing_entry(await entry(storage, 3), EntryKind.TRADE_CANCELLATION, reason="bust"))
    assert await unsettled() == [2]
    settlement = entry_from_settlement(await entry(storage, 2), event=settlement_event(2), effective_at=AS_OF)
    await write(storage, "k3", settlement)
    assert await unsettled() == []
    await write(storage, "k4", reversing_entry(await entry(storage, 6), EntryKind.EVENT_CANCELLATION, reason="failed to deliver"))
    assert await unsettled() == [2]
    await write(storage, "k5", replace(settlement, details=EntryDetails(event=application_name(settlement_event(2), 1))))
    assert await unsettled() == []


async def test_what_was_held_at_a_time_is_what_took_effect_by_then_whenever_it_was_booked(storage):
    await storage.open_accounts(CORE)
    later, earlier = AS_OF + timedelta(hours=1), AS_OF - timedelta(hours=1)
    await write(
        storage,
        "k1",
        a_trade("2", instrument=the.PERPETUAL),
        a_trade("7", instrument=the.PERPETUAL, at=later),
        a_trade("0.5", instrument=the.PERPETUAL, book="other", at=earlier),
        a_trade("9"),
    )
    await write(storage, "k2", reversing_entry(await entry(storage, 2), EntryKind.TRADE_CANCELLATION, reason="bust"))
    perpetual = the.PERPETUAL.instrument_id

    async def held(until):
        found = await storage.books.instrument_positions(CORE, perpetual, until=until)
        return found.sequence, [(position.book_id, position.quantity, position.cost) for position in found.positions]

    assert await held(earlier - timedelta(microseconds=1)) == (5, [])
    assert await held(earlier) == (5, [("other", Decimal("0.5"), Decimal(300_000))])
    assert await held(AS_OF) == (5, [("desk", 2, 1_200_000), ("other", Decimal("0.5"), Decimal(300_000))])
    assert await held(later) == await held(AS_OF)
    assert await held(datetime.max.replace(tzinfo=UTC)) == await held(AS_OF)
    with pytest.raises(DomainError) as refused:
        await storage.books.instrument_positions(OTHER, perpetual, until=AS_OF)
    assert refused.value.reason is Reason.UNKNOWN_ACCOUNT


async def test_what_one_person_withdrew_for_a_client_is_added_up_over_its_accounts_from_a_time_on(storage):
    second, stranger = AccountRef(CORE.client_id, AccountId("second")), AccountRef(ClientId("gamma"), AccountId("core"))
    await storage.open_accounts(CORE, second, stranger)

    async def withdraw(account, quantity, instrument=the.CASH, *, at=AS_OF, persons=None):
        withdrawal = Withdrawal(account, BookId("main"), instrument.instrument_id, Decimal(quantity))
        await write(storage, f"{account} {quantity}", entry_from_withdrawal(withdrawal, instrument, effective_at=at, persons=persons))

    async def left(since=AS_OF, client_id=CORE.client_id):
        return dict(await storage.books.withdrawn_alone(client_id, since=since))

    await write(storage, "deposit", a_deposit(CORE, 1_000))
    assert await left() == {}
    await withdraw(CORE, "10.5")
    await withdraw(second, "4", at=AS_OF + timedelta(hours=1))
    await withdraw(second, "0.25", the.COIN)
    await withdraw(CORE, "100", persons=Persons("alice", "bob"))
    await withdraw(CORE, "1000", at=AS_OF - timedelta(microseconds=1))
    await withdraw(stranger, "7")
    assert await left() == {InstrumentId("USD"): Decimal("14.5"), BTC: Decimal("0.25")}
    assert await left(AS_OF + timedelta(seconds=1)) == {InstrumentId("USD"): Decimal(4)}
    assert await left(client_id=ClientId("gamma")) == {InstrumentId("USD"): Decimal(7)}


async def test_accounts_with_an_instrument_are_those_that_hold_it_or_did(storage):
    await storage.open_accounts(CORE, OTHER)
    await write(storage, "k1", replace(a_deposit(OTHER, 1, instrument="BTC")))
    assert list(await storage.books.accounts_with(BTC)) == [OTHER]
    await write(storage, "k2", a_trade("2"), a_trade("-2"))
    assert list(await storage.books.accounts_with(BTC)) == [CORE, OTHER]
    assert list(await storage.books.accounts_with(InstrumentId("ETH"))) == []


async def test_entries_are_told_apart_by_when_they_were_written_not_by_when_they_happened(storage):
    await storage.open_accounts(CORE)
    assert await storage.books.sequence_recorded_before(CORE, datetime.max.replace(tzinfo=UTC)) == 0
    await write(storage, "k1", a_trade(at=datetime(2100, 1, 1, tzinfo=UTC)), a_trade())
    assert await storage.books.sequence_recorded_before(CORE, datetime(2020, 1, 1, tzinfo=UTC)) == 0
    assert await storage.books.sequence_recorded_before(CORE, datetime(2099, 1, 1, tzinfo=UTC)) == 2
    for read in (storage.books.account_sequence(OTHER), storage.books.sequence_recorded_before(OTHER, AS_OF)):
        with pytest.raises(DomainError) as refused:
            await read
        assert refused.value.reason is Reason.UNKNOWN_ACCOUNT
