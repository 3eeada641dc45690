"""The margin of whole accounts: large beside small, twice as much of anything beside once, two threads beside one, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, compare, seconds
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import pin, unpin

ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 40, 200, 8_000, 1_000
PREVIEW_INSTRUMENTS = 20_001


def run(plan: Plan) -> list[Measured]:
    """Return all rows of whole margins."""
    parameters = parameters_of_the_house()
    market = a_market(INSTRUMENTS, SCENARIOS)
    house = [an_account(seed, POSITIONS, market) for seed in range(ACCOUNTS)]
    rows = [_per_account(house, market, parameters, plan)]
    rows += _doubled(house, market, parameters, plan)
    rows.append(_two_threads(house, market, parameters, plan))
    if not plan.is_quick:
        rows.append(_large_account(parameters, plan))
    return rows


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


def _large_account(parameters: RiskParameters, plan: Plan) -> Measured:
    """A preview margins the account as it is and with the trade; nothing of the book is remembered from one to the next."""
    market = a_market(PREVIEW_INSTRUMENTS, SCENARIOS // 2)
    large, small = an_account(1, 20_000, market), an_account(1, 20, market)
    return compare(
        "preview on 20,000 positions, engine part",
        "on 20 positions",
        Goal(Ratio.COST, 1.05),
        ours=lambda: _margins([large, large], market, parameters),
        theirs=lambda: _margins([small, small], market, parameters),
        plan=plan,
    )
