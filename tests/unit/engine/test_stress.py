"""Accounts after a move: the margin that they would be told there, and profits that add up."""

from __future__ import annotations

import pickle
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.margin import Band
from crossmargin.domain.market import LOG_KINDS, MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.stress import StressKind
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.stress import StressRun, against_move, outcome_of, own_market, prepared, stressed_block, stressed_by_own_move
from crossmargin.engine.stress_library import StressScenario
from tests.unit.engine.stressed_books import (
    COLLATERAL,
    INSTRUMENTS,
    MARKET,
    RULES,
    SCENARIOS,
    SNAPSHOT,
    a_book,
    a_move,
    a_run,
    an_account,
    stress_of,
)

MIXED = {
    "USD": -150_000,
    "BTC": 6,
    "ETH": 20,
    "PERP-LINEAR-USD": (-4, "-240000"),
    "CALL-CASH": -1,
    "BOND-USD": 2_000,
    "EURUSD": 100_000,
    "SWAP-USD": 500_000,
}
CRASH = StressScenario(
    "crash", StressKind.AD_HOC, a_move(spot_BTC=-0.4, spot_ETH=-0.5, vol_BTC_1M=0.6, vol_BTC_6M=0.6, zero_USD_1Y=0.01, fx_EUR=-0.05)
)
RALLY = StressScenario("rally", StressKind.AD_HOC, a_move(spot_BTC=0.3, spot_ETH=0.2))


def unmarked(snapshot=SNAPSHOT) -> MarketSnapshot:
    return MarketSnapshot(snapshot.as_of, snapshot.levels, {})


def moved_levels(snapshot: MarketSnapshot, move: np.ndarray) -> MarketSnapshot:
    sizes = dict(zip(SCENARIOS.factors, move.tolist(), strict=True))
    levels = {
        factor: Decimal(f"{float(level) * np.exp(sizes[factor]) if factor.kind in LOG_KINDS else float(level) + sizes[factor]:.15f}")
        for factor, level in snapshot.levels.items()
    }
    return MarketSnapshot(snapshot.as_of, levels, {})


@pytest.mark.parametrize("methodology", [each for each in Methodology if each is not Methodology.STANDARD_SCHEDULE])
def test_an_account_stands_after_a_move_as_its_margin_says_of_a_market_that_is_there(methodology):
    """Without marks the moved market is a snapshot of its own, and the margin of that snapshot is an independent answer."""
    market = revalue_market(INSTRUMENTS, unmarked(), SCENARIOS, RULES)
    portfolio = replace(a_book(MIXED), methodology=methodology)
    stress, _ = stress_of(a_run(market, CRASH), portfolio)
    there = revalue_market(INSTRUMENTS, moved_levels(unmarked(), CRASH.move), SCENARIOS, RULES)
    expected = compute(portfolio, replace(there, snapshot=there.snapshot), RULES)
    assert float(stress.after.equity) == pytest.approx(float(expected.equity.equity), abs=0.02)
    assert float(stress.after.maintenance_margin) == pytest.approx(float(expected.requirement.maintenance_margin), abs=0.05)
    assert stress.after.band is expected.band
    assert stress.before.equity == compute(portfolio, market, RULES).equity.equity


def test_at_rest_an_account_stands_as_its_margin_says_to_the_cent():
    portfolio = a_book(MIXED)
    stress, _ = stress_of(a_run(MARKET, CRASH), portfolio)
    margin = compute_margin(portfolio, MARKET, RULES)
    assert (stress.before.equity, stress.before.maintenance_margin) == (margin.equity.equity, margin.requirement.maintenance_margin)
    assert (stress.before.utilization, stress.before.band) == (margin.utilization, margin.band)


def test_a_scenario_of_the_margin_costs_what_the_margin_says_of_it():
    """Of a book without collateral but dollars nothing is left out of the scenarios."""
    portfolio = a_book({name: held for name, held in MIXED.items() if name not in COLLATERAL | {"BOND-USD"}})
    arrays = portfolio_arrays(portfolio, MARKET, RULES.default_policy)
    figures = margin_figures(arrays, MARKET, margin_rates(RULES, AccountMode.CROSS), haircut_rates(RULES))
    for place in (0, 17, 101):
        stress, _ = stress_of(a_run(MARKET, StressScenario("one", StressKind.EVENT, SCENARIOS.shocks[place])), portfolio)
        assert float(stress.pnl) == pytest.approx(float(figures.netted.account_pnl[place]), abs=0.02)


def test_groups_and_positions_each_add_up_to_the_profit():
    stress, block = stress_of(a_run(MARKET, CRASH), a_book(MIXED))
    outcome = outcome_of(CRASH, [block], account_count=1, position_count=100)
    assert outcome.pnl == stress.pnl
    assert sum(one.pnl for one in outcome.groups) == stress.pnl
    assert sum(one.pnl for one in outcome.positions) == stress.pnl
    assert {one.instrument_id for one in outcome.positions} == set(MIXED) - {"USD"}
    assert {"BTC", "ETH", "EUR", "USD-RATES"} <= {one.group_id for one in outcome.groups}


def test_only_the_positions_and_accounts_asked_for_are_named_and_all_of_them_count():
    run = a_run(MARKET, CRASH)
    books = [replace(a_book({"USD": 10_000, "BTC": size}), account=an_account(f"a{size}")) for size in (1, 5, 3)]
    block = stressed_block(run, (0, prepared(run, books)))
    outcome = outcome_of(CRASH, [block], account_count=1, position_count=1)
    assert outcome.account_count == 3
    least = min(block.accounts, key=lambda one: one.after.equity - one.after.maintenance_margin)
    assert outcome.accounts == (least,)
    assert outcome.pnl == sum(one.pnl for one in block.accounts)
    assert sum(outcome.bands_before) == sum(outcome.bands_after) == 3


def test_the_broker_loses_what_is_owed_beyond_everything_and_nothing_of_one_account_pays_for_another():
    run = a_run(MARKET, CRASH)
    ruined = replace(a_book({"USD": 20_000, "PERP-LINEAR-USD": (10, "601200")}), account=an_account("ruined"))
    rich = replace(a_book({"USD": 5_000_000}), account=an_account("rich"))
    block = stressed_block(run, (0, prepared(run, [ruined, rich])))
    outcome = outcome_of(CRASH, [block], account_count=2, position_count=0)
    first, second = outcome.accounts
    assert (first.account.account_id, second.account.account_id) == ("ruined", "rich")
    assert first.after.equity < 0 == second.broker_loss
    assert outcome.broker_loss == -first.after.equity
    assert first.after.band is Band.LIQUIDATION
    assert outcome.fallen == (first.before.band is not Band.LIQUIDATION)


def test_an_account_without_a_value_fails_alone():
    run = a_run(MARKET, CRASH)
    stranger = replace(a_book({"UNHEARD": 1}), account=an_account("stranger"))
    lost, fine = prepared(run, [stranger, a_book(MIXED)])
    assert "UNHEARD" in lost.message
    assert fine.before.equity > 0


def test_without_diversification_every_group_is_required_in_full_and_the_market_stands_still():
    scenario = StressScenario("none", StressKind.NO_DIVERSIFICATION, None)
    for mode in AccountMode:
        portfolio = a_book(MIXED, mode=mode)
        stress, block = stress_of(a_run(MARKET, scenario), portfolio)
        margin = compute_margin(portfolio, MARKET, RULES)
        groups = sum(group.requirement for group in margin.groups)
        charges = sum((charge.amount for charge in margin.requirement.charges), Decimal(0))
        assert stress.after.equity == stress.before.equity == margin.equity.equity
        assert stress.pnl == 0
        assert stress.after.maintenance_margin >= stress.before.maintenance_margin
        assert float(stress.after.maintenance_margin - charges) == pytest.approx(float(groups), abs=0.2)
        assert outcome_of(scenario, [block], account_count=1, position_count=9).positions == ()


def test_all_groups_move_against_the_account_each_by_at_least_its_own_tail():
    portfolio = a_book({"USD": 400_000, "PERP-LINEAR-USD": (5, "300600"), "ETH": -30, "BOND-USD": 1_000})
    scenario = StressScenario("all", StressKind.ALL_AGAINST, None)
    stress, block = stress_of(a_run(MARKET, scenario), portfolio)
    groups = {group.group_id: group.requirement for group in compute_margin(portfolio, MARKET, RULES).groups}
    losses = {one.group_id: -one.pnl for one in outcome_of(scenario, [block], account_count=1, position_count=0).groups}
    for group, requirement in groups.items():
        assert losses[group] >= requirement - Decimal("0.02"), group
    assert -stress.pnl >= sum(groups.values()) - Decimal("0.1")


def test_a_group_that_loses_both_ways_moves_one_way():
    """Short of a straddle: the mean of its tail is hardly a move, and losing it is not."""
    portfolio = a_book({"USD": 1_000_000, "CALL-CASH": -1, "PERP-LINEAR-USD": ("6", "360720")})
    move = against_move(portfolio, MARKET, RULES)
    assert abs(move[SCENARIOS.factors.index(next(each for each in SCENARIOS.factors if str(each) == "spot:BTC"))]) > 0.02


def test_the_same_move_alone_and_in_a_run_says_the_same():
    run = a_run(MARKET, RALLY, CRASH)
    (account,) = prepared(run, [a_book(MIXED)])
    alone = stressed_by_own_move(account, MARKET, RULES, CRASH.move)
    shared, _ = stress_of(run, a_book(MIXED), place=1)
    assert (alone.before, alone.after, alone.pnl) == (shared.before, shared.after, shared.pnl)
    assert sum(one.pnl for one in alone.positions) == alone.pnl


def test_a_run_that_went_through_another_process_says_the_same_bit_for_bit():
    run = a_run(MARKET, RALLY, CRASH)
    there = pickle.loads(pickle.dumps(run))  # noqa: S301 - our own bytes
    assert isinstance(there, StressRun)
    for place in (1, 0):
        one, other = (stress_of(each, a_book(MIXED), place) for each in (run, there))
        assert one[0] == other[0]
        assert one[1].profits.positions == other[1].profits.positions


def test_no_more_than_two_moved_markets_are_kept():
    run = a_run(own_market(a_book({"USD": 1, "BTC": 1}), MARKET), *[replace(CRASH, name=str(each)) for each in range(5)])
    for place in range(5):
        run.moved(place)
    assert run.moved(4) is run.moved(4)
    assert len(run._moved) == 2
