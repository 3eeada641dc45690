"""Laws of the charges, for every book: sign, homogeneity, convexity, monotonicity, and what leaves them alone."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from tests.builders import a_portfolio
from tests.charge_books import a_market, issuers, parameters

D = Decimal
EXACT = 1e-9  # relative to the amounts behind a figure: thousands of times what the additions of one book lose
MARKET = a_market()
NAMES = [str(instrument.instrument_id) for instrument in MARKET.instruments]
MARGINED = [str(instrument.instrument_id) for instrument in MARKET.instruments if instrument.is_margined]
LIQUIDITY = "liquidity"
ELSEWHERE = {"USDC", "RLUSD", "XRP", "EUR", "FORWARD", "FORWARD-2"}
"""Held outside the group of BTC."""
CHARGES = {
    "basis": {
        "perpetual_fraction": "0.01",
        "dated_fraction": "0.015",
        "stablecoin_tiers": [{"up_to": None, "charge_fraction": "0.02"}],
    },
    "short_option_fraction": "0.01",
    "depeg": {"haircut_slope": "4", "ineligible_price": "0.95"},
    "schedule_floor": {
        "floor_fraction": "0.5",
        "in_scope": ["FX_FORWARD"],
        "rates": {name: [{"up_to_years": None, "rate_fraction": "0.1"}] for name in ("CRYPTO", "FX", "FIXED_INCOME")},
    },
    "issuers": issuers(),
    "rows": {"BTC": {"minimum_rate_fraction": "0.2"}, "XRP": {"minimum_rate_fraction": "0.3"}},
}
"""Every charge but the liquidity charge."""
LARGE = {"spread_fraction": "0.004", "average_daily_volume": "5000"}
ALL = CHARGES | {"rows": {name: LARGE | {"minimum_rate_fraction": "0.2"} for name in ("BTC", "XRP", "USDC", "RLUSD")}}

quantities = st.decimals(-1000, 1000, places=3).filter(bool)
amounts = st.decimals(D("0.001"), 1000, places=3)
fractions = st.decimals(0, 1, places=3)
pairs = st.tuples(fractions, fractions).map(sorted)
fixed = st.sampled_from([CollateralPolicy.RISKED, CollateralPolicy.PLEDGED])
policies = st.dictionaries(st.sampled_from(["BTC", "RLUSD", "USDC", "XRP"]), fixed)
modes = st.sampled_from(AccountMode)


@st.composite
def books(draw, names=tuple(NAMES)):
    held = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    return {name: (draw(quantities), draw(quantities) * 90 if name in MARGINED else D(0)) for name in held}


@given(books(), policies, modes)
def test_no_charge_is_negative_and_the_maintenance_margin_is_the_larger_of_both(book, policy, mode):
    figures = _figures(book, policy, mode)
    charges = figures.charges
    assert all(line.amount >= 0 for line in (*charges.lines, *figures.initial_only))
    before_minimums = figures.market_requirement + charges.liquidity.sum() + charges.basis.total + charges.wrong_way.total
    assert charges.maintenance_margin == max(before_minimums, charges.minimums)
    noise = EXACT * (1 + figures.gross + charges.scale)
    assert figures.market_requirement + sum(line.amount for line in charges.lines) == pytest.approx(charges.maintenance_margin, abs=noise)


@given(books(), policies, modes)
def test_contributions_add_up_to_the_maintenance_margin(book, policy, mode):
    figures = _figures(book, policy, mode)
    noise = EXACT * (1 + figures.gross + figures.charges.scale)
    assert figures.contribution.sum() == pytest.approx(figures.charges.maintenance_margin, abs=noise)
    result = compute_margin(a_portfolio(book, policies=policy, mode=mode), MARKET, parameters(**ALL))
    bridge = result.requirement
    assert sum(line.amount for line in result.contributions) == bridge.maintenance_margin
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    assert abs(float(bridge.maintenance_margin) - figures.charges.maintenance_margin) <= 0.01 * (1 + len(bridge.charges)) + noise


@given(books(), st.floats(0.01, 100), modes)
def test_every_charge_but_liquidity_scales_with_the_book(book, factor, mode):
    one, scaled = (_scaled(book, size, mode, CHARGES) for size in (1.0, factor))
    noise = EXACT * (1 + one.gross + one.charges.scale) * max(1.0, factor)
    for line, other in zip(one.charges.lines, scaled.charges.lines, strict=True):
        assert other.amount == pytest.approx(line.amount * factor, abs=noise), line.name
    assert scaled.initial_only[0].amount == pytest.approx(one.initial_only[0].amount * factor, abs=noise)


@given(books(), st.floats(0.01, 0.99))
def test_splitting_a_book_never_raises_its_liquidity_charge(book, part):
    whole, one, other = (_scaled(book, size, AccountMode.CROSS, ALL) for size in (1.0, part, 1.0 - part))
    noise = EXACT * (1 + whole.gross + whole.charges.scale)
    assert one.charges.liquidity.sum() + other.charges.liquidity.sum() <= whole.charges.liquidity.sum() + noise


def test_a_large_position_costs_more_than_its_parts():
    whole, half = (_scaled({"BTC": (D(1000), D(0))}, size, AccountMode.CROSS, ALL).charges.liquidity.sum() for size in (1.0, 0.5))
    assert whole > 2 * half * 1.01


@given(books(), quantities)
def test_base_currency_cash_changes_no_requirement(book, quantity):
    rest = {name: held for name, held in book.items() if name != "USD"}
    assert _requirement(rest | {"USD": quantity}, ALL) == _requirement(rest, ALL)


@given(amounts, st.sampled_from(["PERP", "FUTURE", "FUTURE-WITH-CARRY"]))
def test_long_and_short_of_one_instrument_leave_nothing_to_charge(quantity, name):
    net = {name: (quantity - quantity, D(0)), "USD": D(5)}
    bridge = _requirement(net, ALL)
    assert (bridge.maintenance_margin, bridge.charges, bridge.initial_only) == (0, (), ())


@given(amounts, fractions.filter(bool), st.sampled_from(["PERP", "FUTURE", "FUTURE-WITH-CARRY"]))
def test_a_hedge_raises_no_charge_but_basis(quantity, part, name):
    hedge = -quantity * part
    before, after = (_lines(book) for book in ({"BTC": quantity}, {"BTC": quantity, name: (hedge, hedge * 100)}))
    raised = {charge for charge in after if after[charge] > before[charge] + EXACT * 1e6}
    assert raised <= ({"basis"} if name != "FUTURE-WITH-CARRY" else set())


@given(amounts, st.sampled_from(NAMES), quantities)
def test_a_short_option_that_never_loses_needs_its_minimum(quantity, name, beside):
    """1% of its notional, whatever is held beside it: a loss elsewhere in the account hides no short option."""
    rest = {name: (beside, beside * 100 if name in MARGINED else D(0))} if name not in {"CALL", "USD"} else {}
    bare = CHARGES | {"rows": {}, "schedule_floor": CHARGES["schedule_floor"] | {"floor_fraction": "0"}}
    without, with_it = (_figures(rest | held, charges=bare) for held in ({}, {"CALL": (-quantity, D(0))}))
    needed = 0.01 * 100 * float(quantity)
    noise = EXACT * (1 + with_it.gross + with_it.charges.scale + needed)
    assert with_it.charges.minimums >= needed - noise
    if name in ELSEWHERE:
        assert with_it.charges.maintenance_margin >= without.charges.maintenance_margin + needed - noise


@given(books(), policies, pairs)
@pytest.mark.parametrize(
    "change",
    [
        lambda value: {"basis": CHARGES["basis"] | {"perpetual_fraction": value, "dated_fraction": "1"}},
        lambda value: {"basis": CHARGES["basis"] | {"perpetual_fraction": "0", "dated_fraction": value}},
        lambda value: {"basis": CHARGES["basis"] | {"stablecoin_tiers": [{"up_to": None, "charge_fraction": value}]}},
        lambda value: {"short_option_fraction": value},
        lambda value: {"schedule_floor": CHARGES["schedule_floor"] | {"floor_fraction": value}},
        lambda value: {"liquidity": {"spread_multiple": value}},
        lambda value: {"liquidity": {"base_days": 10 * value}},
        lambda value: {"liquidity": {"participation_fraction": 1 - D("0.999") * value}},
        lambda value: {"rows": {"BTC": LARGE | {"spread_fraction": value}}},
        lambda value: {"rows": {"BTC": LARGE | {"average_daily_volume": 10_000 * (D("1.001") - value)}}},
        lambda value: {"rows": {"BTC": LARGE | {"minimum_rate_fraction": value}}},
        lambda value: {"depeg": {"haircut_slope": 10 * value, "mild_price": "1"}},
    ],
    ids=[
        "perpetual basis",
        "dated basis",
        "stablecoin basis",
        "short options",
        "schedule floor",
        "spread multiple",
        "base days",
        "participation",
        "spread",
        "volume",
        "minimum rate",
        "depeg slope",
    ],
)
def test_more_of_a_charge_never_lowers_the_initial_margin(change, book, policy, values):
    bridges = [
        compute_margin(a_portfolio(book, policies=policy), a_market(usdc=0.97), parameters(**(ALL | change(value)))).requirement
        for value in values
    ]
    # Each line is rounded up by itself, so that a cent may move between two of them.
    assert bridges[0].initial_margin <= bridges[1].initial_margin + D("0.10")


@given(books(), policies, st.sampled_from(["RLUSD", "USDC"]), amounts)
def test_more_pledged_collateral_of_an_issuer_never_lowers_the_excess_to_maintenance(book, policy, name, more):
    policy |= {name: CollateralPolicy.PLEDGED}
    held = max(D(0), D(book.get(name, (D(0), D(0)))[0]))
    portfolios = [a_portfolio(book | {name: quantity}, policies=policy) for quantity in (held, held + more)]
    before, after = (compute_margin(portfolio, MARKET, parameters(**CHARGES)) for portfolio in portfolios)
    assert after.excess_to_maintenance >= before.excess_to_maintenance - D("0.05")


def _figures(book, policy=None, mode=AccountMode.CROSS, charges=ALL, market=MARKET):
    return _figures_of(portfolio_arrays(a_portfolio(book, policies=policy), market), mode, charges, market)


def _figures_of(arrays, mode, charges, market=MARKET):
    rules = parameters(**charges)
    return margin_figures(arrays, market, margin_rates(rules, mode), haircut_rates(rules))


def _scaled(book, factor, mode, charges):
    arrays = portfolio_arrays(a_portfolio(book), MARKET)
    return _figures_of(replace(arrays, quantity=arrays.quantity * factor, cost=arrays.cost * factor), mode, charges)


def _requirement(book, charges):
    return compute_margin(a_portfolio(book), MARKET, parameters(**charges)).requirement


def _lines(book):
    return {line.name: line.amount for line in _figures(book).charges.lines}
