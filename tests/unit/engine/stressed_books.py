"""Books to stress, liquidate and let fall: every kind of instrument over a small market, with charges that cost something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from crossmargin.engine.stress import StressRun, prepared, stressed_block
from crossmargin.engine.stress_library import StressScenario
from tests.builders import a_haircut_row, a_portfolio, charges_document
from tests.unit.engine.revaluation.markets import GROUPS, MARKS, a_snapshot, one_of_each_kind, parameters, random_scenarios

ROWS = {
    "BTC": {"spread_fraction": "0.0004", "average_daily_volume": "15000000000"},
    "ETH": {"spread_fraction": "0.001", "average_daily_volume": "8000000000"},
    "USDC": {"spread_fraction": "0.0002", "average_daily_volume": "5000000000"},
    "EUR": {"spread_fraction": "0.0001", "average_daily_volume": "200000000000"},
    "GBP": {"spread_fraction": "0.0001", "average_daily_volume": "80000000000"},
    "USD-RATES": {"spread_fraction": "0.0001", "average_daily_volume": "100000000000"},
}
RULES = parameters(
    tail_fraction="0.1",
    haircut_schedule=[
        a_haircut_row("USD"),
        a_haircut_row("BTC", residual="0.02", flat="0.2"),
        a_haircut_row("ETH", residual="0.03", flat="0.25"),
    ],
    charges=charges_document(GROUPS, rows=ROWS, basis={"perpetual_fraction": "0.01", "dated_fraction": "0.015"}),
)
SNAPSHOT = a_snapshot(marks=MARKS)
SCENARIOS = random_scenarios(SNAPSHOT, 200, 7)
COLLATERAL = {"BTC", "ETH"}
INSTRUMENTS = tuple(
    replace(each, collateral_class=each.instrument_id) if each.instrument_id in COLLATERAL else each for each in one_of_each_kind()
)


def a_market(snapshot=SNAPSHOT, scenarios=SCENARIOS, instruments=INSTRUMENTS, rules=RULES) -> RevaluedMarket:
    return revalue_market(instruments, snapshot, scenarios, rules)


MARKET = a_market()


def an_account(name: str, client: str = "alpha") -> AccountRef:
    return AccountRef(ClientId(client), AccountId(name))


def a_move(**moves: float) -> np.ndarray:
    """A move of factors by kind_NAME or kind_NAME_TENOR, as log-returns and differences."""
    named = {name.replace("_", ":"): size for name, size in moves.items()}
    unknown = named.keys() - {str(factor) for factor in SCENARIOS.factors}
    assert not unknown, unknown
    return np.array([named.get(str(factor), 0.0) for factor in SCENARIOS.factors])


def a_run(market: RevaluedMarket, *scenarios: StressScenario, rules=RULES) -> StressRun:
    return StressRun(market, rules, scenarios)


def stress_of(run: StressRun, portfolio: Portfolio, place: int = 0):
    """One account in one scenario of a run."""
    (account,) = prepared(run, [portfolio])
    block = stressed_block(run, (place, [account]))
    assert not block.failures, block.failures
    return block.accounts[0], block


def a_book(held: Mapping[str, object], **options: object) -> Portfolio:
    return a_portfolio(held, **options)
