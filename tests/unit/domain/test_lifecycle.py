"""What an event moves for each kind of instrument, worked out by hand, and what it is refused for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.book import EntryKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.instrument import OptionRight
from crossmargin.domain.lifecycle import check_event, entry_from_event, moves_of
from crossmargin.domain.lifecycle_event import (
    ContractPayment,
    Coupon,
    CurrencyDelivery,
    Delivery,
    Exercise,
    Expiry,
    FinalSettlement,
    Fixing,
    Funding,
    LifecycleEvent,
    Maturity,
    Variation,
    application_name,
    ending_event,
    is_application_of,
)
from crossmargin.domain.position import Position
from tests.unit.domain import instruments as the

D = Decimal
BOOK = BookId("basis")
CORE = AccountRef(ClientId("alpha"), AccountId("core"))
LATE = datetime(2040, 1, 1, tzinfo=UTC)
"""After everything has ended."""
PUT = the.instrument("BTC-PUT", replace(the.CASH_OPTION.terms, right=OptionRight.PUT))


def event(instrument, happening, *, at: datetime = LATE) -> LifecycleEvent:
    return LifecycleEvent(instrument.instrument_id, at, happening)


def moved(instrument, happening, quantity="2", *, cost="0", at=LATE) -> dict[str, tuple[Decimal, Decimal]]:
    """Quantity and cost that move, by instrument."""
    position = Position(BOOK, instrument.instrument_id, D(quantity), D(cost))
    totals: dict[str, tuple[Decimal, Decimal]] = {}
    for move in moves_of(event(instrument, happening, at=at), instrument, position):
        before = totals.get(move.instrument_id, (D(0), D(0)))
        totals[move.instrument_id] = (before[0] + move.quantity, before[1] + move.cost)
    return totals


def refusal(instrument, happening, reason=Reason.INVALID_EVENT, *, at=LATE, quantity="2") -> DomainError:
    with pytest.raises(DomainError) as caught:
        moved(instrument, happening, quantity, at=at)
    assert caught.value.reason is reason
    assert caught.value.facts["instrument"] == instrument.instrument_id
    return caught.value


@pytest.mark.parametrize(
    ("instrument", "happening", "quantity", "cost", "expected"),
    [
        # Two contracts of ten coins at 60,000 are 1.2 million; a long pays a positive rate.
        (the.PERPETUAL, Funding(D("0.0001"), D(60_000)), "2", "999", {"USD": (D(-120), 0)}),
        (the.PERPETUAL, Funding(D("-0.0001"), D(60_000)), "2", "0", {"USD": (D(120), 0)}),
        (the.PERPETUAL, Funding(D("0.0001"), D(60_000)), "-2", "0", {"USD": (D(120), 0)}),
        # Of an inverse contract the notional is 2 x 100 / 50,000 = 0.004 coins.
        (the.INVERSE_PERPETUAL, Funding(D("0.001"), D(50_000)), "2", "0", {"BTC": (D("-0.000004"), 0)}),
        # 4.25% twice a year on a million.
        (the.BOND, Coupon(date(2026, 5, 15)), "1000000", "0", {"USD": (D(21_250), 0)}),
        (the.BOND, Coupon(date(2026, 5, 15), D("0.0425")), "-1000000", "0", {"USD": (D(-21_250), 0)}),
        # The stated period runs from 2026-02-16, a Monday, to 2026-05-15, a Friday: 88 days.
        (the.NOTE, Coupon(date(2026, 5, 15)), "360000", "0", {"USD": (D("3792.8"), 0)}),
        # 2026-05-15 to 2026-08-17 are 94 days.
        (the.NOTE, Coupon(date(2026, 8, 17), D("0.05")), "360000", "0", {"USD": (D(4_700), 0)}),
        (the.BILL, Maturity(), "1000000", "0", {"UST-BILL": (D(-1_000_000), 0), "USD": (D(1_000_000), 0)}),
        (the.BOND, Maturity(), "1000000", "0", {"UST-BOND": (D(-1_000_000), 0), "USD": (D(1_021_250), 0)}),
        # The last period of the note: 2028-11-15 to 2029-02-15, 92 days.
        (the.NOTE, Maturity(D("0.05")), "360000", "0", {"FRN": (D(-360_000), 0), "USD": (D(364_600), 0)}),
        # Pays -3.75% fixed for 365 days of 360 and receives 2%: 0.02 + 0.0375 x 365 / 360.
        (the.SWAP, ContractPayment(date(2026, 6, 1), D("0.02")), "1440000", "0", {"USD": (D(28_800) + D(54_750), 0)}),
        (the.SWAP, ContractPayment(date(2035, 6, 1), D(0)), "1440000", "0", {"SOFR-SWAP": (D(-1_440_000), 0), "USD": (D(54_750), 0)}),
        (the.FLOWS, ContractPayment(date(2026, 9, 1)), "2", "0", {"BESPOKE": (D(-2), 0), "EUR": (D(-10), 0), "USD": (D(11), 0)}),
        # Cost becomes the mark: 2 x 10 x 61,000.
        (the.PERPETUAL, Variation(D(61_000)), "2", "1200000", {"BTC-PERP": (0, D(20_000)), "USD": (D(20_000), 0)}),
        (the.PERPETUAL, Variation(D(61_000)), "-2", "-1200000", {"BTC-PERP": (0, D(-20_000)), "USD": (D(-20_000), 0)}),
        # Closed, and its profit not yet paid.
        (the.PERPETUAL, Variation(D(61_000)), "0", "-500", {"BTC-PERP": (0, D(500)), "USD": (D(500), 0)}),
        # Entered at 50,000 (cost -0.004), now 40,000 (-0.005): a long loses 0.001 coins.
        (the.INVERSE_PERPETUAL, Variation(D(40_000)), "2", "-0.004", {"BTC-INV-PERP": (0, D("-0.001")), "BTC": (D("-0.001"), 0)}),
        (the.FUTURE, FinalSettlement(D(61_000)), "2", "1200000", {"BTC-FUT": (D(-2), D(-1_200_000)), "USD": (D(20_000), 0)}),
        (the.BOND_FUTURE, FinalSettlement(D("110.5")), "3", "330000", {"UST-FUT": (D(-3), D(-330_000)), "USD": (D(1_500), 0)}),
        (the.CASH_OPTION, Expiry(D(60_000)), "2", "0", {"BTC-CALL": (D(-2), 0), "USD": (0, 0)}),
        # Margined at 500 a coin: the buyer still owes what it was bought at.
        (the.MARGINED_OPTION, Expiry(D(59_000)), "2", "10000", {"BTC-MARGINED-CALL": (D(-2), D(-10_000)), "USD": (D(-10_000), 0)}),
        (the.CASH_OPTION, Exercise(D(61_000)), "2", "0", {"BTC-CALL": (D(-2), 0), "USD": (D(20_000), 0)}),
        (the.CASH_OPTION, Exercise(D(61_000)), "-2", "0", {"BTC-CALL": (D(2), 0), "USD": (D(-20_000), 0)}),
        # 10 x 15,000 / 75,000 coins each.
        (the.COIN_OPTION, Exercise(D(75_000)), "3", "0", {"BTC-COIN-CALL": (D(-3), 0), "BTC": (D(6), 0)}),
        (the.MARGINED_OPTION, Exercise(D(61_000)), "2", "10000", {"BTC-MARGINED-CALL": (D(-2), D(-10_000)), "USD": (D(10_000), 0)}),
        (the.FX_OPTION, Exercise(D("1.15")), "1000000", "0", {"EURUSD-CALL": (D(-1_000_000), 0), "USD": (D(30_000), 0)}),
        (
            the.CASH_OPTION,
            Exercise(D(61_000), Delivery.PHYSICAL),
            "2",
            "0",
            {"BTC-CALL": (D(-2), 0), "BTC": (D(20), 0), "USD": (D(-1_200_000), 0)},
        ),
        # Bought at 500 a coin, of which nothing has been paid yet.
        (
            the.MARGINED_OPTION,
            Exercise(D(61_000), Delivery.PHYSICAL),
            "2",
            "10000",
            {"BTC-MARGINED-CALL": (D(-2), D(-10_000)), "BTC": (D(20), 0), "USD": (D(-1_210_000), 0)},
        ),
        (PUT, Exercise(D(59_000), Delivery.PHYSICAL), "2", "0", {"BTC-PUT": (D(-2), 0), "BTC": (D(-20), 0), "USD": (D(1_200_000), 0)}),
        (
            the.FX_OPTION,
            Exercise(D("1.15"), Delivery.PHYSICAL),
            "-100",
            "0",
            {"EURUSD-CALL": (D(100), 0), "EUR": (D(-100), 0), "USD": (D(112), 0)},
        ),
        (the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D("0.5")), "2", "0", {"BTC-AMERICAN": (D("-0.5"), 0), "USD": (D(5_000), 0)}),
        (the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D(1)), "-2", "0", {"BTC-AMERICAN": (D(1), 0), "USD": (D(-10_000), 0)}),
        (the.FX_FORWARD, CurrencyDelivery(), "100", "0", {"EURUSD-FWD": (D(-100), 0), "EUR": (D(100), 0), "USD": (D(-110), 0)}),
        (the.NDF, Fixing(D("1.15")), "100", "0", {"EURUSD-NDF": (D(-100), 0), "USD": (D(5), 0)}),
    ],
)
def test_an_event_moves(instrument, happening, quantity, cost, expected):
    at = LATE
    if isinstance(happening, Exercise) and instrument is the.AMERICAN_OPTION:
        at = the.EXPIRY - timedelta(days=100)
    assert moved(instrument, happening, quantity, cost=cost, at=at) == expected


FITTING = {
    Funding(D("0.0001"), D(60_000)): {the.PERPETUAL, the.INVERSE_PERPETUAL},
    Variation(D(100)): set(the.MARGINED),
    FinalSettlement(D(100)): {the.FUTURE, the.INVERSE_FUTURE, the.BOND_FUTURE},
    Maturity(): {the.BILL, the.BOND},
    Maturity(D("0.01")): {the.NOTE},
    Coupon(date(2026, 5, 15)): {the.BOND, the.NOTE},
    ContractPayment(date(2026, 6, 1), D(0)): {the.SWAP},
    ContractPayment(date(2026, 9, 1)): {the.FLOWS},
    CurrencyDelivery(): {the.FX_FORWARD},
    Fixing(D("1.15")): {the.NDF},
    # The calls are worth nothing at a price of one; the put is worth something.
    Expiry(D(1)): {the.CASH_OPTION, the.COIN_OPTION, the.MARGINED_OPTION, the.FUTURE_OPTION, the.FX_OPTION},
    Exercise(D(1)): {the.AMERICAN_OPTION},
    Exercise(D(70_000)): {the.CASH_OPTION, the.COIN_OPTION, the.MARGINED_OPTION, the.FUTURE_OPTION, the.FX_OPTION},
    Exercise(D(70_000), Delivery.PHYSICAL): {the.CASH_OPTION, the.MARGINED_OPTION, the.FX_OPTION},
}


@pytest.mark.parametrize("happening", FITTING, ids=repr)
@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_an_event_happens_to_the_kinds_it_fits_and_to_no_other(happening, instrument):
    if instrument in FITTING[happening]:
        check_event(event(instrument, happening), instrument)
    else:
        assert refusal(instrument, happening).facts["event"] == event(instrument, happening).kind.value


@pytest.mark.parametrize(
    ("instrument", "happening", "due"),
    [
        (the.BOND, Coupon(date(2026, 5, 15)), datetime(2026, 5, 15, tzinfo=UTC)),
        (the.BOND, Maturity(), datetime(2031, 5, 15, tzinfo=UTC)),
        (the.BILL, Maturity(), datetime(2026, 9, 1, tzinfo=UTC)),
        (the.SWAP, ContractPayment(date(2026, 6, 1), D(0)), datetime(2026, 6, 1, tzinfo=UTC)),
        (the.FLOWS, ContractPayment(date(2026, 9, 1)), datetime(2026, 9, 1, tzinfo=UTC)),
        (the.FUTURE, FinalSettlement(D(1)), the.EXPIRY),
        (the.BOND_FUTURE, FinalSettlement(D(1)), datetime(2026, 6, 30, tzinfo=UTC)),
        (the.CASH_OPTION, Expiry(D(1)), the.EXPIRY),
        (the.AMERICAN_OPTION, Expiry(D(70_000)), the.EXPIRY),
        (the.CASH_OPTION, Exercise(D(70_000)), the.EXPIRY),
        (the.FX_OPTION, Exercise(D(2)), the.EXPIRY),
        (the.FX_FORWARD, CurrencyDelivery(), datetime(2026, 9, 1, tzinfo=UTC)),
        (the.NDF, Fixing(D(1)), datetime(2026, 8, 28, tzinfo=UTC)),
    ],
)
def test_an_event_is_booked_from_its_time_on(instrument, happening, due):
    moved(instrument, happening, at=due)
    early = refusal(instrument, happening, Reason.EVENT_NOT_DUE, at=due - timedelta(microseconds=1))
    assert early.facts["due"][:10] == due.date().isoformat()


@pytest.mark.parametrize(
    ("instrument", "happening", "word"),
    [
        (the.BOND, Coupon(date(2026, 5, 16)), "the nearest payments are 2025-11-15 and 2026-05-15"),
        (the.BOND, Coupon(date(2031, 5, 15)), "book its maturity"),
        (the.BOND, Coupon(date(2026, 5, 15), D("0.05")), "the coupon is 0.0425"),
        (the.NOTE, Coupon(date(2026, 5, 15), D("0.05")), "the period pays 0.0431"),
        (the.NOTE, Coupon(date(2026, 8, 17)), "rate is missing"),
        (the.BILL, Maturity(D("0.01")), "a bill has no coupon"),
        (the.SWAP, ContractPayment(date(2026, 6, 1)), "floating_fraction was None"),
        (the.SWAP, ContractPayment(date(2026, 6, 1), D(-1)), "floating_fraction was -1"),
        (the.FLOWS, ContractPayment(date(2026, 9, 1), D(0)), "fixed amounts"),
        (the.PERPETUAL, Funding(D(1), D(60_000)), "expected a fraction of notional"),
        (the.CASH_OPTION, Expiry(D(60_001)), "at 60001 one is worth 10 USD"),
        (the.CASH_OPTION, Exercise(D(60_000)), "worth nothing"),
        (the.CASH_OPTION, Exercise(D(61_000), quantity=D(1)), "exercised whole"),
        (the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D("2.5")), "at most 2"),
        (the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D(0)), "more than zero"),
        (the.COIN_OPTION, Exercise(D(61_000), Delivery.PHYSICAL), "expected delivery in cash"),
        (the.FUTURE_OPTION, Exercise(D(61_000), Delivery.PHYSICAL), "expected delivery in cash"),
        (the.NDF, Fixing(), "bought_price was None"),
        (the.NDF, Fixing(D("1.1"), D("1.2")), "sold_price was 1.2"),
    ],
)
def test_what_does_not_fit_the_terms_is_refused_in_words(instrument, happening, word):
    assert word in refusal(instrument, happening).message


@pytest.mark.parametrize(
    ("instrument", "happening"),
    [
        (the.PERPETUAL, Funding(D("0.1"), D(0))),
        (the.PERPETUAL, Variation(D(-1))),
        (the.FUTURE, FinalSettlement(D(0))),
        (the.CASH_OPTION, Expiry(D(0))),
        (the.COIN_OPTION, Exercise(D(-5))),
    ],
)
def test_a_price_that_nothing_has_is_refused(instrument, happening):
    refusal(instrument, happening, Reason.INVALID_PRICE)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e20", "1e-19"])
def test_a_number_the_ledger_cannot_hold_is_refused(value):
    for happening in (Funding(D(value), D(1)), Variation(D(value)), Exercise(D(1), quantity=D(value)), Fixing(sold_price=D(value))):
        with pytest.raises(DomainError) as caught:
            event(the.PERPETUAL, happening)
        assert caught.value.reason is Reason.INVALID_DECIMAL


def test_an_entry_has_the_postings_of_every_book_and_says_which_event_it_is():
    funding = event(the.PERPETUAL, Funding(D("0.0001"), D(60_000)))
    held = [Position(BookId(name), the.PERPETUAL.instrument_id, D(quantity)) for name, quantity in (("a", 2), ("b", -1), ("c", 0))]
    entry = entry_from_event(funding, the.PERPETUAL, CORE, held, name=funding.name)
    assert [(leg.ledger_account, leg.book_id, leg.instrument_id, leg.quantity) for leg in entry.postings] == [
        ("core", "a", "USD", D(-120)),
        ("street", "a", "USD", D(120)),
        ("core", "b", "USD", D(60)),
        ("street", "b", "USD", D(-60)),
    ]
    assert (entry.kind, entry.effective_at) == (EntryKind.FUNDING, LATE)
    assert entry.details.event == "funding BTC-PERP 2040-01-01T00:00:00.000000+00:00"
    assert entry.details.terms == (("price", "60000"), ("rate", "0.0001"))


def test_securities_are_redeemed_by_the_custodian_who_keeps_them():
    maturity = event(the.BILL, Maturity())
    entry = entry_from_event(maturity, the.BILL, CORE, [Position(BOOK, the.BILL.instrument_id, D(5))], name=maturity.name)
    assert {leg.ledger_account for leg in entry.postings} == {"core", "custodian"}


def test_an_event_that_moves_nothing_makes_no_entry():
    variation = event(the.PERPETUAL, Variation(D(60_000)))
    assert entry_from_event(variation, the.PERPETUAL, CORE, [], name="x") is None
    flat = Position(BOOK, the.PERPETUAL.instrument_id, D(1), D(600_000))
    assert entry_from_event(variation, the.PERPETUAL, CORE, [flat], name="x") is None


def test_a_part_is_exercised_in_one_book():
    held = [Position(BookId(name), the.AMERICAN_OPTION.instrument_id, D(2)) for name in ("a", "b")]
    part = event(the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D(1)))
    with pytest.raises(DomainError, match="name one of them"):
        entry_from_event(part, the.AMERICAN_OPTION, CORE, held, name="x")
    of_b = event(the.AMERICAN_OPTION, Exercise(D(59_000), quantity=D(1), book_id=BookId("b")))
    entry = entry_from_event(of_b, the.AMERICAN_OPTION, CORE, held, name="x")
    assert {leg.book_id for leg in entry.postings} == {"b"}


def test_names_tell_events_apart_and_their_applications_belong_together():
    names = {
        event(the.BOND, Coupon(date(2026, 5, 15))).name,
        event(the.BOND, Coupon(date(2026, 11, 15))).name,
        event(the.BOND, Maturity()).name,
        event(the.PERPETUAL, Variation(D(1))).name,
        event(the.PERPETUAL, Variation(D(1)), at=LATE + timedelta(microseconds=1)).name,
        event(the.PERPETUAL, Funding(D(0), D(1))).name,
    }
    assert len(names) == 6
    assert event(the.BOND, Maturity()).name == event(the.BOND, Maturity(), at=LATE + timedelta(days=1)).name == "maturity UST-BOND"
    assert [application_name("maturity A", count) for count in range(3)] == ["maturity A", "maturity A #2", "maturity A #3"]
    assert is_application_of("maturity A #2", "maturity A")
    assert not is_application_of("maturity AB", "maturity A")


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_what_ends_has_an_event_that_ends_it(instrument):
    never_ends = instrument.is_asset or instrument in {the.PERPETUAL, the.INVERSE_PERPETUAL}
    assert bool(ending_event(instrument.terms)) is not never_ends
