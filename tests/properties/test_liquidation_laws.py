"""Laws of liquidation plans that hold for any book."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.liquidation import LiquidationTerms, after_trades
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.engine.methodologies.compute import compute
from tests.unit.engine.stressed_books import INSTRUMENTS, RULES, a_book, a_market

CONTRACTS = ("PERP-LINEAR-USD", "PERP-INVERSE", "FUTURE-LINEAR-EUR", "EURUSD", "CALL-CASH", "PUT-COIN-ETH", "BTC", "ETH")
HELD = {*CONTRACTS, "USD", "EUR"}
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in HELD])
INSTRUMENT = {each.instrument_id: each for each in INSTRUMENTS}
UNITS = {"PERP-INVERSE": 500, "EURUSD": 50_000, "ETH": 10, "PUT-COIN-ETH": 10}

SETTLED_ELSEWHERE = {"PERP-INVERSE", "PUT-COIN-ETH", "FUTURE-LINEAR-EUR"}
"""They leave coins or euros behind, which no plan sells: the account may stay over its target with everything closed."""

quantities = st.decimals(-8, 8, places=2).filter(bool)
books = st.dictionaries(st.sampled_from(CONTRACTS), quantities, min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(books, st.floats(1.0, 4.0), st.sampled_from(AccountMode))
@example({"PERP-INVERSE": Decimal("0.02"), "PERP-LINEAR-USD": Decimal("-0.01")}, 1.0, AccountMode.CROSS)  # closing all of it adds risk
def test_risk_never_rises_nothing_turns_over_and_the_target_is_met_or_all_is_closed(held, shortage, mode):
    """Whatever is held, with as many dollars as leave the account short: hedged books most of all."""
    sized = {name: quantity * UNITS.get(name, 1) for name, quantity in held.items()}
    bare = compute(a_book({"USD": 0, **sized}, mode=mode), MARKET, RULES)
    assume(bare.requirement.maintenance_margin > 100)
    wanted = bare.requirement.maintenance_margin / Decimal(str(shortage))
    portfolio = a_book({"USD": round(wanted - bare.equity.equity, 2), **sized}, mode=mode)
    plan = plan_liquidation(portfolio, MARKET, RULES, LiquidationTerms())
    margins = [plan.before.maintenance_margin, *(piece.after.maintenance_margin for piece in plan.pieces)]
    assert all(later <= earlier for earlier, later in pairwise(margins))
    assert plan.least_cost <= plan.cost
    left = after_trades(portfolio, plan.trades, INSTRUMENT)
    result = compute(left, MARKET, RULES)
    assert plan.reaches_target == (result.utilization is not None and result.utilization <= Decimal("0.75"))
    if SETTLED_ELSEWHERE & sized.keys():
        return
    remaining = {holding.instrument_id: holding.quantity for holding in left.holdings}
    for name, quantity in sized.items():
        rest = remaining.get(name, Decimal(0))
        assert rest == 0 or (rest > 0) == (quantity > 0)
        assert abs(rest) <= abs(quantity)
    assert plan.reaches_target or all(not remaining.get(name) for name in sized)
