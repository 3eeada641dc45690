"""The margin of whole accounts: large beside small, twice as much of anything beside once, two threads beside one, and memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

from crossmargin.domain.identifiers import BookId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, holdings_with
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.hot_account import hot_account
from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, Work, amount, compare, seconds
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import pin, unpin

ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 40, 200, 8_000, 1_000
PREVIEW_INSTRUMENTS = 20_001
SMALL, LARGE = 20, (2_000, 20_000)


def run(plan: Plan) -> list[Measured]:
    """Return all rows of whole margins."""
    parameters = parameters_of_the_house()
    market = a_market(INSTRUMENTS, SCENARIOS)
    house = [an_account(seed, POSITIONS, market) for seed in range(ACCOUNTS)]
    rows = [_per_account(house, market, parameters, plan)]
    rows += _doubled(house, market, parameters, plan)
    rows.append(_two_threads(house, market, parameters, plan))
    return rows + _what_ifs(parameters, plan)


def _margins(accounts: Sequence[Portfolio], market: RevaluedMarket, parameters: RiskParameters) -> None:
    for account in accounts:
        compute_margin(account, market, parameters)


def _per_account(house: list[Portfolio], market: RevaluedMarket, parameters: RiskParameters, plan: Plan) -> Measured:
    """Nobody's opponent: what the house run pays for each account today, explanation and all."""
    _margins(house, market, parameters)
    took = [1e3 * seconds(lambda: _margins(house, market, parameters)) / len(house) for _ in range(plan.rounds)]
    note = f"{POSITIONS} positions, S = {SCENARIOS}: the whole result with contributions; 10,000 accounts take 10 times as many seconds"
    return amount("margin of one account, ms", "the clock", Goal(Ratio.AMOUNT, 1.0), took, note)


def _doubled(house: list[Portfolio], market: RevaluedMarket, parameters: RiskParameters, plan: Plan) -> list[Measured]:
    goal, half = Goal(Ratio.COST, 2.15), house[: len(house) // 2]
    small = [an_account(seed, POSITIONS // 2, market) for seed in range(len(half))]
    coarse = a_market(INSTRUMENTS, SCENARIOS // 2)
    sides = {
        "accounts": ((house, market), (half, market)),
        "positions": ((half, market), (small, market)),
        "scenarios": ((half, market), (half, coarse)),
    }
    return [
        compare(
            f"twice the {what}",
            "half as many",
            goal,
            ours=lambda more=more: _margins(*more, parameters),
            theirs=lambda less=less: _margins(*less, parameters),
            plan=plan,
        )
        for what, (more, less) in sides.items()
    ]


def _two_threads(house: list[Portfolio], market: RevaluedMarket, parameters: RiskParameters, plan: Plan) -> Measured:
    halves = (house[::2], house[1::2])
    unpin()
    with ThreadPoolExecutor(2) as pool:
        measured = compare(
            "two threads, a house of margins",
            "one thread",
            Goal(Ratio.SPEED, 1.7),
            ours=lambda: list(pool.map(lambda half: _margins(half, market, parameters), halves)),
            theirs=lambda: _margins(house, market, parameters),
            plan=plan,
        )
    pin(0)
    return measured


def _what_ifs(parameters: RiskParameters, plan: Plan) -> list[Measured]:
    """A trade on top of an account that was asked about before, beside one that is margined whole, and of large books beside small ones."""
    market = a_market(PREVIEW_INSTRUMENTS, SCENARIOS)
    usual = an_account(1, POSITIONS, market)
    with_trade = replace(usual, holdings=holdings_with(usual.holdings, _a_trade(usual)))
    rows = [
        compare(
            f"what-if of a remembered account, {POSITIONS} positions",
            "the account with the trade margined whole",
            Goal(Ratio.SPEED, 25),
            ours=_what_if(usual, market, parameters),
            theirs=lambda: compute_brief(with_trade, market, parameters),
            plan=plan,
            clock=time.process_time,
        )
    ]
    small = _what_if(an_account(1, SMALL, market), market, parameters)
    for count in LARGE:
        large = _what_if(an_account(1, count, market), market, parameters)
        path, against = f"what-if of a remembered account, {count:,} positions", f"{SMALL} positions"
        rows.append(compare(path, against, Goal(Ratio.COST, 1.05), ours=large, theirs=small, plan=plan, clock=time.process_time))
    return rows


def _what_if(account: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> Work:
    """Return what margins an account with a trade on top that has been taken apart before."""
    remembered, wanted = hot_account(account, market, parameters), _a_trade(account)
    if remembered is None:
        raise RuntimeError("the account cannot be taken apart")
    return lambda: remembered.margin_with(wanted)


def _a_trade(account: Portfolio) -> list[Position]:
    return [Position(BookId("main"), account.holdings[0].instrument_id, Decimal(3), Decimal(300))]
