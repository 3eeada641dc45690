"""What makes an explanation fast changes none of its numbers: each shortcut against the slow way round."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine import scenario_diagnostics
from crossmargin.engine.collateral_search import best_required
from crossmargin.engine.margin_bridges import equity_in_cents
from crossmargin.engine.moved_account import MovedAccount, headroom_of, maintenance_in_cents
from crossmargin.engine.netting import stacked
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.required_margin import level_weights
from crossmargin.engine.revaluation import moved_values, revalue_moved_market
from crossmargin.engine.scenario_diagnostics import requirement_interval
from crossmargin.engine.tail_mean import tail_means, tail_means_by_weights, tail_places, tail_weights
from tests.builders import a_portfolio
from tests.methodology_books import INSTRUMENTS, MARKET, PARAMETERS, SNAPSHOT

BOOK = {"USD": 30_000, "BTC": 2, "EUR": -1000, "PERP": (-1, -60_000), "CALL": -3, "INVERSE": (-100, "0.1666"), "BILL-4": 50_000}
quantities = st.decimals(-5, 5, places=2)


def figures(portfolio):
    arrays, rates = portfolio_arrays(portfolio, MARKET), margin_rates(PARAMETERS, portfolio.mode)
    return arrays, rates, haircut_rates(PARAMETERS)


@settings(max_examples=60)
@given(quantities, quantities, quantities, st.sampled_from(CollateralPolicy), st.sampled_from(AccountMode))
def test_cents_without_lines_are_the_cents_of_the_bridges(coins, contracts, options, policy, mode):
    book = BOOK | {"BTC": coins, "PERP": (contracts, contracts * 59_999), "CALL": options}
    portfolio = a_portfolio(book, policies={"BTC": policy, "BILL-4": policy}, mode=mode)
    arrays, rates, schedule = figures(portfolio)
    required, result = best_required(arrays, MARKET, rates, schedule), compute_margin(portfolio, MARKET, PARAMETERS)
    assert equity_in_cents(required.split) == result.equity.equity * 100
    assert maintenance_in_cents(required) == result.requirement.maintenance_margin * 100
    line = float(PARAMETERS.bands.liquidation)
    headroom = line * float(result.equity.equity) - float(result.requirement.maintenance_margin)
    is_gone = result.band.value == "liquidation"
    found = headroom_of(equity_in_cents(required.split), maintenance_in_cents(required), PARAMETERS.bands)
    assert (found <= 0) == is_gone
    assert found == pytest.approx(headroom, abs=0.005)


def test_the_figures_are_built_on_the_same_requirement():
    arrays, rates, schedule = figures(a_portfolio(BOOK))
    required, whole = best_required(arrays, MARKET, rates, schedule), margin_figures(arrays, MARKET, rates, schedule)
    assert required.market_requirement == whole.market_requirement
    assert required.charges.maintenance_margin == whole.charges.maintenance_margin


def test_headrooms_on_the_scenarios_kept_are_those_of_a_full_margin_once_looked_at_closely():
    portfolio = a_portfolio(BOOK)
    account = MovedAccount(portfolio, SNAPSHOT, MARKET, PARAMETERS)
    moves = 0.05 * np.random.default_rng(3).normal(size=(4, account.factor_count))
    account.look_closely(moves)
    markets = revalue_moved_market(INSTRUMENTS, SNAPSHOT, moves, MARKET.scenarios, PARAMETERS)
    for headroom, market in zip(account.headrooms(moves), markets, strict=True):
        result = compute_margin(portfolio, market, PARAMETERS)
        assert headroom == pytest.approx(float(result.excess_to_maintenance), abs=0.02)


def test_moved_values_are_those_of_moved_markets_bit_for_bit():
    moves = 0.05 * np.random.default_rng(4).normal(size=(3, len(MARKET.scenarios.factors)))
    ordered = sorted(INSTRUMENTS, key=lambda instrument: instrument.instrument_id)
    units, settlements = moved_values(INSTRUMENTS, SNAPSHOT, moves, MARKET.scenarios, PARAMETERS)
    markets = revalue_moved_market(INSTRUMENTS, SNAPSHOT, moves, MARKET.scenarios, PARAMETERS)
    for place, market in enumerate(markets):
        assert [instrument.instrument_id for instrument in ordered] == [each.instrument_id for each in market.instruments]
        assert units[:, place].tolist() == market.unit_value.tolist()
        assert settlements[:, place].tolist() == market.settlement_price.tolist()


def test_several_moves_at_once_are_each_move_alone_bit_for_bit():
    moves = 0.05 * np.random.default_rng(5).normal(size=(3, len(MARKET.scenarios.factors)))
    together = revalue_moved_market(INSTRUMENTS, SNAPSHOT, moves, MARKET.scenarios, PARAMETERS)
    for move, market in zip(moves, together, strict=True):
        (alone,) = revalue_moved_market(INSTRUMENTS, SNAPSHOT, move[np.newaxis], MARKET.scenarios, PARAMETERS)
        assert alone.leg_pnl.tolist() == market.leg_pnl.tolist()
        assert alone.leg_exposure.tolist() == market.leg_exposure.tolist()


@given(st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_tail_means_of_many_weightings_are_the_tail_mean_of_each(seed, alpha):
    random = np.random.default_rng(seed)
    pnl = random.integers(-20, 20, size=(4, 30)).astype(float)
    weights = random.integers(0, 4, size=(5, 30)) + 0.0
    weights[:, 0] += 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    slow = np.array([tail_means(pnl, each, alpha) for each in weights])
    assert tail_means_by_weights(pnl, weights, alpha) == pytest.approx(slow, rel=1e-9, abs=1e-9)
    in_tail = tail_weights(pnl, weights[0], alpha)
    assert tail_places(pnl, weights[0], alpha).tolist() == np.flatnonzero(in_tail.any(axis=0)).tolist()


def test_the_interval_is_that_of_histories_strung_together_one_by_one():
    arrays, rates, schedule = figures(a_portfolio(BOOK))
    whole, scenarios = margin_figures(arrays, MARKET, rates, schedule), replace(MARKET.scenarios, ordinary_count=30)
    rows, random = stacked(whole.netted), np.random.default_rng(9)
    levels = level_weights(rates, len(whole.netted.groups), len(whole.netted.classes))
    slow = []
    for _ in range(scenario_diagnostics.REPLICATE_COUNT):
        drawn = np.append(scenario_diagnostics._drawn_again(30, 3, random), np.arange(30, 40))
        slow.append(float(tail_means(rows[:, drawn], scenarios.weights, rates.tail_fraction) @ levels))
    found = requirement_interval(whole, scenarios, rates, block_days=3, random=np.random.default_rng(9))
    assert [float(found.low), float(found.high)] == pytest.approx(np.quantile(slow, [0.05, 0.95]).tolist(), abs=0.011)
