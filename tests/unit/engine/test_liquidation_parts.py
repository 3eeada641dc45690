"""The parts that a plan is made of: money that contracts leave, what of it a choice may trade, and quantities that can be traded."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.liquidation import DepthLevel, LiquidationTerms, OrderBook, PlannedTrade
from crossmargin.domain.position import Holding
from crossmargin.engine.liquidation import _Book, plan_liquidation
from crossmargin.engine.liquidation_cost import at_marks, close_out, traded_exposure
from crossmargin.engine.liquidation_money import LeftMoney, money_left
from crossmargin.engine.liquidation_orders import _closed
from crossmargin.engine.portfolio_arrays import charge_rates
from tests.unit.engine.stressed_books import INSTRUMENTS, MARKET, RULES, a_book

TERMS = LiquidationTerms(RULES.liquidation)
INSTRUMENT = {each.instrument_id: each for each in INSTRUMENTS}
BTC, PERP, INVERSE = (InstrumentId(name) for name in ("BTC", "PERP-LINEAR-USD", "PERP-INVERSE"))
LEFT = {"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}
"""Closed, the contract leaves a quarter of a coin."""


def a_leg(name, quantity, terms=TERMS):
    return close_out(a_book({name: quantity}).holdings[0], INSTRUMENT[name], MARKET, charge_rates(RULES), terms)


def a_desk(held, terms=TERMS):
    book = _Book(a_book(held), MARKET, RULES, terms)
    return book, book.desk


def test_money_is_owned_and_owed_by_what_was_there_and_by_what_a_choice_leaves():
    money = LeftMoney(BTC, Decimal(60_000), np.array([0.5, -0.2, 0.0]), owned_first=0.3, owed_first=0.1)
    half = np.array([1.0, 0.5, 1.0])
    assert (money.owned(half), money.owed(half)) == (pytest.approx(0.8), pytest.approx(0.2))
    assert (money.most, money.bit) == (pytest.approx(1.1), pytest.approx(0.011))
    moved = {holding.instrument_id: holding.quantity for holding in money.moved(a_book({"USD": 5, "BTC": 1}), -1).holdings}
    assert moved == {"BTC": pytest.approx(Decimal("0.989")), "USD": pytest.approx(Decimal(665))}


@pytest.mark.parametrize(("held", "owned", "owed"), [("0.3", 0.3, 0.0), ("-0.3", 0.0, 0.3), ("0", 0.0, 0.0)])
def test_what_is_held_of_a_coin_is_there_first_and_what_contracts_leave_comes_with_them(held, owned, owed):
    portfolio = a_book({"BTC": held, "PERP-INVERSE": (600, "-1.2519"), "PERP-LINEAR-USD": (1, "60000")})
    legs = _Book(portfolio, MARKET, RULES, TERMS).legs[:2]
    money = money_left(BTC, portfolio, legs, MARKET)
    assert (money.owned_first, money.owed_first) == (pytest.approx(owned), pytest.approx(owed))
    by_name = {leg.holding.instrument_id: float(left) for leg, left in zip(legs, money.left, strict=True)}
    row = MARKET.row_of[INVERSE]
    coins = 600 * float(MARKET.unit_value[row]) / float(MARKET.settlement_price[row]) + 1.2519
    assert by_name == {PERP: 0.0, INVERSE: pytest.approx(coins)}


def test_what_was_left_by_contracts_that_are_closed_already_is_there_first_too():
    portfolio = a_book({"USD": 1})
    closed = (Holding(INVERSE, Decimal(0), Decimal("-0.4")), Holding(PERP, Decimal(0), Decimal(-70)))
    money = money_left(BTC, replace(portfolio, holdings=(*portfolio.holdings, *closed)), [], MARKET)
    assert (money.owned_first, money.owed_first) == (pytest.approx(0.4), 0.0)


def test_no_more_money_is_traded_than_what_can_be_closed_leaves():
    """An order book that takes half of the contract: half of its coins are there to sell, whatever the choice."""
    unit = Decimal(-100) / Decimal(
        float(MARKET.unit_value[MARKET.row_of[INVERSE]]) / float(MARKET.settlement_price[MARKET.row_of[INVERSE]])
    )
    half = OrderBook(bids=(DepthLevel(round(unit, 2), Decimal(300)),), asks=())
    book, desk = a_desk(LEFT, LiquidationTerms(RULES.liquidation, depth={INVERSE: half}))
    assert desk.everything().tolist() == pytest.approx([0.5, 0.5], rel=1e-6)
    assert book.most.tolist() == desk.everything().tolist()
    _, whole = a_desk(LEFT)
    assert whole.everything().tolist() == pytest.approx([1.0, 1.0])
    assert whole.short_of_all(np.array([1.0, 1.0]), 0.999).tolist() == pytest.approx([0.999, 0.999])
    assert whole.short_of_all(np.array([0.3, 1.0]), 0.999).tolist() == pytest.approx([0.3, 0.3])


BOTH = {"USD": 14_500, "PERP-INVERSE": (600, "-0.7519"), "BTC": "0.1"}
"""A tenth of a coin is held, and a quarter is owed once the contract is closed."""


def test_a_choice_may_trade_of_an_asset_what_it_leaves_there():
    book, desk = a_desk(BOTH)
    (asset,) = desk.assets
    assert None not in {asset.sale, asset.purchase}
    sold, bought = (abs(float(book.legs[place].holding.quantity)) for place in (asset.sale, asset.purchase))
    choice = np.zeros(len(book.legs))
    choice[0], choice[asset.sale], choice[asset.purchase] = 0.5, 0.8, 0.2
    slacks = [float(row @ choice) - limit for row, limit in desk.money_there()]
    price = float(asset.money.price)
    expected = [price * (0.8 * sold - asset.money.owned(choice[:1])), price * (0.2 * bought - asset.money.owed(choice[:1]))]
    assert slacks == pytest.approx(expected)


def test_what_would_be_sold_and_bought_again_costs_nothing():
    book, desk = a_desk(BOTH)
    (asset,) = desk.assets
    sold, bought = (abs(float(book.legs[place].holding.quantity)) for place in (asset.sale, asset.purchase))
    choice = np.zeros(len(book.legs))
    choice[asset.sale], choice[asset.purchase] = 0.5, 0.9
    net = desk.netted(choice)
    assert min(net[asset.sale] * sold, net[asset.purchase] * bought) == pytest.approx(0.0, abs=1e-12)
    assert net[asset.sale] * sold - net[asset.purchase] * bought == pytest.approx(0.5 * sold - 0.9 * bought)
    assert desk.cost(choice) == pytest.approx(sum(leg.cost(float(each)) for leg, each in zip(book.legs, net, strict=True)))


def test_what_would_be_bought_back_and_sold_again_is_netted_whichever_of_the_two_is_more():
    book, desk = a_desk(BOTH)
    (asset,) = desk.assets
    sold, bought = (abs(float(book.legs[place].holding.quantity)) for place in (asset.sale, asset.purchase))
    assert (sold, bought) == (pytest.approx(0.1), pytest.approx(0.25, rel=0.01))
    choice = np.zeros(len(book.legs))
    choice[asset.sale], choice[asset.purchase] = 1.0, 0.1
    net = desk.netted(choice)
    assert (net[asset.sale] * sold, net[asset.purchase]) == (pytest.approx(sold - 0.1 * bought), pytest.approx(0.0, abs=1e-12))
    whole = np.ones(len(book.legs))
    near = desk.short_of_all(whole, 0.999)
    assert near[0] == 0.999
    assert near[asset.sale] == pytest.approx(0.0, abs=1e-12), "what is bought back is not sold before"


def test_no_more_of_a_coin_is_traded_than_there_is_at_the_prices_that_are_expected():
    """By the marks the choice leaves more: it was made before it was known what closing costs."""
    book, desk = a_desk(BOTH)
    (asset,) = desk.assets
    choice = np.zeros(len(book.legs))
    choice[0], choice[asset.sale] = 0.2, 0.5
    units = 0.5 * abs(float(book.legs[asset.sale].holding.quantity))
    for owned, owed in (("0.01", "0"), ("0", "0.01"), ("1", "1")):
        found = desk._units(asset, choice, Decimal(owned), Decimal(owed))
        assert float(found) == pytest.approx(min(units, float(owned)))
    choice[asset.sale], choice[asset.purchase] = 0.0, 0.15
    wanted = 0.15 * abs(float(book.legs[asset.purchase].holding.quantity))
    for owed in ("0.01", "1"):
        assert float(desk._units(asset, choice, Decimal(0), Decimal(owed))) == pytest.approx(-min(wanted, float(owed)))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_fraction_is_closed_rounded_up_to_what_can_be_traded_and_never_beyond_what_is_held(sign):
    leg = a_leg("PERP-LINEAR-USD", sign * 10)
    leg = replace(leg, instrument=replace(leg.instrument, quantity_places=3))
    fractions = {0.0: "0", 0.33333: "3.334", 0.1 + 1e-14: "1", 0.99999999: "10", 1.0: "10", 1.5: "10", -1e-17: "0"}
    assert {each: _closed(leg, each) for each in fractions} == {each: sign * Decimal(closed) for each, closed in fractions.items()}
    dust = replace(leg, holding=Holding(PERP, sign * Decimal("0.0005"), Decimal(0)))
    assert [_closed(dust, each) for each in (0.5, 1.0)] == [sign * Decimal("0.0005")] * 2


def test_a_level_that_is_better_than_the_mark_costs_nothing_and_the_price_of_an_asset_is_in_dollars():
    better = OrderBook(bids=(DepthLevel(Decimal(61_000), Decimal(1)), DepthLevel(Decimal(59_990), Decimal(1))), asks=())
    leg = a_leg("BTC", 2, LiquidationTerms(RULES.liquidation, depth={BTC: better}))
    mark = float(MARKET.unit_value[MARKET.row_of[BTC]])
    assert leg.cost(0.5) == 0.0
    assert leg.cost(1.0) == pytest.approx(mark - 59_990)
    row = MARKET.row_of["EUR"]
    euro = float(MARKET.unit_value[row])
    asks = OrderBook(bids=(), asks=(DepthLevel(Decimal(f"{euro + 0.01:.6f}"), Decimal(1_000)),))
    owed = a_leg("EUR", -1_000, LiquidationTerms(RULES.liquidation, depth={InstrumentId("EUR"): asks}))
    assert owed.cost(1.0) == pytest.approx(10.0, rel=1e-4)


def test_the_mark_of_an_asset_is_in_dollars_and_that_of_a_contract_in_what_it_settles_in():
    trades = [PlannedTrade(InstrumentId(name), Decimal(-1), None, Decimal(1), Decimal(1), Decimal(0), Decimal(0)) for name in ("EUR", PERP)]
    euro, perpetual = at_marks(trades, MARKET)
    assert float(euro.expected_price) == pytest.approx(float(MARKET.unit_value[MARKET.row_of["EUR"]]))
    assert euro.expected_price > 1
    assert float(perpetual.expected_price) == pytest.approx(60_120)


def test_an_inverse_contract_moves_its_market_as_much_as_a_linear_one():
    """In coins it gains the other way round; of what it trades, dollars of the same coin, the volatility is the same."""
    assert a_leg("PERP-INVERSE", 600).impact == pytest.approx(a_leg("PERP-LINEAR-USD", 1).impact, rel=0.03)


def test_what_a_contract_settles_in_is_not_traded_with_it_and_a_currency_pair_is_both_its_moneys():
    groups = {
        name: {MARKET.groups[place] for place, _ in traded_exposure(MARKET, MARKET.row_of[name])}
        for name in ("FUTURE-LINEAR-EUR", "EURUSD", "PERP-INVERSE")
    }
    assert groups["FUTURE-LINEAR-EUR"] == groups["PERP-INVERSE"] == {"BTC"}
    assert "EUR" in groups["EURUSD"]


def test_an_account_of_which_nothing_can_be_traded_has_no_plan_and_says_so():
    terms = LiquidationTerms(RULES.liquidation, untouchable=frozenset({PERP}))
    plan = plan_liquidation(a_book({"USD": 40_000, "PERP-LINEAR-USD": (10, "601200")}), MARKET, RULES, terms)
    assert (plan.pieces, plan.reaches_target, plan.left_out) == ((), False, (PERP,))
