"""Laws of liquidation plans that hold for any book."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, product

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.liquidation import DepthLevel, LiquidationTerms, OrderBook, a_unit_less, after_trades, check_reduces
from crossmargin.engine.liquidation import _Book, cushioned_equity, plan_liquidation
from crossmargin.engine.liquidation_cost import at_expected_costs, decimal_price, quote_of
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.stress import moved_market
from tests.unit.engine.stressed_books import INSTRUMENTS, RULES, a_book, a_market, a_move

CONTRACTS = ("PERP-LINEAR-USD", "PERP-INVERSE", "FUTURE-LINEAR-EUR", "EURUSD", "CALL-CASH", "PUT-COIN-ETH", "BTC", "ETH", "EUR", "BOND-EUR")
HELD = {*CONTRACTS, "USD"}
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in HELD])
MOVED = tuple(
    moved_market(MARKET, RULES, a_move(**move))
    for move in ({"spot_BTC": -0.4, "spot_ETH": -0.5, "fx_EUR": 0.05}, {"spot_BTC": 0.3, "spot_ETH": -0.1}, {"fx_EUR": -0.1})
)
"""Markets after a crash with a dearer euro, with one coin up and the other down, and with a cheaper euro."""
INSTRUMENT = {each.instrument_id: each for each in INSTRUMENTS}
UNITS = {"PERP-INVERSE": 500, "EURUSD": 50_000, "ETH": 10, "PUT-COIN-ETH": 10, "EUR": 20_000, "BOND-EUR": 50_000}

quantities = st.decimals(-8, 8, places=2).filter(bool)
books = st.dictionaries(st.sampled_from(CONTRACTS), quantities, min_size=1, max_size=5)
small_books = st.dictionaries(st.sampled_from(CONTRACTS), quantities, min_size=1, max_size=2)
costs = st.sampled_from((0.0, 0.5, 0.98, 1.0, 1.02, 2.0))
"""What contracts were entered at, as a share of their worth: from all gain to as much loss."""


def a_short_book(held, cost, shortage, mode, policy, *, market=MARKET):
    """Whatever is held, with as many dollars as leave the account short at a market."""
    sized = {name: quantity * UNITS.get(name, 1) for name, quantity in held.items()}
    holdings = {name: (quantity, entry_cost(name, quantity, cost)) for name, quantity in sized.items()}
    policies = dict.fromkeys(("BTC", "ETH"), policy)
    bare = compute(a_book({"USD": 0, **holdings}, mode=mode, policies=policies), market, RULES)
    assume(bare.requirement.maintenance_margin > 100)
    wanted = bare.requirement.maintenance_margin / Decimal(str(shortage))
    return a_book({"USD": round(wanted - bare.equity.equity, 2), **holdings}, mode=mode, policies=policies)


def entry_cost(name, quantity, cost):
    if not INSTRUMENT[name].is_margined:
        return Decimal(0)
    row = MARKET.row_of[name]
    return round(quantity * Decimal(float(MARKET.unit_value[row] / MARKET.settlement_price[row]) * cost), 6)


@settings(max_examples=40, deadline=None)
@given(books, costs, st.floats(1.0, 4.0), st.sampled_from(AccountMode), st.sampled_from(CollateralPolicy))
@example({"PERP-INVERSE": Decimal("0.02"), "PERP-LINEAR-USD": Decimal("-0.01")}, 0.0, 1.0, AccountMode.CROSS, CollateralPolicy.RISKED)
@example(  # the solver says -1.7e-17 of the forward
    {"FUTURE-LINEAR-EUR": Decimal("0.29"), "EURUSD": Decimal("0.29")}, 0.0, 1.0, AccountMode.CROSS, CollateralPolicy.RISKED
)
def test_risk_never_rises_nothing_turns_over_and_the_target_is_met_or_all_is_closed(held, cost, shortage, mode, policy):
    """Hedged books, contracts that settle in coins and euros at a gain or a loss, and coins and euros beside them."""
    portfolio = a_short_book(held, cost, shortage, mode, policy)
    plan = plan_liquidation(portfolio, MARKET, RULES, LiquidationTerms(RULES.liquidation))
    margins = [plan.before.maintenance_margin, *(piece.after.maintenance_margin for piece in plan.pieces)]
    assert all(later <= earlier for earlier, later in pairwise(margins))
    assert plan.least_cost <= plan.cost
    if plan.trades:
        check_reduces(portfolio, plan.trades, INSTRUMENT)
    left = after_trades(portfolio, plan.trades, INSTRUMENT)
    result = compute(left, MARKET, RULES)
    assert plan.reaches_target == (result.utilization is not None and result.utilization <= Decimal("0.75"))
    assert plan.reaches_target or is_all_dollars(left)


@settings(max_examples=15, deadline=None)
@given(
    books, costs, st.floats(1.0, 3.0), st.tuples(st.sampled_from(AccountMode), st.sampled_from(CollateralPolicy)), st.sampled_from(MOVED)
)
def test_at_a_market_that_has_moved_every_step_is_as_the_plan_says_and_holdings_only_ever_shrink(held, cost, shortage, kind, market):
    """Every piece is margined again from the holdings, and between pieces no contract grows, turns over or comes back."""
    portfolio = a_short_book(held, cost, shortage, *kind, market=market)
    plan = plan_liquidation(portfolio, market, RULES, LiquidationTerms(RULES.liquidation))
    now, margin = portfolio, compute(portfolio, market, RULES).requirement.maintenance_margin
    assert plan.before.maintenance_margin == margin
    for piece in plan.pieces:
        for trade in piece.trades:
            before, now = quantity_of(now, trade.instrument_id), after_trades(now, [trade], INSTRUMENT)
            after = quantity_of(now, trade.instrument_id)
            if not INSTRUMENT[trade.instrument_id].is_asset:
                assert 0 <= after / before < 1, "less of it, and none of the other side"
        result = compute(now, market, RULES)
        assert (result.requirement.maintenance_margin, result.equity.equity) == (piece.after.maintenance_margin, piece.after.equity)
        assert result.requirement.maintenance_margin <= margin
        margin = result.requirement.maintenance_margin
    assert plan.reaches_target == (plan.after.utilization is not None and plan.after.utilization <= Decimal("0.75"))
    assert plan.reaches_target or is_all_dollars(now, market)


def quantity_of(portfolio, name):
    return next((holding.quantity for holding in portfolio.holdings if holding.instrument_id == name), Decimal(0))


def is_all_dollars(portfolio, market=MARKET):
    """Everything closed, and less than a dollar left in any coin or currency, which is what is not worth an order."""
    by_asset = {}
    for holding in portfolio.holdings:
        instrument = INSTRUMENT[holding.instrument_id]
        if holding.quantity and not instrument.is_asset:
            return False
        by_asset[instrument.settlement] = by_asset.get(instrument.settlement, 0) + holding.quantity - holding.cost
    del by_asset["USD"]
    return all(abs(float(units) * float(market.unit_value[market.row_of[asset]])) < 1.01 for asset, units in by_asset.items())


@settings(max_examples=10, deadline=None)
@given(small_books, costs, st.floats(1.0, 2.0), st.sampled_from(AccountMode))
@example(
    {"BOND-EUR": Decimal("0.02"), "PERP-LINEAR-USD": Decimal("-0.20")}, 0.0, 1.0, AccountMode.CROSS
)  # the bond alone leaves risk in euros
def test_no_choice_out_of_all_on_a_grid_is_cheaper_by_more_than_a_twentieth(held, cost, shortage, mode):
    """Every combination of steps of two holdings, and of the money that they leave, is margined with its costs, the cheapest first.

    But for those that end with more margin than there was: they gain by freed haircuts alone, and a plan never takes more risk.
    """
    portfolio = a_short_book(held, cost, shortage, mode, CollateralPolicy.RISKED)
    plan = plan_liquidation(portfolio, MARKET, RULES, LiquidationTerms(RULES.liquidation))
    assume(plan.pieces)
    book = _Book(portfolio, MARKET, RULES, LiquidationTerms(RULES.liquidation))
    steps = np.linspace(0.0, 1.0, {1: 101, 2: 21, 3: 9}.get(len(book.legs), 6))
    choices = [np.array(choice) for choice in product(steps, repeat=len(book.legs))]
    affordable = sorted((choice for choice in choices if 1.05 * book.cost(choice) + 1 < float(plan.cost)), key=book.cost)
    cheaper = next((choice for choice in affordable if meets_with_less_risk(book, choice)), None)
    assert cheaper is None, (cheaper, book.cost(cheaper), plan.cost)


LEVELS = st.lists(st.tuples(st.sampled_from((-0.001, 0.001, 0.02, 0.3, 0.6)), st.sampled_from((0.1, 0.3, 0.6))), min_size=1, max_size=3)
"""Of an order book: how much worse than the mark, and what share of the holding is bid for there."""
STALE: list[list[tuple[float, float]]] = [[], []]
"""No order books, and the first of two holdings cannot be traded."""
asked_for = st.just(STALE) | st.lists(LEVELS, min_size=2, max_size=2)


def an_order_book(name, quantity, asked):
    instrument, row = INSTRUMENT[name], MARKET.row_of[name]
    value, settlement = float(MARKET.unit_value[row]), 1.0 if instrument.is_asset else float(MARKET.settlement_price[row])
    sign = -1 if quantity > 0 else 1
    quotes = [(quote_of(instrument, value + sign * worse * abs(value), settlement), share) for worse, share in asked]
    sized = [DepthLevel(decimal_price(price), decimal_price(share * abs(float(quantity)))) for price, share in quotes]
    side = tuple(sorted(sized, key=lambda level: sign * level.price))
    return OrderBook(side, ()) if quantity > 0 else OrderBook((), side)


@settings(max_examples=10, deadline=None)
@given(
    small_books, costs, st.floats(1.0, 4.0), st.sampled_from(CollateralPolicy), st.just(STALE) | st.lists(LEVELS, min_size=2, max_size=2)
)
@example(  # everything can be sold, and the last of it at a price that nobody would sell at
    {"PERP-LINEAR-USD": Decimal(8)}, 1.0, 2.0, CollateralPolicy.RISKED, [[(0.001, 0.6), (0.6, 0.6)]]
)
@example(  # the coins are stale, and the contract hedges them
    {"BTC": Decimal(8), "PERP-LINEAR-USD": Decimal("-7.5")}, 1.0, 1.5, CollateralPolicy.RISKED, STALE
)
@example(  # coins pledged for a loan
    {"BTC": Decimal(8)}, 1.0, 1.0, CollateralPolicy.PLEDGED, [[]]
)
@example(  # so far above the target that what the search may be wrong by is more than a thousandth of what is left
    {"PUT-COIN-ETH": Decimal("-0.45")}, 0.0, 3.0, CollateralPolicy.RISKED, [[], []]
)
@example(  # what is owed in coins for the put that is bought back hedges the rest of it, and the margin bends the other way
    {"PUT-COIN-ETH": Decimal("-0.03")}, 0.0, 1.0, CollateralPolicy.RISKED, [[(0.3, 0.3)]]
)
def test_where_any_choice_on_a_grid_is_enough_a_plan_is_enough_and_with_a_unit_less_of_everything_it_is_not(
    held, cost, shortage, policy, asked
):
    """Against a planner that tries every combination of steps, with order books, and with a holding that cannot be traded."""
    portfolio = a_short_book(held, cost, shortage, AccountMode.CROSS, policy)
    quantity = {holding.instrument_id: holding.quantity for holding in portfolio.holdings}
    depth = {InstrumentId(name): an_order_book(name, quantity[name], each) for name, each in zip(held, asked, strict=False) if each}
    stale = frozenset({InstrumentId(next(iter(held)))} if asked == STALE and len(held) > 1 else ())
    terms = LiquidationTerms(RULES.liquidation, depth, stale)
    plan = plan_liquidation(portfolio, MARKET, RULES, terms)
    book = _Book(portfolio, MARKET, RULES, terms)
    assume(not book.is_at_target(book.before))
    assert not {trade.instrument_id for trade in plan.trades} & stale
    if plan.reaches_target:
        less = a_unit_less(plan.trades, INSTRUMENT)
        result = compute(after_trades(portfolio, at_expected_costs(less, MARKET), INSTRUMENT), MARKET, RULES)
        assert not is_enough_by(Decimal("0.001"), result, book.before)
        return
    steps = np.linspace(0.0, 1.0, {1: 41, 2: 9, 3: 5}.get(len(book.legs), 4))
    choices = (np.array(choice) * book.most for choice in product(steps, repeat=len(book.legs)))
    assert not any(meets_with_less_risk(book, choice) for choice in choices)


def is_enough_by(slack, result, before):
    """Below the target by more than a slack, with that much more under what is pledged, and no more margin than there was."""
    margin, cushion = result.requirement.maintenance_margin, RULES.liquidation.end_tolerance
    enough = (RULES.liquidation.target_utilization - slack) * result.equity.equity
    is_low = result.utilization is not None and margin <= min(enough, before.requirement.maintenance_margin)
    return is_low and cushioned_equity(result, cushion + slack) >= 0


def meets_with_less_risk(book, choice):
    result = book._margin_after(book.desk.whole_trades(choice))
    return book.is_enough(result) and result.requirement.maintenance_margin <= book.before.requirement.maintenance_margin
