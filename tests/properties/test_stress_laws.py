"""Laws of stress that hold for any book and any move."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.stress import StressKind
from crossmargin.engine.stress import outcome_of, prepared, stressed_block
from crossmargin.engine.stress_library import StressScenario
from tests.unit.engine.stressed_books import INSTRUMENTS, SCENARIOS, a_book, a_market, a_run, an_account

CONTRACTS = ("PERP-LINEAR-USD", "PERP-INVERSE", "FUTURE-LINEAR-EUR", "EURUSD", "SWAP-USD", "CALL-CASH", "PUT-COIN-ETH", "OIL-FRONT")
CENT = Decimal("0.01")
HELD = {*CONTRACTS, "USD", "EUR", "BTC", "ETH"}
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in HELD])

quantities = st.decimals(-50, 50, places=2).filter(bool)
contracts = st.dictionaries(st.sampled_from(CONTRACTS), quantities, min_size=1, max_size=5)
moves = st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).normal(size=len(SCENARIOS.factors)) * np.abs(SCENARIOS.shocks).mean(axis=0)
)
dollars = st.integers(0, 3_000_000)


@settings(max_examples=10, deadline=None)
@given(contracts, dollars, moves)
def test_dollars_and_contracts_gain_what_equity_gains_and_groups_and_positions_add_up_to_it(held, cash, move):
    scenario = StressScenario("move", StressKind.AD_HOC, move)
    run = a_run(MARKET, scenario)
    block = stressed_block(run, (0, prepared(run, [a_book({"USD": cash, **held})])))
    (stress,) = block.accounts
    # Both equities are rounded down, and so is the profit: a cent each.
    assert abs(stress.after.equity - stress.before.equity - stress.pnl) <= 2 * CENT
    outcome = outcome_of(scenario, [block], account_count=1, position_count=99)
    assert sum((one.pnl for one in outcome.groups), Decimal(0)) == stress.pnl
    assert sum((one.pnl for one in outcome.positions), Decimal(0)) == stress.pnl


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(contracts, dollars), min_size=2, max_size=6), moves, st.data())
def test_it_does_not_matter_how_accounts_are_cut_into_blocks(books, move, data):
    scenario = StressScenario("move", StressKind.AD_HOC, move)
    run = a_run(MARKET, scenario)
    accounts = prepared(
        run, [replace(a_book({"USD": cash, **held}), account=an_account(f"a{place}")) for place, (held, cash) in enumerate(books)]
    )
    cut = data.draw(st.integers(1, len(accounts) - 1))
    whole = stressed_block(run, (0, accounts))
    parts = [stressed_block(run, (0, part)) for part in (accounts[:cut], accounts[cut:])]
    assert whole.accounts == parts[0].accounts + parts[1].accounts
    one, other = (outcome_of(scenario, blocks, account_count=99, position_count=0) for blocks in ([whole], parts))
    assert (one.pnl, one.broker_loss, one.bands_after, one.accounts) == (other.pnl, other.broker_loss, other.bands_after, other.accounts)


@settings(max_examples=10, deadline=None)
@given(contracts, dollars, st.sampled_from(AccountMode))
def test_nothing_diversified_never_needs_less(held, cash, mode):
    scenario = StressScenario("none", StressKind.NO_DIVERSIFICATION, None)
    run = a_run(MARKET, scenario)
    (stress,) = stressed_block(run, (0, prepared(run, [a_book({"USD": cash, **held}, mode=mode)]))).accounts
    assert stress.after.maintenance_margin >= stress.before.maintenance_margin
    assert stress.after.equity == stress.before.equity


@settings(max_examples=10, deadline=None)
@given(contracts, dollars)
def test_a_move_of_nothing_changes_nothing(held, cash):
    run = a_run(MARKET, StressScenario("still", StressKind.AD_HOC, np.zeros(len(SCENARIOS.factors))))
    (stress,) = stressed_block(run, (0, prepared(run, [a_book({"USD": cash, **held})]))).accounts
    assert stress.pnl == 0
    assert stress.after.equity == stress.before.equity
    assert abs(stress.after.maintenance_margin - stress.before.maintenance_margin) <= CENT
