"""Laws that hold for every book: homogeneity, sub-additivity, bounds, monotonicity, and lines that add up to the cent."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.instrument import Payoff
from crossmargin.domain.position import Position, net_holdings
from crossmargin.domain.reported_margin import reported_in
from crossmargin.engine.portfolio_arrays import LARGEST_SLACK, SLACK_FRACTION, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.tail_mean import tail_mean, tail_weights
from tests.builders import Revalued, a_haircut_row, a_portfolio, a_revalued_market, bill, cash, coin, perpetual, risk_parameters, stablecoin

SCENARIOS = 40
EXACT = 1e-9  # relative to gross: thousands of times what the additions of one book lose
D = Decimal


def _market(seed=1):
    random = np.random.default_rng(seed)
    btc, eth, euro, rates, usdc, basis = random.standard_t(4, (6, SCENARIOS))
    weights = random.uniform(0.5, 1.5, SCENARIOS)
    return a_revalued_market(
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.1, {"EURUSD": 0.01 * euro}, translation_days=2.0),
        Revalued(coin("BTC"), 100.0, {"BTC": 6 * btc}, translation_days=2.0),
        Revalued(coin("BTC-WRAPPED"), 100.0, {"BTC": 6 * btc}, translation_days=2.0),
        Revalued(coin("ETH", collateral_class="ETH"), 10.0, {"ETH": 0.7 * btc + 0.5 * eth}, translation_days=2.0),
        Revalued(stablecoin(collateral_class="USDC"), 0.999, {"USDC": 0.01 * usdc}),
        Revalued(bill(), 0.97, {"USD-RATES": 0.004 * rates}, residual_years=0.5),
        Revalued(perpetual("BTC-PERP"), 101.0, {"BTC": 6 * btc + 0.3 * basis}),
        Revalued(perpetual("BTC-EUR", settlement="EUR"), 99.0, {"BTC": 6 * btc, "EURUSD": 0.9 * euro}),
        Revalued(perpetual("BTC-INVERSE", settlement="BTC", payoff=Payoff.INVERSE), -1.0, {"BTC": 0.05 * btc}),
        groups={"BTC": "CRYPTO", "ETH": "CRYPTO", "USDC": "CRYPTO", "EURUSD": "FX", "USD-RATES": "FIXED_INCOME"},
        weights=list(weights / weights.sum()),
        stress_count=8,
    )


def _schedule(**changes):
    rows = {
        "USD": {},
        "G10-CASH": {"flat": "0.01", "has_fx_mismatch": True},
        "GOVERNMENT": {"residual": "0.0025", "flat": "0.02"},
        "BTC": {"residual": "0.02", "flat": "0.2", "absolute_limit": "100000"},
        "ETH": {"residual": "0.03", "flat": "0.25", "share_limit": "0.5"},
        "USDC": {"residual": "0.02", "flat": "0.05", "share_limit": "0.4"},
    }
    return [a_haircut_row(name, **(row | changes.get(name, {}))) for name, row in rows.items()]


MARKET = _market()
NAMES = [str(instrument.instrument_id) for instrument in MARKET.instruments]
ASSETS = ["USD", "EUR", "BTC", "BTC-WRAPPED", "ETH", "USDC", "UST-BILL"]
CONTRACTS = [name for name in NAMES if name not in ASSETS]
PARAMETERS = risk_parameters(tail_fraction="0.1", haircut_schedule=_schedule())

quantities = st.decimals(-1000, 1000, places=3).filter(bool)
amounts = st.decimals(D("0.001"), 1000, places=3)
modes = st.sampled_from(AccountMode)
fractions = st.decimals(0, 1, places=3)


@st.composite
def books(draw, names=tuple(NAMES)):
    held = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    return {name: (draw(quantities), draw(quantities) * 90 if name in CONTRACTS else D(0)) for name in held}


policies = st.dictionaries(st.sampled_from(ASSETS), st.sampled_from([CollateralPolicy.RISKED, CollateralPolicy.PLEDGED]))
"""What AUTO leaves as it is and what it moves is in test_collateral_laws.py."""


# Bounds and algebra of the market requirement


@given(books(), policies, modes)
def test_the_requirement_lies_between_the_account_alone_and_the_sum_of_groups(book, policy, mode):
    figures = _figures(book, policy, mode)
    noise = EXACT * (1 + figures.gross)
    assert figures.account_requirement <= figures.market_requirement + noise
    assert figures.market_requirement <= figures.group_requirement.sum() + noise
    assert figures.account_requirement <= figures.class_requirement.sum() + noise
    assert figures.class_requirement.sum() <= figures.group_requirement.sum() + noise
    assert figures.group_requirement.sum() <= figures.gross + noise


@given(books(), st.floats(0.01, 100))
def test_a_book_of_twice_the_size_needs_twice_the_margin(book, factor):
    arrays = portfolio_arrays(a_portfolio(book), MARKET)
    one = _figures_of(arrays)
    scaled = _figures_of(replace(arrays, quantity=arrays.quantity * factor, cost=arrays.cost * factor))
    assert scaled.market_requirement == pytest.approx(one.market_requirement * factor, abs=EXACT * (1 + one.gross) * max(1, factor))
    assert scaled.gross == pytest.approx(one.gross * factor, rel=EXACT, abs=EXACT)
    assert scaled.contribution == pytest.approx(one.contribution * factor, abs=EXACT * (1 + one.gross) * max(1, factor))


@given(books(), policies, st.randoms(use_true_random=False))
def test_the_order_of_holdings_changes_nothing(book, policy, random):
    portfolio = a_portfolio(book, policies=policy)
    shuffled = list(portfolio.holdings)
    random.shuffle(shuffled)
    one, other = _figures(book, policy), _figures_of(portfolio_arrays(replace(portfolio, holdings=tuple(shuffled)), MARKET))
    noise = EXACT * (1 + one.gross)
    assert other.market_requirement == pytest.approx(one.market_requirement, abs=noise)
    assert other.gross == pytest.approx(one.gross, abs=noise)
    assert other.split.equity == pytest.approx(one.split.equity, abs=EXACT * (1 + one.split.gross_value.sum()))


@given(books(), st.sampled_from(NAMES), quantities, fractions)
def test_a_quantity_split_over_two_books_needs_the_same(book, name, quantity, part):
    def position(label, amount):
        return Position(BookId(label), InstrumentId(name), amount)

    rest = [Position(BookId("rest"), InstrumentId(other), *held) for other, held in book.items() if other != name]
    whole = replace(a_portfolio(), holdings=net_holdings([*rest, position("one", quantity)]))
    split = replace(whole, holdings=net_holdings([*rest, position("one", quantity * part), position("two", quantity - quantity * part)]))
    assert compute_margin(split, MARKET, PARAMETERS) == compute_margin(whole, MARKET, PARAMETERS)


@given(books(), amounts, amounts)
def test_a_quantity_split_over_twin_instruments_needs_the_same(book, one, other):
    rest = {name: held for name, held in book.items() if not name.startswith("BTC-WRAPPED") and name != "BTC"}
    together = _figures_at_a_fixed_split(rest | {"BTC": one + other})
    apart = _figures_at_a_fixed_split(rest | {"BTC": one, "BTC-WRAPPED": other})
    noise = EXACT * (1 + together.gross)
    assert apart.market_requirement == pytest.approx(together.market_requirement, abs=noise)
    assert apart.gross == pytest.approx(together.gross, abs=noise)


@given(books(), books(), modes)
def test_two_accounts_need_no_more_together_than_apart(book, other, mode):
    merged = {name: tuple(map(sum, zip(*(held[name] for held in (book, other) if name in held), strict=True))) for name in book | other}
    # What nets from owed to held changes sides in the collateral split, so all assets stay in the scenarios here.
    apart = _figures_at_a_fixed_split(book, mode=mode).market_requirement + _figures_at_a_fixed_split(other, mode=mode).market_requirement
    together = _figures_at_a_fixed_split(merged, mode=mode)
    assert together.market_requirement <= apart + EXACT * (1 + together.gross + apart)


@given(books(), amounts)
def test_long_and_short_of_the_same_carry_no_market_risk(book, quantity):
    rest = {name: held for name, held in book.items() if name not in {"BTC", "BTC-WRAPPED"}}
    hedged = _figures_at_a_fixed_split(rest | {"BTC": quantity, "BTC-WRAPPED": -quantity})
    assert hedged.market_requirement == pytest.approx(_figures_at_a_fixed_split(rest).market_requirement, abs=EXACT * (1 + hedged.gross))


@given(books(), quantities)
def test_base_currency_cash_never_changes_the_requirement(book, quantity):
    rest = {name: held for name, held in book.items() if name != "USD"}
    assert _margin_at_a_fixed_split(rest | {"USD": quantity}).requirement == _margin_at_a_fixed_split(rest).requirement


# Collateral


@given(books(), st.sampled_from(ASSETS), amounts, amounts, policies)
def test_more_pledged_collateral_never_lowers_excess(book, name, quantity, more, policy):
    policy |= {name: CollateralPolicy.PLEDGED}
    before = _margin_at_a_fixed_split(book | {name: quantity}, policy)
    after = _margin_at_a_fixed_split(book | {name: quantity + more}, policy)
    assert after.excess_to_maintenance >= before.excess_to_maintenance
    assert after.requirement == before.requirement


@given(books(), amounts, amounts, policies)
@example(
    book={"ETH": (D("0.191"), D(0)), "BTC-PERP": (D("0.001"), D("0.090")), "EUR": (D("0.109"), D(0)), "BTC": (D("0.001"), D(0))},
    quantity=D("1.620"),
    more=D("0.008"),
    policy={},
)
def test_more_base_currency_cash_raises_excess_by_at_least_itself(book, quantity, more, policy):
    before, after = (_margin(book | {"USD": cash_held}, policy) for cash_held in (quantity, quantity + more))
    # A share limit may let other collateral count as well, and be risked. Rounding takes a cent of the equity, one of the maintenance
    # margin, which is a quarter more of the initial margin, and one of that.
    cent, of_initial = D("0.01"), D("1.25")
    assert after.excess_to_initial > before.excess_to_initial + more - (cent + of_initial * cent + cent)


@given(books(), policies)
def test_pledged_collateral_leaves_the_requirement_untouched(book, policy):
    pledged = [name for name in policy if policy[name] is CollateralPolicy.PLEDGED and book.get(name, (0, 0))[0] > 0]
    without = {name: held for name, held in book.items() if name not in pledged}
    assert _margin_at_a_fixed_split(book, policy).requirement == _margin_at_a_fixed_split(without, policy).requirement


@given(books(ASSETS), policies)
def test_collateral_counts_from_nothing_to_its_market_value(book, policy):
    for line in _margin(book, policy).equity.lines:
        assert line.haircut >= 0
        assert line.over_limit >= 0
        if line.policy is not None:
            assert 0 <= line.value_in_equity <= line.market_value


@given(books(ASSETS), policies)
def test_share_limits_hold(book, policy):
    split = _figures(book, policy).split
    total = sum(split.value_in_equity[holding] for holding in split.collateral)
    rates = haircut_rates(PARAMETERS).rows
    for holding in split.collateral:
        limit = rates[portfolio_arrays(a_portfolio(book), MARKET).instruments[holding].collateral_class].share_limit_fraction
        assert limit == float("inf") or split.value_in_equity[holding] <= limit * total * (1 + EXACT) + EXACT


# Monotone in the parameters


@given(books(), st.tuples(fractions, fractions, fractions).map(sorted))
def test_more_recognised_offsets_need_no_more(book, offsets):
    low, middle, high = offsets
    noise = D("0.01")
    by_within = [_required(book, offset_within_class=within, offset_across_classes=low) for within in (middle, high)]
    by_across = [_required(book, offset_within_class=high, offset_across_classes=across) for across in (low, middle)]
    assert by_within[0] >= by_within[1] - noise
    assert by_across[0] >= by_across[1] - noise


@given(books(), st.lists(st.decimals("0.001", "0.999", places=3), min_size=2, max_size=2, unique=True).map(sorted))
def test_a_thinner_tail_needs_no_less(book, alphas):
    # By up to a cent of float noise, when both are equal and fall on either side of a whole cent.
    assert _required(book, tail_fraction=alphas[0]) >= _required(book, tail_fraction=alphas[1]) - D("0.01")


@pytest.mark.parametrize("name", ["residual", "flat"])
@given(book=books(ASSETS), policy=policies, haircuts=st.tuples(fractions, fractions).map(sorted))
def test_a_larger_haircut_counts_no_more(name, book, policy, haircuts):
    assume(haircuts[1] < 1)
    equities = [_margin(book, policy, haircut_schedule=_schedule(BTC={name: haircut})).equity.equity for haircut in haircuts]
    assert equities[0] >= equities[1]


@given(books(ASSETS), policies, st.tuples(fractions, fractions).map(sorted))
def test_a_larger_mismatch_haircut_counts_no_more(book, policy, haircuts):
    assume(haircuts[1] < 1)
    equities = [_margin(book, policy, fx_mismatch_haircut_fraction=haircut).equity.equity for haircut in haircuts]
    assert equities[0] >= equities[1]


@given(books(ASSETS), policies, st.tuples(fractions, fractions).map(sorted))
def test_a_tighter_share_limit_counts_no_more(book, policy, limits):
    assume(limits[0] > 0 and limits[1] < 1)
    equities = [_margin(book, policy, haircut_schedule=_schedule(USDC={"share_limit": limit})).equity.equity for limit in limits]
    assert equities[0] <= equities[1]


# Lines that add up


@given(books(), policies, modes)
def test_every_bridge_adds_up_to_the_cent(book, policy, mode):
    result = _margin(book, policy, mode=mode)
    equity, bridge = result.equity, result.requirement
    assert equity.equity == equity.collateral + equity.liabilities + equity.contract_value
    assert equity.collateral == sum(line.value_in_equity for line in equity.lines if line.policy is not None)
    assert equity.liabilities == sum(line.value_in_equity for line in equity.lines if line.policy is None)
    assert all(line.value_in_equity == line.market_value - line.haircut - line.over_limit for line in equity.lines)
    netting = (bridge.netting_inside_groups, bridge.netting_inside_classes, bridge.netting_across_classes)
    assert bridge.market_requirement == bridge.gross - sum(netting)
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    assert all(line >= 0 for line in (bridge.gross, *netting, bridge.market_requirement, bridge.maintenance_margin))
    assert bridge.initial_margin >= bridge.maintenance_margin
    assert sum(line.amount for line in result.contributions) == bridge.maintenance_margin
    assert all(_is_whole_cents(line.amount) for line in result.contributions)


@given(books(), policies, modes)
def test_rounding_is_against_the_client_and_by_less_than_it_shows(book, policy, mode):
    result, figures = _margin(book, policy, mode=mode), _figures(book, policy, mode)
    slack = min(SLACK_FRACTION * figures.gross, LARGEST_SLACK) + 1e-12 * figures.gross
    required, gross = float(result.requirement.market_requirement), float(result.requirement.gross)
    assert figures.market_requirement - slack <= required <= figures.market_requirement + 0.01 + slack
    assert abs(gross - figures.gross) <= 0.03 + slack
    value_slack = 2e-12 * float(figures.split.gross_value.sum())
    equity, lines = float(result.equity.equity), len(result.equity.lines) + 1
    assert figures.split.equity - 0.01 * lines - value_slack <= equity <= figures.split.equity + value_slack
    for line, exact in zip(result.contributions, figures.contribution, strict=True):
        assert abs(float(line.amount) - exact) <= 0.01 + slack


@given(books(), policies)
def test_the_ten_worst_scenarios_are_the_worst(book, policy):
    pnl = _figures(book, policy).netted.account_pnl
    shown = [MARKET.scenarios.names.index(line.name) for line in _margin(book, policy).worst_scenarios]
    assert shown == sorted(range(SCENARIOS), key=lambda scenario: (pnl[scenario], scenario))[:10]


# The tail mean itself

rows = st.lists(st.integers(-50, 50), min_size=1, max_size=60)


@given(rows, st.data(), st.floats(0.001, 0.999))
def test_the_tail_mean_is_coherent(row, data, alpha):
    other = np.array(data.draw(st.lists(st.integers(-50, 50), min_size=len(row), max_size=len(row))), float)
    raw = np.array(data.draw(st.lists(st.integers(0, 5), min_size=len(row), max_size=len(row)).filter(any)), float)
    pnl, weights = np.array(row, float), raw / raw.sum()
    assert tail_mean(pnl + other, weights, alpha) <= tail_mean(pnl, weights, alpha) + tail_mean(other, weights, alpha) + 1e-9
    assert tail_mean(np.minimum(pnl, other), weights, alpha) >= tail_mean(pnl, weights, alpha) - 1e-9
    assert tail_mean(pnl, weights, alpha) <= max(0.0, -pnl.min()) + 1e-9
    taken = tail_weights(pnl, weights, alpha)
    assert (taken >= 0).all()
    assert taken.sum() == pytest.approx(alpha, rel=1e-9)


def _figures_at_a_fixed_split(book, policy=None, mode=AccountMode.CROSS):
    return _figures_of(portfolio_arrays(_fixed(book, policy, mode), MARKET), mode)


def _margin_at_a_fixed_split(book, policy=None):
    return compute_margin(_fixed(book, policy, AccountMode.CROSS), MARKET, PARAMETERS)


def _fixed(book, policy, mode):
    """All that is risked is in the scenarios, over its limits too. What is over a limit on shares depends on everything else that counts,
    and a requirement that leaves it out does as well: more cash, and more of a coin counts and is in the scenarios."""
    portfolio = a_portfolio(book, policies=policy, mode=mode)
    fractions = {CollateralPolicy.RISKED: D(1), CollateralPolicy.PLEDGED: D(0)}
    decided = {
        held.instrument_id: fractions[(policy or {}).get(held.instrument_id, CollateralPolicy.RISKED)] for held in portfolio.holdings
    }
    return replace(portfolio, risked_fractions=decided)


def _figures(book, policy=None, mode=AccountMode.CROSS):
    return _figures_of(portfolio_arrays(a_portfolio(book, policies=policy), MARKET), mode)


def _figures_of(arrays, mode=AccountMode.CROSS):
    return margin_figures(arrays, MARKET, margin_rates(PARAMETERS, mode), haircut_rates(PARAMETERS))


def _margin(book, policy=None, *, mode=AccountMode.CROSS, **changes):
    parameters = PARAMETERS if not changes else risk_parameters(**{"tail_fraction": "0.1", "haircut_schedule": _schedule()} | changes)
    return compute_margin(a_portfolio(book, policies=policy, mode=mode), MARKET, parameters)


def _required(book, **changes):
    return _margin(book, **changes).requirement.maintenance_margin


def _is_whole_cents(amount):
    return amount == amount.quantize(D("0.01"))


@given(books(), policies, modes, st.decimals(D("0.00001"), 1000, places=5))
def test_in_another_currency_every_line_adds_up_and_nobody_is_better_off(book, policy, mode, price):
    margin = compute_margin(a_portfolio(book, policies=policy, mode=mode), MARKET, PARAMETERS)
    reported = reported_in(margin, InstrumentId("EUR"), price)
    equity, bridge = reported.equity, reported.requirement
    assert all(line.value_in_equity == line.market_value - line.haircut - line.over_limit for line in equity.lines)
    assert all(line.haircut >= 0 <= line.over_limit for line in equity.lines if line.policy is not None)
    assert equity.equity == sum(line.value_in_equity for line in equity.lines) + equity.contract_value
    netted = bridge.netting_inside_groups + bridge.netting_inside_classes + bridge.netting_across_classes
    assert bridge.gross - netted == bridge.market_requirement
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    lines = len(equity.lines) + 1 + 1 + len(bridge.charges)
    for shown, exact in (
        (reported.excess_to_initial, margin.excess_to_initial),
        (reported.excess_to_maintenance, margin.excess_to_maintenance),
    ):
        assert exact / price - lines * D("0.01") < shown <= exact / price
