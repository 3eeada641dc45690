"""Laws of the ledger that hold for every entry, not only for those somebody thought of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from crossmargin.domain.account import GENESIS_HASH, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import Deposit, EntryKind, NewEntry, Posting, Trade, append_to_chain, entry_from_deposit, entry_from_trade
from crossmargin.domain.entry_details import NO_DETAILS, EntryDetails
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.instrument import consideration
from crossmargin.domain.money import EXACT, LEDGER_LIMIT
from crossmargin.domain.position import Position, net_holdings
from tests.unit.domain import instruments as the
from tests.unit.domain.strategies import ACCOUNT, decimals, entries, heads, ledger_decimals, moments, positive_decimals, references

UNIT = Decimal("1e-18")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEAD = AccountHead(ACCOUNT, AccountMode.CROSS, AccountStatus.OPEN, sequence=0, chain_hash=GENESIS_HASH)


def chain_hash(head: AccountHead, entry: NewEntry) -> bytes:
    return append_to_chain(head, (entry,))[0].chain_hash


def bumped(value: Decimal) -> Decimal:
    """The next amount up, so that the smallest change there is must show."""
    return EXACT.add(value, UNIT)


def other_reference(reference: str) -> str:
    return reference[:-1] if reference else "x"


def moved_between_legs(entry: NewEntry, change: Callable[[Posting], Posting], undo: Callable[[Posting], Posting]) -> NewEntry:
    """Change the first two legs so that they still sum to zero."""
    first, second, *rest = entry.postings
    return replace(entry, postings=(change(first), undo(second), *rest))


def raised_quantity(entry: NewEntry) -> NewEntry:
    return moved_between_legs(
        entry,
        lambda leg: replace(leg, quantity=bumped(leg.quantity)),
        lambda leg: replace(leg, quantity=EXACT.subtract(leg.quantity, UNIT)),
    )


def raised_cost(entry: NewEntry) -> NewEntry:
    return moved_between_legs(
        entry, lambda leg: replace(leg, cost=bumped(leg.cost)), lambda leg: replace(leg, cost=EXACT.subtract(leg.cost, UNIT))
    )


def in_every_leg(entry: NewEntry, **changes: object) -> NewEntry:
    return replace(entry, postings=tuple(replace(leg, **changes) for leg in entry.postings[:2]) + entry.postings[2:])


MUTATIONS: dict[str, Callable[[NewEntry], NewEntry]] = {
    "kind": lambda e: replace(e, kind=EntryKind.DEPOSIT if e.kind is EntryKind.TRADE else EntryKind.TRADE),
    "effective_at": lambda e: replace(e, effective_at=e.effective_at + timedelta(microseconds=1)),
    "reference": lambda e: replace(e, reference=other_reference(e.reference)),
    "ledger_account": lambda e: in_every_leg(e, ledger_account=e.postings[0].ledger_account + "x"),
    "book_id": lambda e: in_every_leg(e, book_id=BookId("another")),
    "instrument_id": lambda e: in_every_leg(e, instrument_id=InstrumentId("ANOTHER")),
    "quantity": raised_quantity,
    "cost": raised_cost,
    "details": lambda e: replace(e, details=EntryDetails(reverses=3) if e.details == NO_DETAILS else NO_DETAILS),
    "a leg more": lambda e: replace(e, postings=(*e.postings, Posting("house", BookId("b"), InstrumentId("X"), Decimal(0)))),
    "two legs less": lambda e: replace(e, postings=e.postings[2:]),
    "order of legs": lambda e: replace(e, postings=e.postings[::-1]),
}


def test_every_field_of_an_entry_and_of_a_posting_has_a_mutation():
    """A field that is added later must get one, or nobody knows whether the hash covers it."""
    covered = {"account", "postings"} | set(MUTATIONS)
    assert {field.name for kind in (NewEntry, Posting) for field in fields(kind)} <= covered


@pytest.mark.parametrize("field", MUTATIONS)
@given(head=heads, entry=entries)
def test_the_chain_hash_covers_every_field_of_an_entry(field, head, entry):
    changed = MUTATIONS[field](entry)
    assume(changed != entry)
    assert chain_hash(head, changed) != chain_hash(head, entry)


@given(head=heads, entry=entries)
def test_the_chain_hash_covers_the_account_the_sequence_and_all_that_came_before(head, entry):
    other = AccountRef(ClientId("alpha"), AccountId("other"))
    original = chain_hash(head, entry)
    assert chain_hash(replace(head, ref=other), replace(entry, account=other)) != original
    assert chain_hash(replace(head, sequence=head.sequence + 1), entry) != original
    before = bytes([head.chain_hash[0] ^ 1]) + head.chain_hash[1:]
    assert chain_hash(replace(head, chain_hash=before), entry) != original


@given(head=heads, entry=entries, hours=st.integers(-12, 14))
def test_the_chain_hash_does_not_depend_on_how_a_moment_or_an_amount_is_written(head, entry, hours):
    elsewhere = replace(
        entry,
        effective_at=entry.effective_at.astimezone(timezone(timedelta(hours=hours))),
        postings=tuple(replace(leg, quantity=leg.quantity.normalize(EXACT), cost=leg.cost.normalize(EXACT)) for leg in entry.postings),
    )
    assert chain_hash(head, elsewhere) == chain_hash(head, entry)


@given(head=heads, first=entries, second=entries)
def test_two_different_entries_never_have_the_same_bytes(head, first, second):
    assume(first != second)
    assert chain_hash(head, first) != chain_hash(head, second)


@given(head=heads, left=references, right=references)
@example(head=HEAD, left="core", right="")
@example(head=HEAD, left=" ", right="0")
def test_text_cannot_slip_from_one_field_into_the_next(head, left, right):
    """An entry whose reference ends in what another's first account begins with."""

    def entry(reference: str, account: str) -> NewEntry:
        leg = Posting(account, BookId("basis"), InstrumentId("USD"), Decimal(0))
        return NewEntry(ACCOUNT, EntryKind.TRADE, NOON, reference, (leg,))

    whole = left + right
    hashes = {chain_hash(head, entry(whole[:cut], whole[cut:])) for cut in range(len(whole) + 1)}
    assert len(hashes) == len(whole) + 1


@given(head=heads, batch=st.lists(entries, max_size=5))
def test_sequences_are_gapless_and_every_entry_is_linked_to_the_one_before(head, batch):
    chained = append_to_chain(head, tuple(batch))
    assert [numbered.sequence for numbered in chained] == list(range(head.sequence + 1, head.sequence + 1 + len(batch)))
    assert [numbered.entry for numbered in chained] == batch
    hashes = [head.chain_hash, *(numbered.chain_hash for numbered in chained)]
    assert [numbered.previous_hash for numbered in chained] == hashes[:-1]


def a_trade(instrument, quantity, price, moment) -> Trade:
    settlement = (the.EUR if instrument is the.CASH else the.USD) if instrument.is_asset else None
    return Trade(ACCOUNT, BookId("basis"), instrument.instrument_id, quantity, price, moment, settlement)


def booked(trade: Trade, instrument) -> NewEntry:
    settlement = {the.EUR: the.EURO, the.USD: the.CASH}.get(trade.settlement)
    return entry_from_trade(trade, replace(instrument, quantity_places=18), settlement)


@given(
    instrument=st.sampled_from(the.EVERY_KIND),
    quantity=ledger_decimals.filter(bool),
    price=positive_decimals,
    moment=moments,
)
def test_a_trade_of_any_size_is_booked_to_the_last_digit_or_refused_as_too_large(instrument, quantity, price, moment):
    trade = a_trade(instrument, quantity, price, moment)
    cost = consideration(instrument, quantity=quantity, price=price).copy_abs()
    assume(not LEDGER_LIMIT - UNIT < cost < LEDGER_LIMIT)  # rounds to the limit or to what is below it
    if cost >= LEDGER_LIMIT:
        with pytest.raises(DomainError) as caught:
            booked(trade, instrument)
        assert (caught.value.reason, caught.value.facts["field"]) == (Reason.INVALID_DECIMAL, "amount")
        return
    entry = booked(trade, instrument)
    own = {leg.instrument_id: leg for leg in entry.postings if leg.ledger_account == "core"}
    assert own[instrument.instrument_id].quantity == quantity
    for name in own:
        legs = [leg for leg in entry.postings if leg.instrument_id == name]
        assert sum(Fraction(leg.quantity) for leg in legs) == sum(Fraction(leg.cost) for leg in legs) == 0


@given(st.lists(st.tuples(st.sampled_from(the.EVERY_KIND), decimals(-(10**26), 10**26).filter(bool), decimals(10**14, 10**24)), max_size=6))
def test_buying_and_selling_the_same_at_the_same_price_leaves_nothing(trades):
    there_and_back = [booked(a_trade(i, q, p, NOON), i) for i, quantity, p in trades for q in (quantity, quantity.copy_negate())]
    positions = [
        Position(leg.book_id, leg.instrument_id, leg.quantity, leg.cost)
        for entry in there_and_back
        for leg in entry.postings
        if leg.ledger_account == "core"
    ]
    assert net_holdings(positions) == ()


@given(quantity=positive_decimals, reference=references, moment=moments)
def test_a_deposit_of_any_size_is_booked_to_the_last_digit(quantity, reference, moment):
    deposit = Deposit(ACCOUNT, BookId("basis"), the.BTC, quantity, moment, reference)
    own, owed = entry_from_deposit(deposit, replace(the.COIN, quantity_places=18)).postings
    assert own.quantity == quantity
    assert Fraction(own.quantity) + Fraction(owed.quantity) == 0
