"""How late the event loop of a service is while it margins a house, beside an idle one: what every caller waits for meanwhile."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.app.serving import SWITCH_INTERVAL_S
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.house_view import house_view
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.house_blocks import blocks_of
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import pin, unpin

ACCOUNTS, QUICK_ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 400, 100, 200, 2_000, 1_000
THREADS: Final = 2
_TICK_S: Final = 0.001


def run(plan: Plan) -> list[Measured]:
    """Return the row of the 99th percentile of a timer's lateness."""
    accounts = QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS
    parameters, market = parameters_of_the_house(), a_market(INSTRUMENTS, SCENARIOS)
    house = [an_account(seed, POSITIONS, market) for seed in range(accounts)]

    async def run_house(pool: ThreadComputePool) -> None:
        await pool.run(lambda: house_view(house, market, parameters))
        async for _ in pool.over_blocks((market, parameters), _margins, blocks_of(house)):
            pass

    async def rest(_: ThreadComputePool) -> None:
        await asyncio.sleep(1.0)

    unpin()
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    row = in_turn(
        f"event loop, 99th percentile of lateness, house run of {accounts:,} accounts",
        "idle",
        Goal(Ratio.COST, 2.0),
        ours=lambda: asyncio.run(_lateness(run_house)),
        theirs=lambda: asyncio.run(_lateness(rest)),
        plan=plan,
        note=f"a timer of {1e3 * _TICK_S:g} ms; computing threads: {THREADS}, one of them for blocks, on the cores that the loop has too",
    )
    sys.setswitchinterval(before)
    pin(0)
    return [row]


def _margins(at: tuple[RevaluedMarket, RiskParameters], house: Sequence[Portfolio]) -> list[MarginResult]:
    return [compute_margin(portfolio, *at) for portfolio in house]


async def _lateness(work) -> float:
    pool = ThreadComputePool(THREADS)
    late = []
    working = asyncio.ensure_future(work(pool))
    while not working.done():
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        late.append(time.perf_counter() - before - _TICK_S)
    await working
    pool.close()
    return max(sorted(late)[int(0.99 * len(late))], 1e-6)
