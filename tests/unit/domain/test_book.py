"""Facts become entries that sum to zero, and a chain of hashes holds every field of them."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.account import GENESIS_HASH, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import (
    Deposit,
    EntryKind,
    NewEntry,
    Posting,
    Trade,
    append_to_chain,
    check_reference,
    entry_from_deposit,
    entry_from_policy,
    entry_from_trade,
    ledger_amount,
)
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import exact_sum
from crossmargin.domain.position import Position
from tests.unit.domain import instruments as the

D = Decimal
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CORE = AccountRef(ClientId("alpha"), AccountId("core"))
BOOK = BookId("basis")
HEAD = AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, sequence=0, chain_hash=GENESIS_HASH)


def trade(instrument: Instrument = the.COIN, quantity="2", price="60000", **changes) -> Trade:
    changes = {"settlement": the.USD if instrument.is_asset else None, "executed_at": NOON} | changes
    return Trade(CORE, BOOK, instrument.instrument_id, D(quantity), D(price), **changes)


def deposit(instrument: Instrument = the.COIN, quantity="2", **changes) -> Deposit:
    return Deposit(CORE, BOOK, instrument.instrument_id, D(quantity), **({"received_at": NOON} | changes))


def booked(instrument: Instrument, quantity: str, price: str) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """What a trade moves: quantity and cost by ledger account and instrument."""
    entry = entry_from_trade(trade(instrument, quantity, price), instrument, the.CASH if instrument.is_asset else None)
    return {(leg.ledger_account, leg.instrument_id): (leg.quantity, leg.cost) for leg in entry.postings}


def refusal(build, reason):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is reason
    return caught.value


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "1e20", "1e-19"])
@pytest.mark.parametrize("fact", [trade, deposit])
def test_a_quantity_the_ledger_cannot_hold_is_refused(fact, quantity):
    assert refusal(lambda: fact(quantity=quantity), Reason.INVALID_DECIMAL).facts["field"] == "quantity"


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e20", "1e-19"])
def test_a_price_the_ledger_cannot_hold_is_refused(price):
    assert refusal(lambda: trade(price=price), Reason.INVALID_DECIMAL).facts["field"] == "price"


@pytest.mark.parametrize("quantity", ["0", "-0", "0.00"])
def test_a_trade_moves_something(quantity):
    refusal(lambda: trade(quantity=quantity), Reason.INVALID_QUANTITY)


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_a_deposit_is_more_than_zero(quantity):
    refusal(lambda: deposit(quantity=quantity), Reason.INVALID_QUANTITY)


def test_a_moment_without_a_time_zone_is_refused():
    naive = NOON.replace(tzinfo=None)
    assert refusal(lambda: trade(executed_at=naive), Reason.INVALID_TIMESTAMP).facts["field"] == "executed_at"
    assert refusal(lambda: deposit(received_at=naive), Reason.INVALID_TIMESTAMP).facts["field"] == "received_at"


@pytest.mark.parametrize("reference", ["", "x" * 128, "order 7/42 ~!"])
def test_a_reference_is_kept_as_it_is(reference):
    assert check_reference(reference) == reference
    assert trade(reference=reference).reference == deposit(reference=reference).reference == reference


@pytest.mark.parametrize("reference", ["x" * 129, "a\nb", "a\tb", "\x00", "é", "\x7f", "ａ"])
def test_a_long_unprintable_or_foreign_reference_is_refused(reference):
    refusal(lambda: trade(reference=reference), Reason.INVALID_ARGUMENT)
    refusal(lambda: deposit(reference=reference), Reason.INVALID_ARGUMENT)


def test_a_spot_trade_moves_two_positions():
    assert booked(the.COIN, "2", "60000") == {
        ("core", "BTC"): (D(2), 0),
        ("street", "BTC"): (D(-2), 0),
        ("core", "USD"): (D(-120_000), 0),
        ("street", "USD"): (D(120_000), 0),
    }


def test_a_sale_brings_money_in():
    moved = booked(the.COIN, "-2", "60000")
    assert (moved["core", "BTC"], moved["core", "USD"]) == ((D(-2), 0), (D(120_000), 0))


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "cost"),
    [
        (the.PERPETUAL, "3", "60000", "1800000"),
        (the.FUTURE, "-3", "60000", "-1800000"),
        (the.INVERSE_PERPETUAL, "5", "50000", "-0.01"),
        (the.INVERSE_FUTURE, "-5", "50000", "0.01"),
    ],
    ids=the.name_of,
)
def test_a_margined_contract_posts_its_cost_and_moves_no_money(instrument, quantity, price, cost):
    name = instrument.instrument_id
    assert booked(instrument, quantity, price) == {
        ("core", name): (D(quantity), D(cost)),
        ("street", name): (-D(quantity), -D(cost)),
    }


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "asset", "paid"),
    [
        (the.CASH_OPTION, "2", "1500", "USD", "30000"),
        (the.COIN_OPTION, "2", "0.05", "BTC", "1"),
        (the.BILL, "1000000", "98.5", "USD", "985000"),
        (the.BOND, "1000", "101.25", "USD", "1012.5"),
        (the.FX_FORWARD, "1000000", "-0.002", "USD", "-2000"),
    ],
    ids=the.name_of,
)
def test_what_is_paid_up_is_paid_in_its_settlement_asset(instrument, quantity, price, asset, paid):
    moved = booked(instrument, quantity, price)
    assert moved["core", instrument.instrument_id] == (D(quantity), 0)
    assert moved["core", asset] == (-D(paid), 0)
    assert len(moved) == 4


@pytest.mark.parametrize("instrument", [the.CASH_OPTION, the.FX_FORWARD], ids=the.name_of)
def test_what_costs_nothing_moves_no_money(instrument):
    assert set(booked(instrument, "2", "0")) == {("core", instrument.instrument_id), ("street", instrument.instrument_id)}


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_the_legs_of_every_kind_of_trade_sum_to_zero(instrument):
    settlement = the.EURO if instrument is the.CASH else the.CASH
    done = trade(instrument, "3", "7", settlement=settlement.instrument_id if instrument.is_asset else None)
    entry = entry_from_trade(done, instrument, settlement if instrument.is_asset else None)
    for name in {leg.instrument_id for leg in entry.postings}:
        legs = [leg for leg in entry.postings if leg.instrument_id == name]
        assert (sum(leg.quantity for leg in legs), sum(leg.cost for leg in legs)) == (0, 0)
    assert (entry.kind, entry.effective_at, entry.account) == (EntryKind.TRADE, NOON, CORE)


@pytest.mark.parametrize("instrument", [the.COIN, the.PERPETUAL], ids=the.name_of)
def test_a_trade_keeps_all_38_digits(instrument):
    exact = replace(instrument, quantity_places=18)
    moved = booked(exact, "1234567890123456789.123456789012345678", "1")
    assert moved["core", instrument.instrument_id][0] == D("1234567890123456789.123456789012345678")
    assert moved["street", instrument.instrument_id][0] == D("-1234567890123456789.123456789012345678")


def test_an_amount_beyond_18_places_is_rounded_to_the_even_neighbour():
    assert ledger_amount(D("0.0000000000000000005")) == 0
    assert ledger_amount(D("0.0000000000000000015")) == D("0.000000000000000002")
    assert ledger_amount(D("1.00")) == 1


@pytest.mark.parametrize("quantity", ["99999999999999999999", "-99999999999999999999"])
@pytest.mark.parametrize(
    ("instrument", "price"), [(the.COIN, "2"), (the.PERPETUAL, "9e19"), (the.INVERSE_PERPETUAL, "1e-18")], ids=the.name_of
)
def test_a_trade_that_costs_more_than_the_ledger_holds_is_refused(instrument, quantity, price):
    assert refusal(lambda: booked(instrument, quantity, price), Reason.INVALID_DECIMAL).facts["field"] == "amount"


@pytest.mark.parametrize(("instrument", "price"), [(the.PERPETUAL, "9e19"), (the.INVERSE_PERPETUAL, "1e-18")], ids=the.name_of)
def test_a_cost_with_more_digits_than_decimals_are_computed_with_is_refused_and_no_accident(instrument, price):
    large = replace(instrument, terms=replace(instrument.terms, multiplier=D("9e19")))
    refusal(lambda: booked(large, "99999999999999999999", price), Reason.INVALID_DECIMAL)


def test_an_amount_that_rounds_up_to_the_limit_is_refused():
    refusal(lambda: ledger_amount(D("99999999999999999999.9999999999999999999")), Reason.INVALID_DECIMAL)


@pytest.mark.parametrize("fact", ["trade", "deposit"])
def test_more_places_than_the_instrument_has_are_refused_and_not_rounded(fact):
    instrument = replace(the.COIN, quantity_places=3)

    def book(quantity):
        if fact == "trade":
            return entry_from_trade(trade(instrument, quantity), instrument, the.CASH)
        return entry_from_deposit(deposit(instrument, quantity), instrument)

    assert book("0.001").postings[0].quantity == D("0.001")
    refusal(lambda: book("0.0005"), Reason.INVALID_DECIMAL)


@pytest.mark.parametrize(("instrument", "price"), [(the.COIN, "0"), (the.BOND, "-1"), (the.CASH_OPTION, "-0.01")], ids=the.name_of)
def test_a_price_the_kind_cannot_have_is_refused(instrument, price):
    refusal(lambda: booked(instrument, "1", price), Reason.INVALID_PRICE)


@pytest.mark.parametrize("settlement", [None, the.COIN, the.PERPETUAL, the.BOND], ids=the.name_of)
def test_a_trade_in_an_asset_names_another_asset_it_is_paid_in(settlement):
    done = trade(settlement=settlement.instrument_id if settlement else None)
    refusal(lambda: entry_from_trade(done, the.COIN, settlement), Reason.INVALID_INSTRUMENT)


def test_a_coin_may_be_paid_for_in_another_coin():
    entry = entry_from_trade(trade(settlement=InstrumentId("USDC")), the.COIN, the.STABLECOIN)
    assert {leg.instrument_id for leg in entry.postings} == {"BTC", "USDC"}


def test_a_contract_that_names_its_own_settlement_may_repeat_it_but_not_change_it():
    named = trade(the.PERPETUAL, settlement=the.USD)
    assert entry_from_trade(named, the.PERPETUAL, the.CASH) == entry_from_trade(trade(the.PERPETUAL), the.PERPETUAL, None)
    wrong = trade(the.PERPETUAL, settlement=the.BTC)
    assert refusal(lambda: entry_from_trade(wrong, the.PERPETUAL, the.COIN), Reason.INVALID_INSTRUMENT).facts["expected"] == "USD"


@pytest.mark.parametrize("instrument", [*the.ASSETS, *the.BONDS], ids=the.name_of)
def test_a_deposit_is_owed_by_the_custodian(instrument):
    entry = entry_from_deposit(deposit(instrument, "2"), instrument)
    assert entry.kind is EntryKind.DEPOSIT
    assert [(leg.ledger_account, leg.instrument_id, leg.quantity, leg.cost) for leg in entry.postings] == [
        ("core", instrument.instrument_id, D(2), 0),
        ("custodian", instrument.instrument_id, D(-2), 0),
    ]


@pytest.mark.parametrize("collateral_class", [None, "BTC"])
@pytest.mark.parametrize("instrument", [*the.MARGINED, the.CASH_OPTION, the.COIN_OPTION, the.FX_FORWARD], ids=the.name_of)
def test_a_contract_cannot_be_deposited_even_if_it_has_a_collateral_class(instrument, collateral_class):
    """Without a cost its whole notional would be equity."""
    eligible = replace(instrument, collateral_class=collateral_class)
    refusal(lambda: entry_from_deposit(deposit(eligible), eligible), Reason.INVALID_INSTRUMENT)


def test_a_bond_that_is_never_collateral_cannot_be_deposited():
    refusal(lambda: entry_from_deposit(deposit(the.BOND), replace(the.BOND, collateral_class=None)), Reason.INVALID_INSTRUMENT)


def test_a_change_of_policy_is_an_entry_that_moves_nothing_and_says_what_it_set():
    entry = entry_from_policy(AccountCollateralPolicy(CORE, the.BTC, CollateralPolicy.PLEDGED), effective_at=NOON)
    assert (entry.account, entry.kind, entry.effective_at) == (CORE, EntryKind.COLLATERAL_POLICY, NOON)
    assert (entry.reference, entry.postings) == ("BTC pledged", ())


def test_an_entry_whose_legs_do_not_sum_to_zero_is_our_mistake():
    legs = (Posting("core", BOOK, the.USD, D(5)), Posting("street", BOOK, the.USD, D(-4)))
    with pytest.raises(ValueError, match="do not sum to zero in USD"):
        NewEntry(CORE, EntryKind.TRADE, NOON, "", legs)
    costs = (Posting("core", BOOK, the.USD, D(5), D(1)), Posting("street", BOOK, the.USD, D(-5)))
    with pytest.raises(ValueError, match="do not sum to zero in USD"):
        NewEntry(CORE, EntryKind.TRADE, NOON, "", costs)


def test_legs_sum_to_zero_instrument_by_instrument_and_not_over_all():
    legs = (Posting("core", BOOK, the.USD, D(5)), Posting("street", BOOK, the.BTC, D(-5)))
    with pytest.raises(ValueError, match="do not sum to zero"):
        NewEntry(CORE, EntryKind.TRADE, NOON, "", legs)


def entry(reference: str = "") -> NewEntry:
    return entry_from_trade(trade(reference=reference), the.COIN, the.CASH)


def test_entries_are_numbered_from_the_head_without_gaps_and_linked():
    head = replace(HEAD, sequence=41, chain_hash=b"\x07" * 32)
    first, second = append_to_chain(head, (entry("one"), entry("two")))
    assert (first.sequence, second.sequence) == (42, 43)
    assert (first.previous_hash, second.previous_hash) == (head.chain_hash, first.chain_hash)
    assert (first.entry.reference, second.entry.reference) == ("one", "two")


def test_a_chain_grows_the_same_in_one_step_or_in_two():
    together = append_to_chain(HEAD, (entry("one"), entry("two")))
    (first,) = append_to_chain(HEAD, (entry("one"),))
    head = replace(HEAD, sequence=first.sequence, chain_hash=first.chain_hash)
    assert (first, *append_to_chain(head, (entry("two"),))) == together
    assert append_to_chain(HEAD, ()) == ()


def test_an_entry_of_another_account_does_not_get_into_the_chain():
    other = replace(HEAD, ref=AccountRef(ClientId("alpha"), AccountId("other")))
    with pytest.raises(ValueError, match="does not belong in the chain of clients/alpha/accounts/other"):
        append_to_chain(other, (entry(),))


def test_equal_instants_in_different_time_zones_hash_equal():
    tokyo = replace(entry(), effective_at=NOON.astimezone(timezone(timedelta(hours=9))))
    assert append_to_chain(HEAD, (tokyo,))[0].chain_hash == append_to_chain(HEAD, (entry(),))[0].chain_hash


def test_equal_numbers_with_other_zeros_hash_equal():
    written = entry_from_trade(trade(quantity="2.00", price="6.0e4"), the.COIN, the.CASH)
    assert append_to_chain(HEAD, (written,))[0].chain_hash == append_to_chain(HEAD, (entry(),))[0].chain_hash


def test_the_bytes_under_the_hash_never_change():
    """A change here orphans every chain that is stored. Each field comes after its length, four bytes, most significant first."""
    (first,) = append_to_chain(HEAD, (entry("first"),))
    fields = [b"\0" * 32, b"clients/alpha/accounts/core", b"1", b"trade", b"2026-03-02T12:00:00.000000+00:00", b"first"]
    fields += [b"core", b"basis", b"BTC", b"2", b"0", b"street", b"basis", b"BTC", b"-2", b"0"]
    fields += [b"core", b"basis", b"USD", b"-120000", b"0", b"street", b"basis", b"USD", b"120000", b"0"]
    under_the_hash = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    assert first.chain_hash == hashlib.sha256(under_the_hash).digest()


def closed(instrument, quantity, price, held):
    """What closing a part of a position moves in the account: quantity and cost by instrument."""
    entry = entry_from_trade(trade(instrument, quantity, price), instrument, None, closing=held)
    assert_in_balance(entry)
    return {leg.instrument_id: (leg.quantity, leg.cost) for leg in entry.postings if leg.ledger_account == CORE.account_id}


def assert_in_balance(entry):
    for name in {leg.instrument_id for leg in entry.postings}:
        legs = [leg for leg in entry.postings if leg.instrument_id == name]
        assert (exact_sum(leg.quantity for leg in legs), exact_sum(leg.cost for leg in legs)) == (0, 0)


def test_a_part_that_is_closed_takes_its_share_of_the_cost_along_and_what_it_gained_is_paid():
    """Four of ten coins each, bought for 200,000 in all; one sold at 5,200 a coin has gained 2,000."""
    name, settled = the.PERPETUAL.instrument_id, the.PERPETUAL.settlement
    held = Position(BOOK, name, D(4), D(200_000))
    assert closed(the.PERPETUAL, "-1", "5200", held) == {name: (-1, -50_000), settled: (2_000, 0)}
    assert closed(the.PERPETUAL, "-4", "4900", held) == {name: (-4, -200_000), settled: (-4_000, 0)}
    assert closed(the.PERPETUAL, "-1", "5000", held) == {name: (-1, -50_000)}, "nothing gained, nothing paid"
    assert closed(the.PERPETUAL, "-6", "5200", held) == {name: (-6, -200_000 - 2 * 52_000), settled: (8_000, 0)}, "two of six are new"
    short = Position(BOOK, name, D(-4), D(-200_000))
    assert closed(the.PERPETUAL, "6", "5200", short) == {name: (6, 200_000 + 2 * 52_000), settled: (-8_000, 0)}
    assert closed(the.PERPETUAL, "1", "5200", short) == {name: (1, 50_000), settled: (-2_000, 0)}


@pytest.mark.parametrize("held", [None, D(0), D(-4)])
def test_what_closes_nothing_has_its_own_cost_and_is_paid_later(held):
    name = the.PERPETUAL.instrument_id
    position = None if held is None else Position(BOOK, name, held, 50_000 * held)
    assert closed(the.PERPETUAL, "-1", "5200", position) == {name: (-1, -52_000)}


SIZES = st.decimals(-20, 20, places=3).filter(bool)


@given(SIZES, st.decimals(-(10**6), 10**6, places=2), SIZES, st.decimals("0.01", 10**5, places=2), st.decimals("0.01", 10**5, places=2))
def test_whatever_a_trade_closes_the_account_is_worth_what_it_would_be_without_being_paid(held, cost, quantity, price, mark):
    """At any mark: only where the gain is kept is another. To the last digit that the ledger rounds a share of a cost to."""
    name, settled = the.PERPETUAL.instrument_id, the.PERPETUAL.settlement
    paid, kept = (closed(the.PERPETUAL, quantity, price, one) for one in (Position(BOOK, name, held, cost), None))
    worth = [exact_sum((each[name][0] * mark, -each[name][1], each.get(settled, (D(0), D(0)))[0])) for each in (paid, kept)]
    assert abs(worth[0] - worth[1]) <= D("1e-17")
