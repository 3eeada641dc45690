"""Plans that close out a part of an account: cheapest, smallest, hedges last, at prices that say what they cost."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise, product

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import consideration
from crossmargin.domain.liquidation import (
    DepthLevel,
    LiquidationPiece,
    LiquidationTerms,
    OrderBook,
    PlanWish,
    after_trades,
    asset_money,
    left_by_closing,
)
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Holding
from crossmargin.engine.liquidation import _Book, plan_liquidation
from crossmargin.engine.liquidation_cost import at_expected_costs, close_out, quote_of, traded_exposure, value_of_quote
from crossmargin.engine.liquidation_orders import Order
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.portfolio_arrays import charge_rates
from tests.unit.engine.stressed_books import INSTRUMENTS, MARKET, RULES, a_book, a_market

TERMS = LiquidationTerms(RULES.liquidation)
LONG = {"USD": 40_000, "PERP-LINEAR-USD": (10, "601200")}
BASIS = {"USD": -598_000, "BTC": 10, "PERP-LINEAR-USD": ("-9.5", "-571140")}
PAIR = {"USD": 4_000, "PERP-LINEAR-USD": (-5, "-300600"), "ETH": "0.01", "FUTURE-LINEAR-EUR": ("4.5", "276750")}
THREE = {"USD": 30_000, "PERP-LINEAR-USD": (3, "180360"), "EURUSD": 400_000, "SWAP-USD": 500_000}
INSTRUMENT = {each.instrument_id: each for each in INSTRUMENTS}


def held_of(book, name):
    held = book[name]
    return held[0] if isinstance(held, tuple) else held


def planned(held, terms=TERMS, **options):
    return plan_liquidation(a_book(held, **options), MARKET, RULES, terms)


def margin(portfolio):
    return compute(portfolio, MARKET, RULES)


@pytest.mark.parametrize("held", [LONG, BASIS, PAIR, THREE], ids=["long", "basis", "pair", "three"])
def test_a_plan_ends_at_the_target_and_is_no_larger_than_it_must_be(held):
    plan = planned(held)
    assert plan.before.utilization is None or plan.before.utilization > plan.target_utilization
    assert plan.reaches_target
    assert plan.after.utilization <= Decimal("0.75")
    assert plan.after.utilization > Decimal("0.745")
    portfolio = after_trades(a_book(held), plan.trades, INSTRUMENT)
    assert margin(portfolio).utilization == plan.after.utilization


@pytest.mark.parametrize("held", [LONG, BASIS, PAIR, THREE], ids=["long", "basis", "pair", "three"])
def test_no_choice_out_of_all_on_a_grid_is_cheaper_by_more_than_a_twentieth(held):
    """Every combination of twentieths of up to three holdings is margined with its costs; the cheapest of those that get there wins."""
    plan = planned(held)
    book = _Book(a_book(held), MARKET, RULES, TERMS)
    steps = np.linspace(0.0, 1.0, 21 if len(book.legs) < 3 else 13)
    choices = sorted((np.array(choice) for choice in product(steps, repeat=len(book.legs))), key=book.cost)
    cheapest = next(book.cost(choice) for choice in choices if book._meets_at(choice))
    assert float(plan.cost) <= 1.05 * cheapest
    assert plan.least_cost <= plan.cost <= plan.least_cost * Decimal("1.02") + 1


def test_a_hedge_is_not_touched_before_what_it_hedges():
    plan = planned(BASIS)
    contribution = {one.instrument_id: one.amount for one in margin(a_book(BASIS)).contributions}
    hedge = InstrumentId("PERP-LINEAR-USD")
    assert contribution[hedge] < 0 < contribution[InstrumentId("BTC")]
    for piece in plan.pieces:
        assert piece.trades[0].instrument_id == "BTC"
    # The hedged part goes together or not at all: what is left of the hedge is never more than what it hedges.
    sold = sum((-trade.quantity for trade in plan.trades if trade.instrument_id == "BTC"), Decimal(0))
    bought = sum((trade.quantity for trade in plan.trades if trade.instrument_id == hedge), Decimal(0))
    assert 10 - sold >= Decimal("9.5") - bought


def test_orders_come_in_the_order_of_contribution_for_cost():
    plan = planned(THREE)
    for piece in plan.pieces:
        shares = [abs(float(trade.quantity)) / abs(float(held_of(THREE, trade.instrument_id))) for trade in piece.trades]
        worth = [float(trade.contribution) * share / float(trade.cost) for trade, share in zip(piece.trades, shares, strict=True)]
        assert worth == sorted(worth, reverse=True)


def test_large_orders_are_divided_and_the_margin_falls_with_every_piece():
    thin = LiquidationTerms(replace(RULES.liquidation, impact_coefficient=Decimal(1)))
    held = {"USD": 40_000_000, "PERP-LINEAR-USD": (10_000, "601200000")}
    plan = planned(held, thin)
    assert len(plan.pieces) > 2
    margins = [plan.before.maintenance_margin, *(piece.after.maintenance_margin for piece in plan.pieces)]
    assert all(later < earlier for earlier, later in pairwise(margins))
    assert {trade.limit_price for trade in plan.trades} == {plan.trades[0].limit_price}


def test_a_limit_is_never_better_than_what_is_expected_and_both_are_beyond_the_mark():
    for trade in planned(PAIR | {"USD": 20_000}).trades:
        row = MARKET.row_of[trade.instrument_id]
        instrument = MARKET.instruments[row]
        settlement = 1.0 if instrument.is_asset else float(MARKET.settlement_price[row])
        mark = quote_of(instrument, float(MARKET.unit_value[row]), settlement)
        if trade.quantity < 0:
            assert trade.limit_price <= trade.expected_price < mark
        else:
            assert trade.limit_price >= trade.expected_price > mark


def test_what_trading_costs_leaves_equity_and_nothing_else_does():
    """Contracts only: nothing has a haircut, so equity falls by the cost and by the cents that it is rounded by."""
    plan = planned(THREE)
    assert float(plan.before.equity - plan.after.equity) == pytest.approx(float(plan.cost), abs=0.1)


def money_of(trades, name):
    return sum((trade.quantity for trade in trades if trade.instrument_id == name), Decimal(0))


def test_the_coins_that_a_contract_leaves_are_sold_with_it():
    """Long 60,000 dollars of an inverse contract with a gain of a quarter of a coin: closed, the coins are what is at risk."""
    held = {"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}
    plan = planned(held)
    closed = -money_of(plan.trades, "PERP-INVERSE")
    left = left_by_closing(
        Holding("PERP-INVERSE", Decimal(600), Decimal("-1.2519")),
        INSTRUMENT["PERP-INVERSE"],
        quantity=closed,
        price=plan.trades[0].expected_price,
    )
    assert plan.reaches_target
    assert 0 < -money_of(plan.trades, "BTC") <= left
    assert [trade.instrument_id for trade in plan.pieces[0].trades] == ["PERP-INVERSE", "BTC"]  # coins are sold once they are there
    assert {trade.settlement for trade in plan.trades} == {None, "USD"}


def test_the_coins_that_a_contract_leaves_owing_are_bought_back_and_those_held_pay_first():
    owing = {"USD": 14_500, "PERP-INVERSE": (600, "-0.7519")}
    plan = planned(owing)
    assert 0 < money_of(plan.trades, "BTC") == pytest.approx(Decimal("0.25"), abs=Decimal("0.001"))
    assert plan.after.maintenance_margin < 1
    with_coins = planned(owing | {"USD": 4_000, "BTC": "0.3"})
    assert with_coins.reaches_target
    assert money_of(with_coins.trades, "BTC") <= 0


def test_everything_closed_is_dollars_and_nothing_else():
    held = {"USD": -300_000, "PERP-INVERSE": (900, "-1.7"), "FUTURE-LINEAR-EUR": (2, "130000"), "BOND-EUR": 100_000, "PUT-COIN-ETH": -30}
    plan = planned(held)
    assert not plan.reaches_target
    left = after_trades(a_book(held), plan.trades, INSTRUMENT)
    worth = {
        holding.instrument_id: abs(float(holding.quantity)) * float(MARKET.unit_value[MARKET.row_of[holding.instrument_id]])
        for holding in left.holdings
        if holding.instrument_id != "USD"
    }
    assert worth.keys() <= {"BTC", "ETH", "EUR"}
    assert all(amount < 1.01 for amount in worth.values())
    assert plan.after.maintenance_margin < 1


def test_coins_whose_price_is_in_doubt_stay():
    terms = LiquidationTerms(RULES.liquidation, untouchable=frozenset({InstrumentId("BTC")}))
    plan = planned({"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}, terms)
    assert {trade.instrument_id for trade in plan.trades} == {"PERP-INVERSE"}


def test_no_more_of_a_coin_is_sold_than_its_order_book_takes():
    book = OrderBook(bids=(DepthLevel(Decimal(59_990), Decimal("0.01")),), asks=())
    held = {"USD": -300_000, "PERP-INVERSE": (600, "-1.2519")}
    plan = planned(held, LiquidationTerms(RULES.liquidation, depth={InstrumentId("BTC"): book}))
    assert money_of(plan.trades, "BTC") == Decimal("-0.01")


def test_a_closed_contract_pays_what_it_has_gained():
    portfolio = a_book({"USD": 5, "PERP-INVERSE": (600, "-1.2")})
    trades = [replace(planned(LONG).trades[0], instrument_id="PERP-INVERSE", quantity=Decimal(-300), expected_price=Decimal(60_000))]
    left = {holding.instrument_id: holding for holding in after_trades(portfolio, trades, INSTRUMENT).holdings}
    # 300 x 100 dollars were entered at 0.6 coins and are worth half a coin.
    assert left["BTC"].quantity == Decimal("0.1")
    assert (left["PERP-INVERSE"].quantity, left["PERP-INVERSE"].cost) == (300, Decimal("-0.6"))


def test_an_account_at_its_target_needs_no_plan():
    plan = planned({"USD": 1_000_000, "BTC": 1})
    assert (plan.pieces, plan.cost, plan.reaches_target, plan.after) == ((), 0, True, plan.before)


def test_an_account_whose_equity_is_gone_is_closed_altogether_and_says_that_this_is_not_enough():
    plan = planned({"USD": -500_000, "PERP-LINEAR-USD": (3, "180360"), "ETH": 10})
    assert not plan.reaches_target
    left = after_trades(a_book({"USD": -500_000, "PERP-LINEAR-USD": (3, "180360"), "ETH": 10}), plan.trades, INSTRUMENT)
    assert {holding.instrument_id for holding in left.holdings if holding.quantity} == {"USD"}


def test_what_cannot_be_traded_is_left_and_named():
    terms = LiquidationTerms(RULES.liquidation, untouchable=frozenset({InstrumentId("PERP-LINEAR-USD")}))
    plan = planned(THREE, terms)
    assert plan.left_out == ("PERP-LINEAR-USD",)
    assert "PERP-LINEAR-USD" not in {trade.instrument_id for trade in plan.trades}


def test_an_order_book_is_walked_from_its_best_level_and_no_further_than_it_goes():
    book = OrderBook(
        bids=(DepthLevel(Decimal(60_100), Decimal(1)), DepthLevel(Decimal(60_000), Decimal(2)), DepthLevel(Decimal(59_000), Decimal(2))),
        asks=(),
    )
    terms = LiquidationTerms(RULES.liquidation, depth={InstrumentId("PERP-LINEAR-USD"): book})
    (leg,) = _Book(a_book(LONG), MARKET, RULES, terms).legs
    assert leg.most == 0.5
    assert leg.cost(0.1) == pytest.approx(1 * 20)  # the mark is 60,120
    assert leg.cost(0.3) == pytest.approx(1 * 20 + 2 * 120)
    assert leg.cost(0.5) == pytest.approx(1 * 20 + 2 * 120 + 2 * 1120)
    assert leg.marginal_cost(0.2) == pytest.approx(120 * 10)
    plan = planned(LONG, terms)
    assert not plan.reaches_target
    assert sum(trade.quantity for trade in plan.trades) == -5
    assert plan.trades[-1].limit_price == 59_000


def test_an_order_book_that_takes_more_than_is_held_closes_all_of_it_and_no_more():
    name = InstrumentId("PERP-LINEAR-USD")
    book = OrderBook(bids=(DepthLevel(Decimal(60_100), Decimal(4)), DepthLevel(Decimal(60_000), Decimal(20))), asks=())
    terms = LiquidationTerms(RULES.liquidation, depth={name: book})
    (leg,) = _Book(a_book(LONG), MARKET, RULES, terms).legs
    assert leg.most == 1.0
    plan = planned(LONG | {"USD": -20_000}, terms)
    assert not plan.reaches_target
    assert sum(trade.quantity for trade in plan.trades) == -10


def test_past_its_end_a_book_of_several_levels_costs_what_its_last_one_does_and_its_levels_are_what_a_choice_is_made_of():
    name = InstrumentId("PERP-LINEAR-USD")
    levels = tuple(DepthLevel(Decimal(price), Decimal(1)) for price in (60_100, 60_000, 59_000))
    (leg,) = _Book(a_book(LONG), MARKET, RULES, LiquidationTerms(RULES.liquidation, depth={name: OrderBook(levels, ())})).legs
    assert leg.marginal_cost(0.9) == pytest.approx(1_120 * 10)
    assert (leg.cost(0.9), leg.cost(0.3)) == pytest.approx((20 + 120 + 1_120,) * 2)
    assert leg.segments() == leg.depth
    assert [width for width, _ in leg.segments()] == pytest.approx([0.1] * 3)


def test_the_last_bit_of_a_level_is_at_its_price_and_what_is_beyond_the_book_at_the_last_one():
    name = InstrumentId("PERP-LINEAR-USD")
    book = OrderBook(bids=(DepthLevel(Decimal(60_100), Decimal(1)), DepthLevel(Decimal(60_000), Decimal(2))), asks=())
    (leg,) = _Book(a_book(LONG), MARKET, RULES, LiquidationTerms(RULES.liquidation, depth={name: book})).legs
    slopes = [leg.marginal_cost(fraction) for fraction in (0.05, 0.1, 0.1000001, 0.3, 0.9)]
    assert slopes == pytest.approx([20 * 10, 20 * 10, 120 * 10, 120 * 10, 120 * 10])
    empty = replace(leg, depth=())
    assert (empty.marginal_cost(0.5), empty.cost(0.5), empty.most) == (0.0, 0.0, 0.0)
    # An order of a whole level has that level's price for its limit, and not the next one's.
    plan = planned(
        {"USD": 49_000, "PERP-LINEAR-USD": (1, "60120"), "EURUSD": 1_000_000}, LiquidationTerms(RULES.liquidation, depth={name: book})
    )
    assert {trade.limit_price for trade in plan.trades if trade.instrument_id == name} <= {Decimal(60_100)}


def a_leg(name, quantity):
    holding = a_book({name: quantity}).holdings[0]
    return close_out(holding, INSTRUMENT[name], MARKET, charge_rates(RULES), TERMS)


def test_a_swap_is_traded_by_its_notional_and_a_contract_by_what_it_moves():
    """A swap is worth next to nothing, and its spread is paid on all of its notional."""
    row = MARKET.row_of["SWAP-USD"]
    assert a_leg("SWAP-USD", -3).amount == pytest.approx(3 * float(MARKET.notional_unit[row]))
    assert a_leg("SWAP-USD", -3).amount > 20 * abs(3 * float(MARKET.unit_value[row]))
    assert a_leg("PERP-LINEAR-USD", -3).amount == pytest.approx(3 * 60_120)


def test_what_moves_two_markets_is_traded_by_the_one_that_it_moves_most():
    row = MARKET.row_of["EURGBP-PUT"]
    amounts = sorted(abs(amount) for _, amount in traded_exposure(MARKET, row))
    assert amounts[0] < amounts[-1]
    assert a_leg("EURGBP-PUT", 5).amount == pytest.approx(5 * amounts[-1])


def test_trades_are_as_far_off_another_market_as_they_were_expected_to_be():
    """Fifty dollars for two and a half contracts: twenty a unit below the mark for a sale, and above it for a purchase."""
    (trade,) = planned(LONG).trades
    sale, purchase = (replace(trade, quantity=Decimal(quantity), cost=Decimal(50)) for quantity in ("-2.5", "2.5"))
    prices = [float(each.expected_price) for each in at_expected_costs([sale, purchase], MARKET)]
    assert prices == pytest.approx([60_100, 60_140])
    (cheap,) = at_expected_costs([replace(sale, cost=Decimal(10**9))], MARKET)
    assert float(cheap.expected_price) == pytest.approx(0.05 * 60_120), "nobody gives it away"


def test_the_volatility_of_a_day_is_that_of_ordinary_days_alone():
    """Days of a crisis are in the tail already; an order is placed on some day."""
    calm = replace(MARKET.scenarios, ordinary_count=50)
    market = replace(MARKET, scenarios=calm)
    holding = a_book({"PERP-LINEAR-USD": 1}).holdings[0]
    leg = close_out(holding, INSTRUMENT["PERP-LINEAR-USD"], market, charge_rates(RULES), TERMS)
    pnl = MARKET.leg_pnl[MARKET.first_leg[MARKET.row_of["PERP-LINEAR-USD"]]][:50]
    assert leg.impact == pytest.approx(float(np.sqrt(np.mean(pnl**2))) / 60_120 / np.sqrt(2))
    none = close_out(
        holding, INSTRUMENT["PERP-LINEAR-USD"], replace(MARKET, scenarios=replace(calm, ordinary_count=0)), charge_rates(RULES), TERMS
    )
    assert none.impact == 0.0


def test_nothing_with_a_price_is_planned_to_be_given_away_for_less_than_a_twentieth():
    """Whatever a sale is counted to cost. What is bought may cost more than it is worth, and a present value has either sign."""
    value = float(MARKET.unit_value[MARKET.row_of["BTC"]])
    assert float(a_leg("BTC", 2).price_at(value)) == pytest.approx(0.05 * value)
    assert float(a_leg("BTC", 2).price_at(0.94 * value)) == pytest.approx(0.06 * value)
    assert float(a_leg("BTC", -2).price_at(value)) == pytest.approx(2 * value)
    assert float(a_leg("PERP-LINEAR-USD", 2).price_at(2 * 60_120)) == pytest.approx(0.05 * 60_120), "nor a contract"
    swap = float(MARKET.unit_value[MARKET.row_of["SWAP-USD"]])
    assert float(a_leg("SWAP-USD", 1).price_at(abs(swap) + 1.0)) == pytest.approx(swap - abs(swap) - 1.0)


def test_straight_pieces_meet_the_cost_at_their_ends_and_are_close_to_it_in_between():
    """To 0.06% of what closing all of it costs: the pieces are narrow where the cost bends most, at the first bit."""
    leg = a_leg("BTC", 20_000)
    segments = leg.segments()
    assert [slope for _, slope in segments] == sorted(slope for _, slope in segments), "the cheapest are the first"
    done = total = 0.0
    for width, slope in segments:
        middle = done + width / 2
        assert leg.cost(middle) <= total + width / 2 * slope <= leg.cost(middle) + 0.0006 * leg.cost(1.0)
        done, total = done + width, total + width * slope
        assert total == pytest.approx(leg.cost(done))
    assert done == pytest.approx(1.0)


def test_the_square_root_law_by_hand():
    portfolio = a_book({"PERP-LINEAR-USD": (100, "6012000")})
    leg = close_out(portfolio.holdings[0], INSTRUMENT["PERP-LINEAR-USD"], MARKET, charge_rates(RULES), TERMS)
    pnl = MARKET.leg_pnl[MARKET.first_leg[MARKET.row_of["PERP-LINEAR-USD"]]]
    daily = float(np.sqrt(np.mean(pnl**2))) / 60_120 / np.sqrt(2)
    amount = 100 * 60_120
    expected = amount * (0.5 * 2 * 0.0004 + daily * np.sqrt(amount / 15e9))
    assert leg.cost(1.0) == pytest.approx(expected, rel=1e-9)
    assert leg.cost(0.25) == pytest.approx(0.25 * amount * (0.0004 + daily * np.sqrt(0.25 * amount / 15e9)), rel=1e-9)
    bump = 1e-6
    assert leg.marginal_cost(0.4) == pytest.approx((leg.cost(0.4 + bump) - leg.cost(0.4 - bump)) / (2 * bump), rel=1e-4)
    total = sum(width * slope for width, slope in leg.segments())
    assert total == pytest.approx(leg.cost(1.0))


def test_a_quoted_price_is_the_one_at_which_a_trade_costs_what_the_unit_is_worth():
    for instrument in INSTRUMENTS:
        row = MARKET.row_of[instrument.instrument_id]
        settlement = 1.0 if instrument.is_asset else float(MARKET.settlement_price[row])
        value = float(MARKET.unit_value[row])
        price = quote_of(instrument, value, settlement)
        assert value_of_quote(instrument, price, settlement) == pytest.approx(value)
        paid = consideration(instrument, quantity=Decimal(1), price=Decimal(f"{price:.15f}"))
        assert float(paid) * settlement == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("methodology", [Methodology.SPAN_GRID, Methodology.RATIO])
def test_other_methodologies_are_liquidated_by_their_own_margin(methodology):
    portfolio = replace(a_book({"USD": 15_000, "PERP-LINEAR-USD": (10, "601200")}), methodology=methodology)
    plan = plan_liquidation(portfolio, MARKET, RULES, TERMS)
    assert plan.reaches_target
    left = after_trades(portfolio, plan.trades, INSTRUMENT)
    assert compute(left, MARKET, RULES).utilization <= Decimal("0.75")


def test_pledged_collateral_is_sold_where_its_haircut_is_worth_more_than_its_sale():
    """Half a haircut of 20% is equity for nothing but a spread; contracts cost as little but free less."""
    held = {"USD": 5_000, "BTC": 1, "PERP-LINEAR-USD": ("2.5", "150300")}
    plan = planned(held, policies={"BTC": CollateralPolicy.PLEDGED})
    assert plan.reaches_target
    assert plan.after.equity > plan.before.equity or not any(trade.instrument_id == "BTC" for trade in plan.trades)


def test_a_bucket_is_planned_by_itself():
    plan = planned(LONG, mode=AccountMode.ISOLATED)
    assert plan.reaches_target
    assert {trade.instrument_id for trade in plan.trades} == {"PERP-LINEAR-USD"}


def test_terms_and_order_books_that_make_no_sense_are_refused():
    for make in (
        lambda: PlanWish(target_utilization=Decimal(1)),
        lambda: PlanWish(impact_coefficient=Decimal(-1)),
        lambda: DepthLevel(Decimal(1), Decimal(0)),
        lambda: OrderBook((DepthLevel(Decimal(1), Decimal(1)), DepthLevel(Decimal(2), Decimal(1))), ()),
        lambda: OrderBook((DepthLevel(Decimal(3), Decimal(1)),), (DepthLevel(Decimal(2), Decimal(1)),)),
        lambda: OrderBook((), (DepthLevel(Decimal(2), Decimal(1)), DepthLevel(Decimal(1), Decimal(1)))),
        lambda: DepthLevel(Decimal("NaN"), Decimal(1)),
        lambda: DepthLevel(Decimal("Infinity"), Decimal(1)),
    ):
        with pytest.raises(DomainError) as refused:
            make()
        assert refused.value.reason is Reason.INVALID_ARGUMENT


def test_terms_and_order_books_at_their_ends_are_taken():
    assert PlanWish(impact_coefficient=Decimal(100)).rules(RULES.liquidation).impact_coefficient == 100
    level = DepthLevel(Decimal(2), Decimal(1))
    assert OrderBook((level,), (level,)).bids == (level,), "a locked book is not crossed"


def test_a_cost_that_is_left_of_what_is_closed_stays_in_the_account():
    """What is not paid yet is owed all the same."""
    left = Holding(InstrumentId("PERP-INVERSE"), Decimal(0), Decimal("-0.4"))
    portfolio = a_book({"USD": 5})
    after = after_trades(replace(portfolio, holdings=(*portfolio.holdings, left)), [], INSTRUMENT)
    assert left in after.holdings


def pieces_with(*margins):
    after = planned(LONG).after
    return [LiquidationPiece((), replace(after, maintenance_margin=Decimal(margin))) for margin in margins]


def test_a_margin_that_stays_is_no_margin_that_rises_and_what_comes_after_a_rise_is_not_done():
    book = _Book(a_book(LONG), MARKET, RULES, TERMS)
    before = book.before.requirement.maintenance_margin
    assert book.falls_along(pieces_with(before, before - 1, before - 1))
    assert not book.falls_along(pieces_with(before + 1))
    assert not book.falls_along(pieces_with(before - 2, before - 1))
    for margins, kept in (((-1, -2, -3), 3), ((-1, -3, -2), 2), ((1, -1), 0), ((-1, 1, -2), 1)):
        pieces = pieces_with(*(before + step for step in margins))
        assert book.falling(pieces) == tuple(pieces[:kept])


SLOPED = {
    "coins left": ({"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}, (0.4, 0.3)),
    "coins owed": ({"USD": 60_000, "PERP-INVERSE": (-600, "0.7519"), "PERP-LINEAR-USD": (1, "60120")}, (0.5, 0.2, 0.3)),
}


@pytest.mark.parametrize(("held", "chosen"), SLOPED.values(), ids=SLOPED)
@pytest.mark.parametrize("policy", CollateralPolicy)
def test_the_slopes_of_a_cut_are_those_of_the_margin_and_of_the_gain_at_it(held, chosen, policy):
    """By margining the account a little to either side of each fraction, with the money that it leaves traded or not."""
    book = _Book(a_book(held | {"BTC": "0.3"}, policies={"BTC": policy}), MARKET, RULES, TERMS)
    at = np.resize(np.array(chosen), len(book.legs))
    cut = book._evaluated(at)
    at = cut.margin.fractions
    for leg in range(len(book.legs)):
        bump = np.zeros(len(book.legs))
        bump[leg] = 0.02
        low, high = (book._margin_after(book.desk.whole_trades(at + sign * bump, with_cost=False)) for sign in (-1, 1))
        margin = float(high.requirement.maintenance_margin - low.requirement.maintenance_margin) / 0.04
        gain = (book.gain(high) - book.gain(low)) / 0.04
        scale = 0.05 * float(book.before.requirement.maintenance_margin)
        assert cut.margin.slope[leg] == pytest.approx(margin, abs=scale)
        assert cut.gain.slope[leg] == pytest.approx(gain, abs=scale)


def an_order(quantity, *, places=3, waits=False):
    leg = a_leg("PERP-LINEAR-USD", quantity)
    leg = replace(leg, instrument=replace(leg.instrument, quantity_places=places))
    return Order(leg, 1.0, Decimal(quantity), 1.0, 2.0, waits)


@pytest.mark.parametrize("sign", [1, -1])
def test_pieces_divide_an_order_in_what_can_be_traded_and_the_last_one_ends_it(sign):
    """Sales of what is held are rounded up, so that risk falls first; of money that has to come in first down."""
    order, waits = (an_order(str(sign * 10), waits=each) for each in (False, True))
    assert [order.done_after(piece, 3) for piece in range(4)] == [sign * Decimal(each) for each in ("0", "3.334", "6.667", "10")]
    assert [waits.done_after(piece, 3) for piece in range(4)] == [sign * Decimal(each) for each in ("0", "3.333", "6.666", "10")]
    dust = an_order(str(sign * Decimal("0.0005")))
    assert [dust.done_after(piece, 2) for piece in range(3)] == [sign * Decimal(each) for each in ("0", "0.0005", "0.0005")]
    assert an_order("0.0005", waits=True).done_after(2, 2) == Decimal("0.0005"), "all of it, though it is no unit"


def test_the_pieces_of_a_plan_add_up_to_its_orders_and_none_is_of_nothing():
    held = {"USD": 40_000_000, "PERP-LINEAR-USD": (10_000, "601200000"), "ETH": "0.00000000000000001"}
    plan = planned(held)
    assert len(plan.pieces) > 2
    assert plan.reaches_target
    assert Decimal("0.745") < plan.after.utilization <= Decimal("0.75")
    sizes = [trade.quantity for trade in plan.trades if trade.instrument_id == "PERP-LINEAR-USD"]
    assert len(sizes) == len(plan.pieces)
    assert max(sizes) - min(sizes) <= Decimal("0.001"), "in equal parts"
    assert all(trade.quantity for trade in plan.trades)


def test_pieces_of_what_does_not_divide_close_all_of_it_and_not_a_unit_more():
    held = {"USD": -400_000_000, "PERP-LINEAR-USD": ("10000.001", "601200060"), "ETH": "0.000000000000000001"}
    plan = planned(held)
    assert len(plan.pieces) > 2
    for name in ("PERP-LINEAR-USD", "ETH"):
        assert money_of(plan.trades, name) == -Decimal(held_of(held, name))
    assert all(trade.quantity for trade in plan.trades), "no piece of nothing"


def test_less_of_a_coin_than_can_be_traded_stays():
    """A quarter of a coin is left, and the coin is traded in whole ones."""
    whole = [replace(each, quantity_places=0) if each.instrument_id == "BTC" else each for each in INSTRUMENTS]
    held = {"USD": -300_000, "PERP-INVERSE": (600, "-1.2519")}
    plan = plan_liquidation(a_book(held), a_market(instruments=whole), RULES, TERMS)
    assert {trade.instrument_id for trade in plan.trades} == {"PERP-INVERSE"}
    assert not plan.reaches_target


def test_what_moves_nothing_costs_nothing():
    still = replace(MARKET, leg_exposure=np.zeros_like(MARKET.leg_exposure))
    holding = a_book({"PERP-LINEAR-USD": 1}).holdings[0]
    leg = close_out(holding, INSTRUMENT["PERP-LINEAR-USD"], still, charge_rates(RULES), TERMS)
    assert (leg.amount, leg.impact, leg.cost(1.0)) == (0.0, 0.0, 0.0)


def test_the_impact_coefficient_multiplies_the_impact_and_not_the_spread():
    holding = a_book({"PERP-LINEAR-USD": 100}).holdings[0]
    legs = [
        close_out(
            holding,
            INSTRUMENT["PERP-LINEAR-USD"],
            MARKET,
            charge_rates(RULES),
            LiquidationTerms(replace(RULES.liquidation, impact_coefficient=Decimal(each))),
        )
        for each in (0, 1, 3)
    ]
    assert legs[2].impact == pytest.approx(3 * legs[1].impact)
    assert (legs[0].impact, legs[0].half_spread) == (0.0, legs[2].half_spread)


def first_in_piece(book, contribution):
    desk = replace(book.desk, contribution=contribution)
    return [trade.instrument_id for trade in desk.piece(desk.orders(book.most), 0, 1)]


def test_of_orders_that_take_off_as_much_the_cheapest_comes_first_and_money_after_what_leaves_it():
    book = _Book(a_book(THREE), MARKET, RULES, TERMS)
    cost = {leg.holding.instrument_id: leg.cost(1.0) for leg in book.legs}
    assert len(set(cost.values())) == 3
    assert first_in_piece(book, dict.fromkeys(cost, Decimal(100))) == sorted(cost, key=cost.__getitem__)
    coins = _Book(a_book({"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}), MARKET, RULES, TERMS)
    first = first_in_piece(coins, {InstrumentId("BTC"): Decimal(10**9), InstrumentId("PERP-INVERSE"): Decimal(1)})
    assert first == ["PERP-INVERSE", "BTC"]


def test_at_the_marks_nothing_costs_anything_not_even_the_money_that_is_left():
    book = _Book(a_book({"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}), MARKET, RULES, TERMS)
    for trade in book.desk.whole_trades(book.most, with_cost=False):
        row = MARKET.row_of[trade.instrument_id]
        settlement = 1.0 if trade.instrument_id == "BTC" else float(MARKET.settlement_price[row])
        mark = quote_of(INSTRUMENT[trade.instrument_id], float(MARKET.unit_value[row]), settlement)
        assert (trade.cost, float(trade.expected_price)) == (0, pytest.approx(mark, rel=1e-11))
    assert all(trade.cost > 0 for trade in book.desk.whole_trades(book.most))


@pytest.mark.parametrize("sign", [1, -1])
def test_every_order_costs_what_its_close_out_does_whichever_side_it_is_on_and_so_does_the_money_it_leaves(sign):
    """Rounded up to the cent. Of a coin that was not held nothing had been added to the margin."""
    held = {"USD": -300_000, "PERP-INVERSE": (sign * 600, f"{sign * -1.2519}"), "PERP-LINEAR-USD": (sign * 2, f"{sign * 120240}")}
    book = _Book(a_book(held), MARKET, RULES, TERMS)
    orders = {order.instrument_id: order for order in book.desk.orders(book.most)}
    trades = {trade.instrument_id: trade for trade in book.desk.whole_trades(book.most)}
    assert "BTC" in trades
    for name, trade in trades.items():
        leg = a_leg(name, -trade.quantity)
        assert trade.cost > 0
        assert float(trade.cost) == pytest.approx(leg.cost(1.0), abs=0.011)
        mark = orders[name].leg.price_at(0.0)
        assert trade.limit_price < trade.expected_price < mark if trade.quantity < 0 else trade.limit_price > trade.expected_price > mark
    assert trades["BTC"].contribution == 0


def test_what_a_contract_leaves_is_sold_from_the_smallest_sale_on_to_the_digit():
    book = _Book(a_book({"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}), MARKET, RULES, TERMS)
    contracts = [trade for trade in book.desk.whole_trades(book.most) if trade.instrument_id != "BTC"]
    worth = float(asset_money(InstrumentId("BTC"), book.portfolio, contracts, INSTRUMENT).balance * book.money[0].price)
    for smallest, is_sold in ((worth, True), (math.nextafter(worth, math.inf), False)):
        terms = LiquidationTerms(replace(RULES.liquidation, smallest_sale=Decimal(smallest)))
        assert any(order.waits for order in replace(book.desk, terms=terms).orders(book.most)) is is_sold


def test_an_order_book_that_takes_less_than_a_unit_of_a_coin_takes_none_of_it():
    book = OrderBook(bids=(DepthLevel(Decimal(59_990), Decimal("0.000000000000000000001")),), asks=())
    held = {"USD": -300_000, "PERP-INVERSE": (600, "-1.2519")}
    plan = planned(held, LiquidationTerms(RULES.liquidation, depth={InstrumentId("BTC"): book}))
    assert {trade.instrument_id for trade in plan.trades} == {"PERP-INVERSE"}


@pytest.mark.parametrize("tolerance", ["0", "0.01"])
def test_a_limit_is_worse_than_the_last_bit_by_the_tolerance(tolerance):
    terms = LiquidationTerms(replace(RULES.liquidation, limit_tolerance_fraction=Decimal(tolerance)))
    for held, sign in ((LONG, -1), ({"USD": 40_000, "PERP-LINEAR-USD": (-10, "-601200")}, 1)):
        (trade,) = planned(held, terms).trades
        (exact,) = planned(held).trades
        assert float(trade.limit_price - exact.limit_price) == pytest.approx(sign * 60_120 * float(tolerance), abs=1e-4)


def test_a_limit_is_worse_by_the_tolerance_of_what_a_unit_is_worth_either_way_though_that_be_less_than_nothing():
    """A swap that is owed: sold, its limit is below what is expected; bought back, above it."""
    row = MARKET.row_of["SWAP-USD"]
    value = float(MARKET.unit_value[row])
    for quantity in (1_000, -1_000):
        order = Order(a_leg("SWAP-USD", quantity), 1.0, Decimal(quantity), 0.0, 0.0)
        near, far = (order.trade(Decimal(0), order.quantity, Decimal(0), limit_tolerance=each).limit_price for each in (0.0, 0.01))
        assert float(far - near) == pytest.approx(-math.copysign(0.01 * abs(value), quantity), rel=1e-6)
    other = replace(a_leg("SWAP-USD", 1_000), unit_value=-abs(value))
    order = Order(other, 1.0, Decimal(1_000), 0.0, 0.0)
    near, far = (order.trade(Decimal(0), order.quantity, Decimal(0), limit_tolerance=each).limit_price for each in (0.0, 0.01))
    assert far < near


def test_coins_that_a_closed_contract_left_long_ago_are_sold_like_those_that_one_leaves_now():
    """Nothing is held but a cost, which is what the contract has gained and nobody has paid: a quarter of a coin, at risk."""
    left = Holding(InstrumentId("PERP-INVERSE"), Decimal(0), Decimal("-0.25"))
    portfolio = a_book({"USD": -13_000})
    portfolio = replace(portfolio, holdings=tuple(sorted((*portfolio.holdings, left), key=lambda each: each.instrument_id)))
    plan = plan_liquidation(portfolio, MARKET, RULES, TERMS)
    assert plan.reaches_target
    assert 0 < -money_of(plan.trades, "BTC") <= Decimal("0.25")
