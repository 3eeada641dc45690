"""Laws of lifecycle events: at its own price an event changes the form of value and not its amount, and nothing comes from nowhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import GENESIS_HASH, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, append_to_chain, ledger_amount, reversing_entry
from crossmargin.domain.entry_details import EntryDetails, parse_details
from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.instrument import BusinessDayRule, DayCount, OptionRight, consideration
from crossmargin.domain.lifecycle import Move, entry_from_event, moves_of, payoff_per_unit
from crossmargin.domain.lifecycle_event import (
    Delivery,
    Exercise,
    Expiry,
    FinalSettlement,
    Funding,
    LifecycleEvent,
    Maturity,
    Variation,
)
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.position import Position
from crossmargin.domain.schedule import accrual_periods, year_fraction
from crossmargin.engine.revaluation import schedule as engine_schedule
from tests.unit.domain import instruments as the

D = Decimal
CORE = AccountRef(ClientId("alpha"), AccountId("core"))
BOOK = BookId("basis")
NOTHING = D(0)
LATE = datetime(2040, 1, 1, tzinfo=UTC)
DUST = D("1e-15")
"""A thousandth of a millionth of a cent: the ledger's own rounding, multiplied by a price."""

quantities = st.decimals(-10_000, 10_000, places=6)
prices = st.decimals("0.01", 200_000, places=4)
rates = st.decimals("-0.02", "0.02", places=8)


def moves(instrument, happening, quantity, cost=NOTHING) -> dict[str, Move]:
    position = Position(BOOK, instrument.instrument_id, quantity, cost)
    event = LifecycleEvent(instrument.instrument_id, LATE, happening)
    totals: dict[str, Move] = {}
    for move in moves_of(event, instrument, position):
        before = totals.get(move.instrument_id, Move(move.instrument_id, D(0)))
        totals[move.instrument_id] = Move(move.instrument_id, before.quantity + move.quantity, before.cost + move.cost)
    return totals


def received(found: dict[str, Move], asset: str) -> Decimal:
    return found[asset].quantity if asset in found else D(0)


def worth(instrument, quantity, cost, price) -> Decimal:
    """Value of a margined position at a price, in its settlement asset."""
    return EXACT.subtract(consideration(instrument, quantity=quantity, price=price), cost)


@pytest.mark.parametrize("instrument", the.MARGINED, ids=the.name_of)
@given(quantity=quantities, entry=prices, mark=prices)
def test_variation_leaves_value_where_it_was_and_pays_what_is_left(instrument, quantity, entry, mark):
    cost = ledger_amount(consideration(instrument, quantity=quantity, price=entry))
    before = worth(instrument, quantity, cost, mark)
    found = moves(instrument, Variation(mark), quantity, cost)
    paid = received(found, instrument.settlement)
    after = worth(instrument, quantity, exact_sum((cost, found[instrument.instrument_id].cost)), mark)
    assert abs(exact_sum((after, paid, -before))) <= DUST
    assert abs(after) <= DUST
    assert not found[instrument.instrument_id].quantity


@pytest.mark.parametrize("instrument", [the.FUTURE, the.INVERSE_FUTURE, the.BOND_FUTURE], ids=the.name_of)
@given(quantity=quantities, entry=prices, final=prices)
def test_a_future_ends_at_what_it_is_worth_and_nothing_is_left_of_it(instrument, quantity, entry, final):
    cost = ledger_amount(consideration(instrument, quantity=quantity, price=entry))
    found = moves(instrument, FinalSettlement(final), quantity, cost)
    assert (found[instrument.instrument_id].quantity, found[instrument.instrument_id].cost) == (-quantity, -cost)
    assert abs(received(found, instrument.settlement) - worth(instrument, quantity, cost, final)) <= DUST


@pytest.mark.parametrize("instrument", the.OPTIONS, ids=the.name_of)
@given(quantity=quantities, price=prices, paid=prices)
def test_an_option_ends_at_its_intrinsic_value(instrument, quantity, price, paid):
    cost = ledger_amount(consideration(instrument, quantity=quantity, price=paid)) if instrument.is_margined else D(0)
    payoff = payoff_per_unit(instrument, price)
    happening = Exercise(price) if payoff else Expiry(price)
    found = moves(instrument, happening, quantity, cost)
    intrinsic = EXACT.subtract(EXACT.multiply(quantity, payoff), cost)
    assert abs(received(found, instrument.settlement) - intrinsic) <= DUST
    assert (found[instrument.instrument_id].quantity, found[instrument.instrument_id].cost) == (-quantity, -cost)


@pytest.mark.parametrize("instrument", [the.CASH_OPTION, the.MARGINED_OPTION, the.AMERICAN_OPTION, the.FX_OPTION], ids=the.name_of)
@given(quantity=quantities, depth=st.decimals("0.001", "0.9", places=3), paid=prices)
def test_delivery_is_worth_what_cash_settlement_pays(instrument, quantity, depth, paid):
    """However deep it is in the money, and whatever a margined one cost."""
    away = depth if instrument.terms.right is OptionRight.CALL else -depth
    price = instrument.terms.strike * (1 + away)
    cost = ledger_amount(consideration(instrument, quantity=quantity, price=paid)) if instrument.is_margined else D(0)
    cash = moves(instrument, Exercise(price), quantity, cost)
    physical = moves(instrument, Exercise(price, Delivery.PHYSICAL), quantity, cost)
    (delivered,) = physical.keys() - {instrument.instrument_id, instrument.settlement}
    value = EXACT.add(EXACT.multiply(received(physical, delivered), price), received(physical, instrument.settlement))
    assert abs(value - received(cash, instrument.settlement)) <= DUST


@pytest.mark.parametrize("instrument", [the.PERPETUAL, the.INVERSE_PERPETUAL], ids=the.name_of)
@given(held=st.lists(quantities, min_size=1, max_size=6), rate=rates, price=prices)
def test_what_longs_pay_in_funding_shorts_receive(instrument, held, rate, price):
    """With the shorts on the other side of every long, nothing is left over: not even a rounding."""
    paid = [received(moves(instrument, Funding(rate, price), quantity), instrument.settlement) for quantity in held]
    other = [received(moves(instrument, Funding(rate, price), -quantity), instrument.settlement) for quantity in held]
    assert exact_sum((*paid, *other)) == 0
    for amount, quantity in zip(paid, held, strict=True):
        assert amount * quantity * rate <= 0


@given(face=st.decimals(-(10**9), 10**9, places=2))
def test_a_bill_at_par_becomes_its_face_in_cash(face):
    found = moves(the.BILL, Maturity(), face)
    assert (received(found, "UST-BILL"), received(found, "USD")) == (-face, face)


@pytest.mark.parametrize("count", [1, 2, 3])
@given(quantity=quantities, price=prices, entry=prices)
def test_an_event_is_additive_over_the_parts_of_a_position(count, quantity, price, entry):
    """Splitting a position over books changes nothing but dust."""
    cost = ledger_amount(consideration(the.INVERSE_PERPETUAL, quantity=quantity, price=entry))
    whole = received(moves(the.INVERSE_PERPETUAL, Variation(price), quantity * count, cost * count), "BTC")
    part = received(moves(the.INVERSE_PERPETUAL, Variation(price), quantity, cost), "BTC")
    assert abs(whole - part * count) <= DUST


@given(quantity=quantities, price=prices, entry=prices)
def test_an_event_taken_back_leaves_every_ledger_account_as_it_was(quantity, price, entry):
    cost = ledger_amount(consideration(the.FUTURE, quantity=quantity, price=entry))
    event = LifecycleEvent(the.FUTURE.instrument_id, LATE, FinalSettlement(price))
    made = entry_from_event(event, the.FUTURE, CORE, [Position(BOOK, the.FUTURE.instrument_id, quantity, cost)], name=event.name)
    assume(made is not None)
    (numbered,) = append_to_chain(AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, 0, GENESIS_HASH), (made,))
    back = reversing_entry(numbered, EntryKind.EVENT_CANCELLATION, reason="wrong price")
    for leg, turned in zip(made.postings, back.postings, strict=True):
        assert replace(leg, quantity=EXACT.minus(leg.quantity), cost=EXACT.minus(leg.cost)) == turned
    assert back.effective_at == made.effective_at


details = st.builds(
    EntryDetails,
    reverses=st.none() | st.integers(1, 2**62),
    settle_date=st.none() | st.dates(),
    event=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80),
    terms=st.dictionaries(st.sampled_from(["price", "rate", "quantity"]), st.decimals(0, 10, places=4).map(str)).map(
        lambda terms: tuple(sorted(terms.items()))
    ),
)


@given(said=details)
def test_what_an_entry_says_is_read_back_as_it_was_said(said):
    assert parse_details(said.text()) == said


starts = st.dates(date(1990, 1, 1), date(2060, 12, 31))


@settings(max_examples=200)
@given(
    start=starts,
    days=st.integers(1, 4000),
    per_year=st.sampled_from([1, 2, 4, 12]),
    moved_by=st.fixed_dictionaries({"rule": st.sampled_from(BusinessDayRule), "calendar": st.sampled_from(HolidayCalendar)}),
    day_count=st.sampled_from(DayCount),
)
def test_the_ledger_pays_by_the_days_and_fractions_that_the_engine_values_by(start, days, per_year, moved_by, day_count):
    maturity = date.fromordinal(start.toordinal() + days)
    terms = {"per_year": per_year, **moved_by}
    ours = accrual_periods(start, maturity, **terms)
    theirs = engine_schedule.accrual_periods(start, maturity, **terms, after=date(1900, 1, 1))
    assert [period.start for period in ours] == theirs.starts.tolist()
    assert [period.end for period in ours] == theirs.ends.tolist()
    assert [period.regular_start for period in ours] == theirs.regular_starts.tolist()
    assume(all(period.end > period.regular_start for period in ours))
    fractions = [year_fraction(period, day_count) for period in ours]
    assert all(isinstance(part, Fraction) for part in fractions)
    assert np.allclose([float(part) for part in fractions], engine_schedule.year_fractions(theirs, day_count), rtol=1e-13, atol=0)


def test_the_moment_of_the_tests_is_after_every_end():
    assert datetime.combine(date(2035, 6, 1), time(), UTC) < LATE
