"""What a portfolio needs in one market is computed once, whoever asks, and never told of another portfolio or another market."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position
from crossmargin.usecases import known_needs
from crossmargin.usecases.known_needs import KnownNeeds
from crossmargin.usecases.open_orders import worst_need
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, USD

PORTFOLIO = Portfolio(CORE, AccountMode.CROSS, 7, (Holding(BTC, Decimal(1), Decimal(0)), Holding(USD, Decimal(5), Decimal(0))))
OTHERS = {
    "account": AccountRef(ClientId("alpha"), AccountId("other")),
    "mode": AccountMode.ISOLATED,
    "holdings": (Holding(BTC, Decimal(2), Decimal(0)),),
    "policies": {BTC: CollateralPolicy.RISKED},
    "risked_fractions": {BTC: Decimal("0.5")},
    "methodology": Methodology.SPAN_GRID,
}
SAME = {"sequence": 8, "house": None}
"""The house is that of the view, and the sequence says nothing but which entries came to these holdings."""


def a_need(amount):
    return MarginNeed(Decimal(amount), Decimal(0), Decimal(0))


def never():
    raise AssertionError("it was known")


@pytest.mark.parametrize("name", [field.name for field in fields(Portfolio)])
def test_another_portfolio_is_another_whatever_it_differs_in(name):
    needs = KnownNeeds()
    assert needs.of(PORTFOLIO, lambda: a_need(1)) == a_need(1)
    if name in SAME:
        assert needs.of(replace(PORTFOLIO, **{name: SAME[name]}), never) == a_need(1)
    else:
        assert needs.of(replace(PORTFOLIO, **{name: OTHERS[name]}), lambda: a_need(2)) == a_need(2)
        assert needs.of(PORTFOLIO, never) == a_need(1)


def test_what_cannot_be_computed_is_asked_again():
    needs = KnownNeeds()
    with pytest.raises(AssertionError):
        needs.of(PORTFOLIO, never)
    assert needs.of(PORTFOLIO, lambda: a_need(1)) == a_need(1)


def test_the_oldest_goes_for_the_next(monkeypatch):
    monkeypatch.setattr(known_needs, "MOST_KNOWN", 2)
    needs = KnownNeeds()
    for number in range(3):
        needs.of(replace(PORTFOLIO, holdings=(Holding(BTC, Decimal(number), Decimal(0)),)), lambda number=number: a_need(number))
    assert len(needs) == 2
    assert needs.of(replace(PORTFOLIO, holdings=(Holding(BTC, Decimal(0), Decimal(0)),)), lambda: a_need(9)) == a_need(9)


async def test_a_decision_begins_with_what_the_one_before_ended_with(house):
    await house.publish()
    await house.deposit("1000000")
    view = await house.current_market()
    state = await house.ports.books.account_state(CORE)
    order = (Position(BookId("main"), BTC_PERP, Decimal(1), Decimal(60000)),)
    assert worst_need(view, state, (order,)) == worst_need(view, state, (), order)
    assert len(view.needs) == 2, "without the order, and with it"
    filled = replace(state, positions=(*state.positions, *order), head=replace(state.head, sequence=9))
    worst_need(view, filled, ())
    assert len(view.needs) == 2


async def test_another_market_begins_with_nothing(house):
    await house.publish()
    await house.deposit("1000000")
    view = await house.current_market()
    worst_need(view, await house.ports.books.account_state(CORE), ())
    assert len(view.needs) == 1
    assert len(replace(view, fraction=Decimal("0.5")).needs) == 0
    await house.publish("61000")
    assert len((await house.current_market()).needs) == 0
