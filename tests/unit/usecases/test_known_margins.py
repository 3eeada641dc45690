"""What a portfolio needs in one market is computed once, whoever asks, and never told of another portfolio or another market."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.usecases import known_margins
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_margins import KnownMargins
from tests.unit.adapters.prometheus.results import a_result
from tests.unit.usecases.house import BTC, CORE, USD, unexplained

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


def a_margin(amount, *, sequence=7):
    result = a_result(CORE, initial_margin=str(amount))
    return replace(result, stamp=replace(result.stamp, sequence=sequence))


def never():
    raise AssertionError("it was known")


@pytest.mark.parametrize("name", [field.name for field in fields(Portfolio)])
def test_another_portfolio_is_another_whatever_it_differs_in(name):
    known = KnownMargins()
    assert known.of(PORTFOLIO, lambda: a_margin(1)) == a_margin(1)
    if name in SAME:
        same = replace(PORTFOLIO, **{name: SAME[name]})
        assert known.of(same, never) == a_margin(1, sequence=same.sequence)
    else:
        assert known.of(replace(PORTFOLIO, **{name: OTHERS[name]}), lambda: a_margin(2)) == a_margin(2)
        assert known.of(PORTFOLIO, never) == a_margin(1)


def test_what_cannot_be_computed_is_asked_again():
    known = KnownMargins()
    with pytest.raises(AssertionError):
        known.of(PORTFOLIO, never)
    assert known.of(PORTFOLIO, lambda: a_margin(1)) == a_margin(1)


def test_the_oldest_goes_for_the_next(monkeypatch):
    monkeypatch.setattr(known_margins, "MOST_HOLDINGS", 2 * (1 + known_margins._OWN_WEIGHT))
    known = KnownMargins()
    for number in range(3):
        known.of(replace(PORTFOLIO, holdings=(Holding(BTC, Decimal(number), Decimal(0)),)), lambda number=number: a_margin(number))
    assert len(known) == 2
    assert known.of(replace(PORTFOLIO, holdings=(Holding(BTC, Decimal(0), Decimal(0)),)), lambda: a_margin(9)) == a_margin(9)


def test_in_another_process_it_begins_with_nothing():
    known = KnownMargins()
    known.of(PORTFOLIO, lambda: a_margin(1))
    again = pickle.loads(pickle.dumps(known))  # noqa: S301 - our own
    assert (len(known), len(again)) == (1, 0)
    assert again.of(PORTFOLIO, lambda: a_margin(2)) == a_margin(2)


async def test_what_is_remembered_is_what_would_be_computed_without_what_explains_it(house):
    await house.publish()
    await house.deposit("1000000")
    view = await house.current_market()
    portfolio = portfolio_of(await house.ports.books.account_state(CORE))
    full = view.margin(portfolio)
    assert full.contributions
    for _ in range(2):
        assert view.brief_margin(portfolio) == unexplained(full)
