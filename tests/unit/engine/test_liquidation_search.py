"""Where a plan stops: at its target and not at the end of what can be traded, whatever the rest of it would cost or lay bare."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise, product

import numpy as np
import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.liquidation import DepthLevel, LiquidationTerms, OrderBook, a_unit_less, after_trades
from crossmargin.engine.liquidation import _Book, cushioned_equity, plan_liquidation
from crossmargin.engine.liquidation_cost import at_expected_costs
from crossmargin.engine.methodologies.compute import compute
from tests.unit.engine.stressed_books import INSTRUMENTS, MARKET, RULES, a_book, a_market

INSTRUMENT = {each.instrument_id: each for each in INSTRUMENTS}
BTC, ETH, PERP, EURUSD = (InstrumentId(name) for name in ("BTC", "ETH", "PERP-LINEAR-USD", "EURUSD"))
LONG = {"USD": 40_000, "PERP-LINEAR-USD": (10, "601200")}
"""The mark is 60,120."""
TARGET = Decimal("0.75")


def bids(*levels):
    return OrderBook(tuple(DepthLevel(Decimal(price), Decimal(quantity)) for price, quantity in levels), ())


def planned(held, *, depth=None, untouchable=(), market=MARKET, **options):
    terms = LiquidationTerms(RULES.liquidation, depth or {}, frozenset(untouchable))
    return plan_liquidation(a_book(held, **options), market, RULES, terms)


def sold(plan, name):
    return -sum((trade.quantity for trade in plan.trades if trade.instrument_id == name), Decimal(0))


def test_a_level_that_costs_more_than_all_the_risk_it_takes_off_is_left_in_the_order_book():
    """Eight of ten can be sold at the mark, the last two at half of it: to close everything would cost more than there is."""
    plan = planned(LONG, depth={PERP: bids((60_100, 8), (30_000, 2))})
    assert plan.reaches_target
    assert Decimal("0.745") < plan.after.utilization <= TARGET
    assert sold(plan, PERP) < 8
    assert plan.trades[-1].limit_price == 60_100
    assert plan.cost < 200


HEDGED = {"BTC": 10, "PERP-LINEAR-USD": ("-9.5", "-571140"), "EURUSD": 2_000_000}
"""Coins that are hedged, and euros that are at risk."""


@pytest.mark.parametrize(("dollars", "is_hedge_touched"), [(-530_000, False), (-500_000, True), (-450_000, False)])
def test_what_hedges_something_stale_is_not_bought_back_for_it_would_lay_that_bare(dollars, is_hedge_touched):
    """Everything closed but the coins leaves nine tenths of a million of risk to each coin's move; what is at risk is the euros."""
    plan = planned(HEDGED | {"USD": dollars}, untouchable=[BTC])
    assert plan.reaches_target
    assert Decimal("0.745") < plan.after.utilization <= TARGET
    assert (sold(plan, PERP) != 0) is is_hedge_touched
    assert -sold(plan, PERP) < Decimal("0.1")
    assert sold(plan, EURUSD) < 2_000_000


def test_where_nothing_is_enough_all_is_closed_but_what_hedges_what_cannot_be():
    plan = planned(HEDGED | {"USD": -560_000}, untouchable=[BTC])
    assert not plan.reaches_target
    assert (sold(plan, EURUSD), sold(plan, PERP)) == (2_000_000, 0)
    bare = planned(HEDGED | {"USD": -620_000})
    assert (bare.reaches_target, sold(bare, BTC), sold(bare, PERP)) == (False, 10, Decimal("-9.5"))


def test_what_would_only_raise_the_margin_is_not_traded():
    """Coins that are owed and stale, behind bonds that count for nothing: to sell the bonds for euros adds the risk of the euros."""
    held = {"USD": "101121.48", "BTC": "-1.56", "BOND-EUR": 261_000}
    plan = planned(held, untouchable=[BTC], policies=dict.fromkeys((BTC, ETH), CollateralPolicy.PLEDGED))
    margins = [plan.before.maintenance_margin, *(piece.after.maintenance_margin for piece in plan.pieces)]
    assert all(later <= earlier for earlier, later in pairwise(margins))
    assert not plan.reaches_target


PLEDGED = {"USD": -640_000, "BTC": 13}
"""At 60,000 a coin: with a fifth off, they are worth less than what is owed. They are the margin, and there is no other."""


def test_of_coins_that_are_pledged_for_a_loan_no_more_is_sold_than_leaves_a_cushion_under_the_rest():
    plan = planned(PLEDGED, policies={BTC: CollateralPolicy.PLEDGED})
    assert plan.before.equity < 0 == plan.before.maintenance_margin
    assert plan.reaches_target
    left = compute(after_trades(a_book(PLEDGED, policies={BTC: CollateralPolicy.PLEDGED}), plan.trades, INSTRUMENT), MARKET, RULES)
    pledged = sum(line.pledged for line in left.equity.lines)
    assert 0 < sold(plan, BTC) < 6
    assert left.equity.equity == pytest.approx(RULES.liquidation.end_tolerance * pledged, rel=Decimal("0.001"))
    assert cushioned_equity(left, Decimal(0)) == left.equity.equity


def test_what_is_pledged_beside_a_margin_to_speak_of_makes_no_plan_larger():
    """The target leaves more equity than the cushion asks for, so that an account ends at the target and not below it."""
    held = {"USD": -20_000, "BTC": "0.9", "PERP-LINEAR-USD": (3, "180000")}
    plan = planned(held, policies={BTC: CollateralPolicy.PLEDGED})
    assert plan.before.utilization > 1
    assert plan.reaches_target
    assert plan.after.utilization > Decimal("0.749")


def test_of_what_trades_for_nothing_no_more_is_traded_than_there_must_be():
    """A bid above the mark: without a cost one choice is as cheap as any other that is enough."""
    plan = planned(LONG, depth={PERP: bids((60_200, 10))})
    assert (plan.cost, plan.reaches_target) == (0, True)
    assert plan.after.utilization > Decimal("0.749")


def in_units(**places):
    return a_market(
        instruments=[replace(each, quantity_places=places.get(each.instrument_id.replace("-", "_"), 8)) for each in INSTRUMENTS]
    )


UNITS = {
    "one coarse": (LONG, in_units(PERP_LINEAR_USD=0)),
    "two coarse": ({"USD": -80_000, "PERP-LINEAR-USD": (5, "300600"), "ETH": 40}, in_units(PERP_LINEAR_USD=0, ETH=0)),
    "coarse and fine": ({"USD": -80_000, "PERP-LINEAR-USD": (5, "300600"), "ETH": 40}, in_units(PERP_LINEAR_USD=0)),
    "fine": ({"USD": 30_000, "PERP-LINEAR-USD": (3, "180360"), "EURUSD": 400_000, "SWAP-USD": 500_000}, MARKET),
}


@pytest.mark.parametrize(("held", "market"), UNITS.values(), ids=UNITS)
def test_with_a_unit_less_of_everything_a_plan_would_not_be_enough(held, market):
    plan = planned(held, market=market)
    assert plan.reaches_target
    known = {each.instrument_id: each for each in market.instruments}
    less = a_unit_less(plan.trades, known)
    result = compute(after_trades(a_book(held), at_expected_costs(less, market), known), market, RULES)
    assert result.utilization is None or result.utilization > TARGET - Decimal("0.0001")


def test_a_stretch_is_no_longer_than_it_must_be():
    """From nothing at all towards all that can be traded, to a ten-millionth of the way."""
    book = _Book(a_book(LONG), MARKET, RULES, LiquidationTerms(RULES.liquidation))
    (share,) = book.in_proportion()
    assert book._meets_at(np.array([share]))
    assert not book._meets_at(np.array([share - 2e-7]))


def test_what_falls_least_short_is_found_where_closing_everything_is_not_it():
    """Held against a grid of all choices; what is enough by the most is closed when nothing of it is."""
    for dollars in (-560_000, -530_000):
        book = _Book(a_book(HEDGED | {"USD": dollars}), MARKET, RULES, LiquidationTerms(RULES.liquidation, untouchable=frozenset({BTC})))
        found = gain_of(book, book.least_short())
        best = max(gain_of(book, np.array(choice)) for choice in product(np.linspace(0.0, 1.0, 9), repeat=2))
        assert found >= best - 1e-3 * float(book.before.requirement.maintenance_margin)


def gain_of(book, choice):
    result = book._margin_after(book.desk.whole_trades(choice))
    return 0.75 * float(result.equity.equity) - float(result.requirement.maintenance_margin)
