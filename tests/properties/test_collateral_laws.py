"""Laws of collateral, for every book: more of it never counts for less, every limit and haircut takes, and AUTO is the best of all."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import margin_figures
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

D = Decimal
AUTO, RISKED, PLEDGED = CollateralPolicy.AUTO, CollateralPolicy.RISKED, CollateralPolicy.PLEDGED
PROMISED = 1e-3
"""Of the excess, before charges: what AUTO may miss of the best split."""
DEPEG = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95"}
BASIS = {"perpetual_fraction": "0.01", "dated_fraction": "0.02"}
MARKET = a_market()
ASSETS = ["BTC", "RLUSD", "USDC", "XRP", "EUR"]
CONTRACTS = ["PERP", "FUTURE", "PERP-USDC", "FORWARD"]
CLASS_OF = {"BTC": "BTC", "RLUSD": "STABLE", "USDC": "STABLE", "XRP": "ALT", "EUR": "G10-CASH"}
TERMS = {
    "USD": {},
    "BTC": {"residual": "0.02", "tiers": [("20000", "0.2"), ("60000", "0.3")]},
    "STABLE": {"residual": "0.02", "flat": "0.02", "share_limit": "0.4", "supply_limit_fraction": "0.01"},
    "ALT": {"residual": "0.05", "flat": "0.35", "volume_limit_fraction": "0.1", "absolute_limit": "800"},
    "G10-CASH": {"has_fx_mismatch": True},
}
SUPPLY = {"spot:RLUSD": "50000", "spot:USDC": "90000"}

few, fewer = settings(max_examples=40), settings(max_examples=20)
amounts = st.decimals(D("0.001"), 1000, places=3)
quantities = st.decimals(-1000, 1000, places=3).filter(bool)
fractions = st.decimals(0, 1, places=3)
pairs = st.tuples(fractions, fractions).map(sorted)
all_policies = st.fixed_dictionaries({name: st.sampled_from(CollateralPolicy) for name in ASSETS})


@st.composite
def books(draw):
    """Collateral, contracts on it that may be hedges, and dollars of either sign."""
    book = {name: (draw(amounts), D(0)) for name in draw(st.lists(st.sampled_from(ASSETS), unique=True, min_size=1))}
    for name in draw(st.lists(st.sampled_from(CONTRACTS), unique=True)):
        quantity = draw(quantities)
        book[name] = (quantity, D(0) if name == "FORWARD" else quantity * 100)
    return book | {"USD": (draw(quantities) * 100, D(0))}


@given(books(), st.sampled_from(ASSETS), st.one_of(amounts, st.decimals(300, 1000, places=3)))
def test_more_collateral_never_lowers_the_excess_under_auto(book, name, more):
    held = book.get(name, (D(0), D(0)))[0]
    before, after = (_excess(book | {name: (quantity, D(0))}) for quantity in (held, held + more))
    assert after >= before - PROMISED * abs(before)


@given(books(), st.sampled_from(ASSETS), st.one_of(amounts, st.decimals(300, 1000, places=3)))
def test_more_of_what_is_pledged_never_lowers_the_excess_whatever_closing_out_costs(book, name, more):
    """Without an exception: a pledge is outside the scenarios, where spread, horizon and basis are charged, and never counts for less."""
    charges = {"basis": BASIS, "rows": _illiquid(), "issuers": _limited(1_000)}
    held = book.get(name, (D(0), D(0)))[0]
    pledged = dict.fromkeys(ASSETS, PLEDGED)
    before, after = (_excess(book | {name: (quantity, D(0))}, pledged, **charges) for quantity in (held, held + more))
    assert after >= before - 1e-9 * (1 + abs(before))


@given(books())
def test_auto_leaves_no_less_than_any_choice_of_risked_and_pledged(book):
    auto = _excess(book)
    held = [name for name in ASSETS if name in book]
    for choice in product((RISKED, PLEDGED), repeat=len(held)):
        fixed = _excess(book, dict(zip(held, choice, strict=True)))
        assert auto >= fixed - PROMISED * abs(auto) - 1e-9 * abs(fixed)


@given(books())
def test_auto_is_no_worse_than_all_risked_or_all_pledged_when_charges_are_counted(book):
    charges = {"issuers": issuers(), "basis": BASIS, "rows": _illiquid()}
    auto = _excess(book, **charges)
    for policy in (RISKED, PLEDGED):
        fixed = _excess(book, dict.fromkeys(ASSETS, policy), **charges)
        assert auto >= fixed - 1e-9 * abs(fixed)


@fewer
@given(
    books(),
    st.sampled_from(["0.955", "0.97", "0.985"]),
    st.sampled_from(["0.02", "0.5", "0.9", "1"]),
    st.fixed_dictionaries({}, optional={"share_limit": st.sampled_from(["0.05", "0.4"]), "absolute_limit": st.sampled_from(["5", "400"])}),
    st.sampled_from([None, 20, 500]),
)
@example({"USDC": (D("69.320"), D(0)), "XRP": (D("4.221"), D(0)), "USD": (D(-5), D(0))}, "0.97", "1", {"share_limit": "0.05"}, None)
def test_auto_is_no_worse_than_all_risked_or_all_pledged_while_a_stablecoin_is_off_its_peg(book, price, flat, limits, issuer):
    """What policy RISKED leaves out for being over a limit is not charged for the peg; what AUTO pledges of it would be."""
    charges = {"depeg": DEPEG, "basis": BASIS} | ({"issuers": _limited(issuer)} if issuer else {})
    terms = {"STABLE": {"residual": "0.02", "flat": flat, "share_limit": None} | limits}
    auto, *fixed = (
        _excess(book, dict.fromkeys(ASSETS, policy), terms=terms, market=_slipped(price), **charges) for policy in (AUTO, RISKED, PLEDGED)
    )
    assert auto >= max(fixed) - 1e-9 * abs(max(fixed))


@given(books())
def test_auto_says_the_same_twice(book):
    first, again = (_figures(book).split.risked_fraction.tolist() for _ in range(2))
    assert first == again


@given(books(), st.sampled_from(ASSETS), st.sampled_from(["residual", "flat"]), pairs)
def test_a_larger_haircut_leaves_no_more_excess_under_auto(book, name, haircut, ends):
    excesses = [_excess(book, terms={CLASS_OF[name]: {haircut: str(min(end, D("0.999")))}}) for end in ends]
    assert excesses[1] <= excesses[0] + PROMISED * abs(excesses[0])


@pytest.mark.parametrize("limit", ["share_limit", "absolute_limit", "volume_limit_fraction", "supply_limit_fraction"])
@given(book=books(), name=st.sampled_from(ASSETS), ends=pairs, policy=st.sampled_from(CollateralPolicy))
def test_a_tighter_limit_leaves_no_more_excess(limit, book, name, ends, policy):
    scale = {"share_limit": 1, "absolute_limit": 2000, "volume_limit_fraction": 1, "supply_limit_fraction": 1}[limit]
    values = [str(min(max(end, D("0.001")), D("0.999")) * scale) for end in ends]
    tight, loose = (_excess(book, dict.fromkeys(ASSETS, policy), terms={CLASS_OF[name]: {limit: value}}) for value in values)
    assert tight <= loose + PROMISED * abs(loose)


@given(books(), pairs, st.sampled_from(CollateralPolicy))
def test_a_tighter_issuer_limit_leaves_no_more_excess(book, ends, policy):
    tight, loose = (_excess(book, dict.fromkeys(ASSETS, policy), issuers=_limited(end * 2000)) for end in ends)
    assert tight <= loose + PROMISED * abs(loose)


@given(books(), st.sampled_from(CollateralPolicy), amounts)
def test_what_an_asset_counts_for_never_falls_when_there_is_more_of_it(book, policy, more):
    """By whichever policy, and whatever the limits: the value in equity of all collateral rises with every holding."""
    for name in ASSETS:
        held = book.get(name, (D(0), D(0)))[0]
        fixed = dict.fromkeys(ASSETS, RISKED if policy is AUTO else policy)
        before, after = (_figures(book | {name: (quantity, D(0))}, fixed).split for quantity in (held, held + more))
        values = [split.value_in_equity[list(split.collateral)].sum() for split in (before, after)]
        assert values[1] >= values[0] - 1e-9 * (1 + abs(values[0]))


@given(books())
@example({"XRP": (D(420), D(0)), "USD": (D(100), D(0))})
def test_in_no_scenario_is_risked_collateral_shown_at_more_than_it_is_worth(book):
    """What is over a limit counts nothing and its moves still hedge: never more than the whole account at its market value then."""
    shown = _figures(book, dict.fromkeys(ASSETS, RISKED))
    rules = parameters(beside={"haircut_schedule": [a_haircut_row(name) for name in TERMS]})
    market = _without_shock()
    worth = margin_figures(
        portfolio_arrays(a_portfolio(book), market), market, margin_rates(rules, AccountMode.CROSS), haircut_rates(rules)
    )
    noise = 1e-9 * (1 + worth.split.gross_value.sum())
    assert (shown.split.equity + shown.netted.account_pnl <= worth.split.equity + worth.netted.account_pnl + noise).all()


@few
@given(books(), st.sampled_from(ASSETS), st.one_of(amounts, st.decimals(300, 1000, places=3)), all_policies)
@example({"BTC": (D(750), D(0)), "USD": (D(-40_000), D(0))}, "BTC", D(200), {})
@example({"BTC": (D(900), D(0)), "USD": (D(-40_000), D(0))}, "BTC", D(300), {})
def test_more_collateral_never_lowers_the_excess_whatever_closing_out_costs(book, name, more, policies):
    """With every charge, and with policies of every kind for the other assets."""
    charges = {"issuers": issuers(), "basis": BASIS, "rows": _illiquid()}
    policies = policies | {name: AUTO}
    held = book.get(name, (D(0), D(0)))[0]
    before, after = (_excess(book | {name: (quantity, D(0))}, policies, **charges) for quantity in (held, held + more))
    assert after >= before - PROMISED * abs(before)


@few
@given(books(), st.decimals(400, 1000, places=3), amounts, st.data())
def test_more_of_what_is_risked_over_its_limit_never_lowers_the_excess(book, quantity, more, data):
    """400 XRP at 2 dollars are all that counts. Beyond them it is at worst not there; a fraction is rounded to a millionth."""
    policies = {each: data.draw(st.sampled_from([RISKED, PLEDGED])) for each in ASSETS} | {"XRP": RISKED}
    charges = {"basis": BASIS, "rows": _illiquid(), "issuers": data.draw(st.sampled_from([issuers(), _limited(500)]))}
    before, after = (_excess(book | {"XRP": (held, D(0))}, policies, **charges) for held in (quantity, quantity + more))
    assert after >= before - 1e-5 * (abs(before) + 4000)


@few
@given(books())
def test_what_is_risked_over_any_limit_leaves_no_less_than_if_it_were_not_there(book):
    risked, charges = dict.fromkeys(ASSETS, RISKED), {"basis": BASIS, "rows": _illiquid(), "issuers": _limited(500)}
    figures, rates = _margined(book, risked, None, charges)
    split, names = figures.split, sorted(book)
    counted = {names[place]: 1 - split.over_limit[place] / split.market_value[place] for place in split.collateral}
    cut = {name: (held[0] * D(counted.get(name, 1.0)), held[1]) for name, held in book.items()}
    assert figures.excess(rates) >= _excess(cut, risked, **charges) - 1e-5 * float(split.gross_value.sum())


def test_a_coin_that_needs_more_than_it_counts_for_costs_excess_by_order_alone():
    """900 BTC are 90 days of a fifth of what is traded here; pledged, 600 of them count."""
    books = [{"BTC": (D(quantity), D(0)), "USD": (D(100), D(0))} for quantity in (900, 950)]
    by_order, by_choice = ([_excess(book, {"BTC": policy}, rows=_illiquid()) for book in books] for policy in (RISKED, AUTO))
    assert by_order[1] < by_order[0]
    assert by_choice[1] >= by_choice[0] * (1 - 1e-6) > by_order[0]


def _illiquid():
    return {name: {"spread_fraction": "0.004", "average_daily_volume": "5000"} for name in ("BTC", "XRP", "USDC", "RLUSD")}


def _limited(limit):
    """RIPPLE with a limit; without a joint shock that could charge for it."""
    return [one | {"moves": {"spot:XRP": "0", "spot:RLUSD": "0"}} for one in issuers(collateral_limit=str(limit))]


def _excess(book, policies=None, *, terms=None, market=None, **charges):
    figures, rates = _margined(book, policies, terms, charges, market)
    return figures.excess(rates)


def _figures(book, policies=None):
    return _margined(book, policies, None, {})[0]


def _margined(book, policies, terms, charges, market=None):
    rows = {name: TERMS[name] | (terms or {}).get(name, {}) for name in TERMS}
    rules = parameters(
        **charges,
        beside={
            "haircut_schedule": [_row(name, **row) for name, row in rows.items()],
            "circulating_supply": [{"curve": curve, "units": units} for curve, units in SUPPLY.items()],
        },
    )
    has_shock = "issuers" in charges and charges["issuers"][0]["moves"]["spot:XRP"] != "0"
    market = market or (MARKET if has_shock else _without_shock())
    portfolio = a_portfolio(book, policies=policies or dict.fromkeys(ASSETS, AUTO))
    rates = margin_rates(rules, portfolio.mode)
    return margin_figures(portfolio_arrays(portfolio, market), market, rates, haircut_rates(rules)), rates


def _without_shock():
    return replace(MARKET, issuer_leg_pnl=0.0 * MARKET.issuer_leg_pnl)


def _slipped(price):
    """The market with a USDC that counts at less than its peg, and without a joint shock."""
    market = a_market(usdc=float(price))
    return replace(market, issuer_leg_pnl=0.0 * market.issuer_leg_pnl)


def _row(name, tiers=None, flat=None, **terms):
    if flat is None and tiers:
        bands = [{"up_to_years": None, "tiers": [{"up_to": end, "haircut_fraction": fraction} for end, fraction in tiers]}]
        return a_haircut_row(name, bands=bands, **terms)
    return a_haircut_row(name, flat=flat or 0, **terms)
