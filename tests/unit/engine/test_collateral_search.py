"""The split after charges: what is over a limit, what takes long to sell, and that nothing is searched for where it could gain nothing."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.charges import ineligible_holdings
from crossmargin.engine.collateral_doubts import slow_groups, worth_a_search
from crossmargin.engine.collateral_search import best_required, best_split
from crossmargin.engine.collateral_split import held_assets, split_collateral
from crossmargin.engine.moved_account import split_at_rest
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.required_margin import required_of
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

AUTO, RISKED, PLEDGED = CollateralPolicy.AUTO, CollateralPolicy.RISKED, CollateralPolicy.PLEDGED
MARKET = replace(a_market(), issuer_leg_pnl=0.0 * a_market().issuer_leg_pnl)
"""Without a joint shock."""
SLOW = {"BTC": {"spread_fraction": "0.004", "average_daily_volume": "5000"}}
TIERS = [{"up_to": "20000", "haircut_fraction": "0.2"}, {"up_to": "60000", "haircut_fraction": "0.3"}]


def test_what_is_over_a_limit_and_does_not_hedge_is_left_out():
    """20 BTC of 100 dollars are risked by order, 1,000 dollars count: the account is the one with 10 BTC."""
    limited, _ = _best({"BTC": 20, "USD": 5000}, policy=RISKED, absolute_limit=1000)
    ten, rates = _best({"BTC": 10, "USD": 5000}, policy=RISKED, absolute_limit=1000)
    assert limited.split.risked_fraction.tolist() == [0.5, 1.0]
    assert limited.split.over_limit.tolist() == [1000.0, 0.0]
    assert limited.excess(rates) == ten.excess(rates)
    assert limited.market_requirement == pytest.approx(300.0)


@pytest.mark.parametrize(("short", "risked"), [(5, 0.5), (10, 0.5), (14, 0.7), (20, 1.0), (30, 1.0)])
def test_what_is_over_a_limit_stays_in_the_scenarios_as_far_as_it_hedges(short, risked):
    required, _ = _best({"BTC": 20, "USD": 5000, "PERP": (-short, -100 * short)}, policy=RISKED, absolute_limit=1000)
    assert required.split.risked_fraction[0] == pytest.approx(risked, abs=2e-5)


def test_a_hedge_stays_when_the_limit_tightens_because_cash_is_withdrawn():
    """A share of what counts: with less cash beside it more of the coin is over its limit, and the short is hedged as before."""
    book = {"BTC": 20, "PERP": (-20, -2000)}
    for dollars in (8000, 2000, 500, 0):
        required, _ = _best(book | {"USD": dollars}, policy=RISKED, share_limit="0.2")
        assert required.split.risked_fraction[0] == 1.0
        assert required.market_requirement == pytest.approx(0.0, abs=1e-9)


def test_a_coin_that_counts_for_nothing_at_all_hedges_as_far_as_it_can():
    """By itself it is over its share of what counts whole."""
    required, _ = _best({"BTC": 40, "PERP": (-20, -2000)}, policy=RISKED, share_limit="0.2")
    assert required.split.over_limit.tolist() == [4000.0, 0.0]
    assert required.split.risked_fraction[0] == pytest.approx(0.5, abs=2e-5)


def test_auto_leaves_out_what_would_be_charged_for_a_slipped_peg():
    """100 USDC at 97 cents, 100 dollars beside, a fifth may count: 25 dollars, of 25.5 at market, charged 8% of that.

    Pledged, the rest would put all of 97 dollars behind them; risked, all of it would be in the scenarios.
    """
    by_policy = {policy: _slipped(policy)[0] for policy in (AUTO, RISKED, PLEDGED)}
    rates = _slipped(AUTO)[1]
    auto = by_policy[AUTO]
    assert auto.excess(rates) >= by_policy[RISKED].excess(rates) > by_policy[PLEDGED].excess(rates)
    assert auto.split.leaves_out[1]
    assert auto.split.risked_fraction[1] == pytest.approx(25 / 0.98 / 97, abs=1e-6)
    assert auto.split.value_in_equity.tolist() == pytest.approx([100, 25])
    assert not by_policy[PLEDGED].split.leaves_out[1]


def test_what_auto_left_out_stays_left_out_while_the_split_stays_as_it_is_at_rest():
    """As in a distance to liquidation: not pledged because its share is given."""
    market, portfolio, rules = _slipped_account(AUTO)
    rest = split_at_rest(portfolio, market, rules)
    rates, schedule = margin_rates(rules, portfolio.mode), haircut_rates(rules)
    found, again = (best_required(portfolio_arrays(each, market), market, rates, schedule) for each in (portfolio, rest))
    assert again.excess(rates) == pytest.approx(found.excess(rates), abs=1e-9)
    assert again.split.over_limit.tolist() == pytest.approx(found.split.over_limit.tolist())
    assert again.split.haircut.tolist() == pytest.approx(found.split.haircut.tolist())


def test_a_share_decided_beforehand_is_not_decided_again():
    """As in the search for a distance to liquidation, whose split is the one at rest."""
    name = next(held.instrument_id for held in a_portfolio({"BTC": 20}).holdings)
    rates, schedule = _rules(absolute_limit=1000)
    portfolio = a_portfolio({"BTC": 20, "USD": 5000}, policies={"BTC": RISKED})
    at_rest = replace(portfolio, risked_fractions={name: Decimal("0.75")})
    assert best_split(portfolio_arrays(at_rest, MARKET), MARKET, rates, schedule).risked_fraction[0] == 0.75


@pytest.mark.parametrize("policy", [AUTO, RISKED, PLEDGED])
@pytest.mark.parametrize("quantity", [5, 20])
def test_a_split_alone_is_the_split_of_the_margin(policy, quantity):
    rates, schedule = _rules(absolute_limit=1000)
    arrays = portfolio_arrays(a_portfolio({"BTC": quantity, "PERP": (-12, -1200)}, policies={"BTC": policy}), MARKET)
    required = best_required(arrays, MARKET, rates, schedule)
    assert best_split(arrays, MARKET, rates, schedule).risked_fraction.tolist() == required.split.risked_fraction.tolist()


@pytest.mark.parametrize("quantity", [100, 300, 700, 950, 1000, 1300, 3000])
@pytest.mark.parametrize("short", [0, 90, 400, 900])
def test_auto_finds_the_top_of_what_is_left_after_charges(quantity, short):
    """Of a coin that takes weeks to sell: no split of a fine grid leaves more. From 1,000 on the best of the three ends is all pledged."""
    book = {"BTC": quantity, "USD": -100 * quantity // 2} | ({"PERP": (-short, -100 * short)} if short else {})
    best, rates = _best(book, policy=AUTO, tiers=TIERS, rows=SLOW)
    arrays = portfolio_arrays(a_portfolio(book, policies={"BTC": AUTO}), MARKET)
    schedule = _rules(tiers=TIERS, rows=SLOW)[1]
    held = held_assets(arrays, MARKET, schedule, ineligible_holdings(arrays, MARKET, rates.charges))
    grid = []
    for part in np.linspace(0.0, 1.0, 201):
        fraction = np.where(np.isnan(arrays.risked_fraction), part, arrays.risked_fraction)
        grid.append(required_of(split_collateral(held, arrays, fraction), arrays, MARKET, rates).excess(rates))
    assert best.excess(rates) >= max(grid) - 1e-6 * abs(max(grid))


def test_what_takes_long_to_sell_is_searched_for_however_little_a_pledge_costs():
    """A tenth counts pledged. All risked is worse than all pledged, where nothing is slow, and a part of it better than both."""
    book, dear = {"BTC": 3000, "USD": 100}, {"flat": "0.9", "residual": "0.02", "rows": SLOW}
    best, rates = _best(book, policy=AUTO, **dear)
    pledged, risked = (_best(book, policy=policy, **dear)[0].excess(rates) for policy in (PLEDGED, RISKED))
    assert risked < pledged < 0.9 * best.excess(rates)
    assert 0.0 < best.split.risked_fraction[0] < 1.0


def test_nothing_is_searched_for_where_a_pledge_adds_more_than_charges_take():
    """Within its tiers and quick to sell: however much of the account charges are, the split before charges is kept."""
    book = {"BTC": 12, "USD": 100, "PERP": (-10, -1000)}  # of 1,200 dollars 600 are pledged
    quick = {"BTC": {"spread_fraction": "0.01", "average_daily_volume": "1000000"}}
    basis = {"perpetual_fraction": "0.02", "dated_fraction": "0.03"}
    assert _searched(book, tiers=TIERS, rows=quick, basis=basis) == []
    assert _searched(book, tiers=TIERS, rows=SLOW | {"BTC": SLOW["BTC"] | {"average_daily_volume": "1"}}, basis=basis) == [0]
    assert _searched(book, tiers=[{"up_to": "100", "haircut_fraction": "0.2"}], rows=quick, basis=basis) == [0]
    assert _searched(book, tiers=TIERS[:1], rows=quick, absolute_limit=900, basis=basis) == [0]


def test_every_charge_that_a_coin_may_be_charged_is_in_what_it_may_be_charged():
    """XRP, pledged at a haircut of 97%: each charge by itself is a reason to look again."""
    book = {"XRP": 900, "USD": 100, "PERP": (-1, -100)}
    dear = {"flat": "0.97", "residual": "0.05"}
    assert _searched(book, name="XRP", rows={"BTC": {"spread_fraction": "0.5"}}, **dear) == []
    assert _searched(book, name="XRP", rows={"XRP": {"spread_fraction": "0.05"}}, **dear) == [2]
    assert _searched(book, name="XRP", rows={"XRP": {"minimum_rate_fraction": "0.4"}}, **dear) == [2]
    assert _searched(book, name="XRP", rows={"BTC": {"spread_fraction": "0.5"}}, basis={"dated_fraction": "0.04"}, **dear) == [2]
    assert _searched(book, name="XRP", market=a_market(), rows={"BTC": {"spread_fraction": "0.5"}}, issuers=issuers(), **dear) == [2]


def _slipped(policy):
    market, portfolio, rules = _slipped_account(policy)
    rates = margin_rates(rules, portfolio.mode)
    return best_required(portfolio_arrays(portfolio, market), market, rates, haircut_rates(rules)), rates


def _slipped_account(policy):
    rows = [a_haircut_row("USD"), a_haircut_row("STABLE", residual="0.02", flat="0.95", share_limit="0.2")]
    depeg = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95"}
    market = replace(a_market(usdc=0.97), issuer_leg_pnl=MARKET.issuer_leg_pnl)
    portfolio = a_portfolio({"USD": 100, "USDC": 100}, policies={"USDC": policy})
    return market, portfolio, parameters(depeg=depeg, beside={"haircut_schedule": rows})


def _searched(book, *, name="BTC", market=MARKET, **rules):
    rates, schedule = _rules(name=name, **rules)
    arrays = portfolio_arrays(a_portfolio(book, policies={name: AUTO}), market)
    held = held_assets(arrays, market, schedule, ineligible_holdings(arrays, market, rates.charges))
    required = required_of(split_collateral(held, arrays, np.full(len(book), 0.5)), arrays, market, rates)
    return worth_a_search(required.split, held, arrays, market, rates, slow=slow_groups([required])).tolist()


def _best(book, *, policy, **rules):
    rates, schedule = _rules(**rules)
    arrays = portfolio_arrays(a_portfolio(book, policies={"BTC": policy}), MARKET)
    return best_required(arrays, MARKET, rates, schedule), rates


def _rules(*, name="BTC", tiers=None, rows=None, basis=None, issuers=None, **terms):
    bands = {"bands": [{"up_to_years": None, "tiers": tiers}]} if tiers else {"flat": "0.2"}
    charges = {key: value for key, value in {"rows": rows, "basis": basis, "issuers": issuers}.items() if value is not None}
    collateral_class = "ALT" if name == "XRP" else name
    rules = parameters(**charges, beside={"haircut_schedule": [a_haircut_row("USD"), a_haircut_row(collateral_class, **(bands | terms))]})
    return margin_rates(rules, a_portfolio({}).mode), haircut_rates(rules)
