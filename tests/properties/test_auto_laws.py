"""The laws of the model where AUTO splits the collateral: what it promises is the excess, and every line still adds up."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.position import Position, net_holdings
from crossmargin.engine.portfolio_arrays import LARGEST_SLACK, SLACK_FRACTION, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

D = Decimal
MARKET = a_market()
QUIET = replace(MARKET, issuer_leg_pnl=0.0 * MARKET.issuer_leg_pnl)
PROMISED = 1e-3
"""Of the excess, before charges: what AUTO may miss of the best split."""
EXACT = 1e-9  # relative to the amounts behind a figure
ASSETS = ["BTC", "RLUSD", "USDC", "XRP", "EUR"]
CONTRACTS = ["PERP", "FUTURE", "PERP-USDC", "FORWARD"]
AUTO = dict.fromkeys(ASSETS, CollateralPolicy.AUTO)
HAIRCUTS = [
    a_haircut_row("USD"),
    a_haircut_row("BTC", residual="0.02", flat="0.2"),
    a_haircut_row("STABLE", residual="0.02", flat="0.02"),
    a_haircut_row("ALT", residual="0.05", flat="0.35"),
    a_haircut_row("G10-CASH", has_fx_mismatch=True),
]
"""Without tiers and limits, which do not grow with the account."""
OFFSETS = {"offset_within_class": "0.8", "offset_across_classes": "0.5"}
CHARGES = {
    "issuers": issuers(),
    "basis": {"perpetual_fraction": "0.01", "dated_fraction": "0.02"},
    "rows": {"BTC": {"spread_fraction": "0.004", "average_daily_volume": "5000", "minimum_rate_fraction": "0.2"}},
}

few = settings(max_examples=25)
amounts = st.decimals(D("0.001"), 1000, places=3)
quantities = st.decimals(-1000, 1000, places=3).filter(bool)
fractions = st.decimals(0, 1, places=3)
modes = st.sampled_from(AccountMode)


@st.composite
def books(draw):
    """Collateral, contracts on it that may be hedges, and dollars of either sign."""
    book = {name: (draw(amounts), D(0)) for name in draw(st.lists(st.sampled_from(ASSETS), unique=True, min_size=1))}
    for name in draw(st.lists(st.sampled_from(CONTRACTS), unique=True)):
        quantity = draw(quantities)
        book[name] = (quantity, D(0) if name == "FORWARD" else quantity * 100)
    return book | {"USD": (draw(quantities) * 100, D(0))}


@few
@given(books(), modes)
def test_the_requirement_lies_between_the_account_alone_and_the_sum_of_groups(book, mode):
    figures, _ = _margined(book, mode)
    noise = EXACT * (1 + figures.gross)
    assert figures.account_requirement <= figures.market_requirement + noise
    assert figures.market_requirement <= figures.group_requirement.sum() + noise
    assert figures.group_requirement.sum() <= figures.gross + noise


@few
@given(books(), st.floats(0.01, 100))
def test_an_account_of_twice_the_size_has_twice_the_excess(book, factor):
    figures, rates = _margined(book)
    arrays = portfolio_arrays(a_portfolio(book, policies=AUTO), QUIET)
    rules = _rules()
    scaled = margin_figures(
        replace(arrays, quantity=arrays.quantity * factor, cost=arrays.cost * factor), QUIET, rates, haircut_rates(rules)
    )
    assert scaled.excess(rates) == pytest.approx(figures.excess(rates) * factor, rel=PROMISED, abs=EXACT * figures.gross * factor)


@few
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_holdings_changes_no_excess(book, random):
    shuffled = list(book)
    random.shuffle(shuffled)
    assert _excess({name: book[name] for name in shuffled}) == pytest.approx(_excess(book), rel=PROMISED)


@few
@given(books(), books())
def test_two_accounts_together_have_no_less_excess_than_apart(book, other):
    merged = {name: tuple(map(sum, zip(*(held[name] for held in (book, other) if name in held), strict=True))) for name in book | other}
    together, apart = _excess(merged), (_excess(book), _excess(other))
    assert together >= sum(apart) - PROMISED * (abs(together) + sum(map(abs, apart)))


@few
@given(amounts)
def test_a_coin_and_a_short_perpetual_on_it_carry_no_market_risk(quantity):
    figures, rates = _margined({"BTC": (quantity, D(0)), "PERP": (-quantity, -quantity * 100)})
    worth = 100 * float(quantity)
    assert figures.market_requirement <= PROMISED * worth
    assert figures.excess(rates) >= 0.98 * worth * (1 - PROMISED)


@few
@given(books(), amounts)
def test_base_currency_cash_is_excess_and_changes_nothing_else(book, more):
    held, _ = book["USD"]
    before, after = _excess(book), _excess(book | {"USD": (held + more, D(0))})
    assert after == pytest.approx(before + float(more), abs=PROMISED * (abs(before) + float(more)))


@few
@given(books(), st.sampled_from(["BTC", "PERP", "FUTURE"]), st.tuples(quantities, fractions), st.sampled_from([AUTO, {}]))
def test_a_position_in_two_fills_and_two_books_is_the_position(book, name, split, policies):
    """Bit for bit, cost and all: what is netted first cannot be told apart afterwards."""
    quantity, part = split
    price = D(0) if name == "BTC" else D(97)
    filled = quantity * part
    rest = [Position(BookId("rest"), InstrumentId(other), *held) for other, held in book.items() if other != name]
    parts = [("one", filled), ("one", (quantity - filled) / 2), ("two", (quantity - filled) / 2)]
    whole, apart = (
        replace(
            a_portfolio(policies=policies),
            holdings=net_holdings(
                [*rest, *(Position(BookId(label), InstrumentId(name), amount, amount * price) for label, amount in held)]
            ),
        )
        for held in ([("one", quantity)], parts)
    )
    rules = parameters(**CHARGES, beside=OFFSETS)
    assert compute_margin(apart, MARKET, rules) == compute_margin(whole, MARKET, rules)


@few
@given(books(), modes)
def test_every_line_adds_up_to_the_cent_and_is_rounded_against_the_client(book, mode):
    portfolio = a_portfolio(book, policies=AUTO, mode=mode)
    rules = parameters(**CHARGES, beside=OFFSETS | {"haircut_schedule": HAIRCUTS})
    result = compute_margin(portfolio, MARKET, rules)
    figures = margin_figures(portfolio_arrays(portfolio, MARKET), MARKET, margin_rates(rules, mode), haircut_rates(rules))
    bridge, equity = result.requirement, result.equity
    assert sum(line.amount for line in result.contributions) == bridge.maintenance_margin
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    assert equity.equity == equity.collateral + equity.liabilities + equity.contract_value
    assert all(line.value_in_equity == line.market_value - line.haircut - line.over_limit for line in equity.lines)
    slack = min(SLACK_FRACTION * figures.gross, LARGEST_SLACK) + 1e-12 * figures.gross
    assert float(bridge.market_requirement) >= figures.market_requirement - slack
    assert float(equity.equity) <= figures.split.equity + 2e-12 * float(figures.split.gross_value.sum())


@few
@given(
    books(),
    st.sampled_from(["offset_within_class", "tail_fraction", "initial_margin_multiple"]),
    st.tuples(fractions, fractions).map(sorted),
)
def test_a_stricter_parameter_leaves_no_more_excess(book, name, ends):
    loose, strict = {
        "offset_within_class": [{"offset_across_classes": "0", "offset_within_class": str(end)} for end in reversed(ends)],
        "tail_fraction": [{"tail_fraction": str(max(D("0.001"), min(end, D("0.999"))))} for end in reversed(ends)],
        "initial_margin_multiple": [{"initial_margin_multiple": str(1 + end)} for end in ends],
    }[name]
    before, after = (_excess(book, **changes) for changes in (loose, strict))
    assert after <= before + PROMISED * abs(before) + EXACT


def _rules(**changes):
    return parameters(beside=OFFSETS | {"haircut_schedule": HAIRCUTS} | changes)


def _margined(book, mode=AccountMode.CROSS, **changes):
    rules = _rules(**changes)
    rates = margin_rates(rules, mode)
    return margin_figures(portfolio_arrays(a_portfolio(book, policies=AUTO, mode=mode), QUIET), QUIET, rates, haircut_rates(rules)), rates


def _excess(book, **changes):
    figures, rates = _margined(book, **changes)
    return figures.excess(rates)
