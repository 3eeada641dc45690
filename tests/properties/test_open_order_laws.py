"""What open orders may come to never needs more than the worst that decisions are made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import GENESIS_HASH, Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.approval import MarginNeed, is_approvable, is_releasable
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Order, ReservationKind, changes_of, fill_blocks, filled_by, reservation_of
from crossmargin.engine.exposure_usage import HoldingRange, exposure_usage
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.open_orders import worst_need
from crossmargin.usecases.ports.books import AccountState
from tests.builders import Revalued, a_revalued_market, perpetual, risk_parameters

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
REF = AccountRef(ClientId("alpha"), AccountId("core"))
MAIN = BookId("main")
PRICES = {"BTC-PERP": 100, "ETH-PERP": 50, "XRP-PERP": 20, "USDT-PERP": 10}
UNDERLYINGS = {"BTC-PERP": "BTC", "ETH-PERP": "ETH", "XRP-PERP": "XRP", "USDT-PERP": "USDT"}
CENTS = Decimal("0.10")
"""Each requirement and value is rounded against the client by itself, so sums of some of them may differ by a few cents."""

moves = st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8)
quantities = st.integers(-30, 30).filter(bool)


@st.composite
def markets(draw):
    return a_revalued_market(
        *(
            Revalued(
                perpetual(name, underlying=UNDERLYINGS[name]),
                float(price),
                {UNDERLYINGS[name]: [price * move for move in draw(moves)]},
            )
            for name, price in PRICES.items()
        ),
        groups=dict.fromkeys(UNDERLYINGS.values(), "CRYPTO"),
    )


def a_view(market):
    return MarketView(MarketSnapshot(NOW, {}, {}), market, risk_parameters(tail_fraction="0.25"), 1)


def a_state(held: dict[str, int]) -> AccountState:
    positions = [Position(MAIN, InstrumentId("USD"), Decimal(5_000))]
    positions += [Position(MAIN, InstrumentId(name), Decimal(held[name]), Decimal(held[name] * PRICES[name])) for name in held]
    return AccountState(
        Account(REF, "Core", AccountMode.CROSS), AccountHead(REF, AccountMode.CROSS, AccountStatus.OPEN, 1, GENESIS_HASH), tuple(positions)
    )


@st.composite
def reservations(draw, most=4):
    made = []
    for number in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(sorted(PRICES)))
        price = Decimal(PRICES[name]) * draw(st.sampled_from([Decimal("0.9"), Decimal(1), Decimal("1.1")]))
        order = Order(REF, MAIN, InstrumentId(name), Decimal(draw(quantities)), price, ReservationKind.RESTING, timedelta(minutes=1))
        instrument = perpetual(name, underlying=UNDERLYINGS[name])
        made.append(reservation_of(order, instrument, None, sequence=number + 1, reserved_by="desk", now=NOW))
    return made


def filled(reservations, fractions: Sequence[int]) -> list[Position]:
    """What positions change by when so many quarters of each order fill at its price."""
    changes = []
    for one, quarters in zip(reservations, fractions, strict=True):
        part = Decimal(quarters) / 4
        changes += [replace(change, quantity=change.quantity * part, cost=change.cost * part) for change in changes_of(one)]
    return changes


def need_of(view, state, changes):
    return worst_need(view, state, (), changes)


holdings = st.dictionaries(st.sampled_from(sorted(PRICES)), quantities, max_size=3)


@settings(max_examples=60)
@given(market=markets(), held=holdings, made=reservations(), data=st.data())
def test_no_fills_whatever_need_more_than_the_worst(market, held, made, data):
    """Four blocks at most, so with more than three the sum of what the rest need alone is put to the test as well."""
    view, state = a_view(market), a_state(held)
    worst = worst_need(view, state, fill_blocks(made))
    quarters = data.draw(st.lists(st.integers(0, 4), min_size=len(made), max_size=len(made)))
    reached = need_of(view, state, filled(made, quarters))
    assert reached.initial_margin <= worst.initial_margin + CENTS
    assert reached.excess >= worst.excess - CENTS


@settings(max_examples=40)
@given(market=markets(), held=holdings, made=reservations(), data=st.data())
def test_no_fills_whatever_are_more_exposed_than_the_range_says(market, held, made, data):
    state = a_state(held)
    worst = exposure_usage(HoldingRange.of(state.positions, fill_blocks(made), market), market)
    quarters = data.draw(st.lists(st.integers(0, 4), min_size=len(made), max_size=len(made)))
    positions = (*state.positions, *filled(made, quarters))
    reached = exposure_usage(HoldingRange.of(positions, (), market), market)
    assert reached.gross <= worst.gross + CENTS
    assert reached.net <= worst.net + CENTS
    assert all(amount <= worst.groups[group] + CENTS for group, amount in reached.groups.items())


@settings(max_examples=40)
@given(market=markets(), held=holdings, made=reservations(most=1), tenths=st.integers(1, 9))
def test_a_fill_in_parts_at_the_orders_price_changes_nothing_at_worst_for_the_better_before_it_is_done(market, held, made, tenths):
    """What has filled and what is left are together what was held, so the need at worst never falls below what a whole fill needs."""
    view, (one,) = a_view(market), made
    state = a_state(held)
    part = filled_by(one, one.order.quantity * tenths / 10)
    taken = [replace(change, quantity=change.quantity * tenths / 10, cost=change.cost * tenths / 10) for change in changes_of(one)]
    after = worst_need(view, replace(state, positions=(*state.positions, *taken)), fill_blocks([part]))
    whole = need_of(view, state, changes_of(one))
    assert after.excess <= whole.excess + CENTS
    assert after.excess >= worst_need(view, state, fill_blocks(made)).excess - CENTS


amounts = st.integers(-100, 100).map(Decimal)
needs = st.builds(MarginNeed, amounts.map(abs), amounts, st.none() | amounts)


@given(before=needs, after=needs)
def test_what_is_approved_is_covered_or_raises_neither_margin_nor_deficit(before, after):
    covered = after.excess >= 0 and after.least_excess is not None and after.least_excess >= 0
    reduces = after.initial_margin <= before.initial_margin and min(after.excess, Decimal(0)) >= min(before.excess, Decimal(0))
    assert is_releasable(after) == covered
    if is_approvable(before, after):
        assert covered or reduces
    assert is_approvable(before, after) or not covered
