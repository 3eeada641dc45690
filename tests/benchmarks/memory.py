"""How much memory a full run of a large house takes at its peak, in a process of its own; for a look, from what smaller houses take."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from dataclasses import replace
from typing import Final

from prometheus_client import CollectorRegistry

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.packed_positions import packed
from crossmargin.domain.position import Position
from crossmargin.engine.hot_account import hot_account
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.margin_house import MarginHouse
from crossmargin.usecases.ports.books import PackedState
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.builders import AS_OF

ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 10_000, 200, 8_000, 1_504
QUICK_HOUSES: Final = (100, 400)
"""Accounts of the two houses that are run for a look: what one account more takes follows from them, and 10,000 take minutes."""
HOT_POSITIONS, HOT_SCENARIOS = (5, 20, 200, 2_000), 1_000
OF_AN_OWNER, THREADS = 5, 2
_MAIN: Final = BookId("main")
_GIB: Final = 2**30
_KIB_OF_MAXRSS: Final = 1 if sys.platform == "darwin" else 1024


def run(plan: Plan) -> list[Measured]:
    """Return the row of the largest resident set, and those of hot accounts."""
    path, ran = (
        f"memory, house {ACCOUNTS:,} x {POSITIONS}, S = {SCENARIOS:,}, GiB",
        "two runs at two markets: all accounts, the results of both",
    )
    if plan.is_quick:
        small, large = QUICK_HOUSES
        peaks = [_peak_of_a_process(accounts) for accounts in (small, large)]
        of_an_account = (peaks[1] - peaks[0]) / (large - small)
        peak = peaks[0] + of_an_account * (ACCOUNTS - small)
        ran = f"worked out from houses of {small:,} and {large:,} accounts, {of_an_account / 1024:.0f} KiB an account; {ran}"
    else:
        peak = _peak_of_a_process(ACCOUNTS)
    note = f"{ran}; owners of several accounts; without the service around it"
    return [amount(path, "the peak of a process", Goal(Ratio.AMOUNT, 2.0), [peak / _GIB], note), *_hot_accounts()]


def _peak_of_a_process(accounts: int) -> int:
    say(f"memory: a house of {accounts:,} accounts")
    return int(subprocess.run([sys.executable, "-m", __name__, str(accounts)], check=True, capture_output=True, text=True).stdout)


def _hot_accounts() -> list[Measured]:
    """Return the rows of what an account takes that is taken apart to be asked about again."""
    parameters, market, rows = parameters_of_the_house(), a_market(INSTRUMENTS, HOT_SCENARIOS), []
    for positions in HOT_POSITIONS:
        account = hot_account(an_account(1, positions, market), market, parameters)
        if account is None:
            raise RuntimeError("the account cannot be taken apart")
        groups, path = (
            account.groups,
            f"hot account of {positions:,} positions in {len(account.groups.groups)} groups, S = {HOT_SCENARIOS:,}, KiB",
        )
        profits = sum(each.byte_count for each in groups.profits.values()) + sum(each.nbytes for each in groups.class_pnl.values())
        note = f"{profits / 1024:,.0f} KiB of it profits by group and class, {account.byte_count / positions:,.0f} bytes a position in all"
        rows.append(amount(path, "16 KiB", Goal(Ratio.AMOUNT, 16.0), [account.byte_count / 1024], note))
    return rows


def _peak_bytes(accounts: int) -> int:
    """Run a house twice as the monitor does, and return the largest resident set of this process."""
    asyncio.run(_run_twice(accounts))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB_OF_MAXRSS


async def _run_twice(accounts: int) -> None:
    parameters, market = parameters_of_the_house(), a_market(INSTRUMENTS, SCENARIOS)
    states = _states(accounts, market)
    pool, board = ThreadComputePool(THREADS), MarginMetrics(CollectorRegistry())
    house = MarginHouse(pool, MemoryLeadership(MemoryDatabase()))
    for _ in range(2):
        # Another market each time, so that nothing of the run before may be used again while it is still published.
        view = MarketView(MarketSnapshot(AS_OF, {}, {}), replace(market), parameters, history_version=1)
        totals = await house.totals(states, view, epoch=0)
        if totals is None:
            raise RuntimeError("accounts could not be added up")
        results, failed = await house.margins(states, replace(view, house=totals), epoch=0)
        if len(results) != accounts or failed:
            raise RuntimeError(f"{len(results)} of {accounts} accounts were margined")
        board.publish_house(results, bands={}, failed={}, pegs={}, duration_s=0.0)
    pool.close()


def _states(accounts: int, market: RevaluedMarket) -> dict[AccountRef, PackedState]:
    """Return accounts as they are read, some of each owner."""
    found = {}
    for number in range(accounts):
        ref = AccountRef(ClientId(f"c{number // OF_AN_OWNER:06}"), AccountId(f"a{number:06}"))
        holdings = an_account(number, POSITIONS, market).holdings
        held = packed(Position(_MAIN, one.instrument_id, one.quantity, one.cost) for one in holdings)
        head = AccountHead(ref, AccountMode.CROSS, AccountStatus.OPEN, 1, b"")
        found[ref] = PackedState(Account(ref, "An account", AccountMode.CROSS), head, held)
    return found


if __name__ == "__main__":
    sys.stdout.write(str(_peak_bytes(int(sys.argv[1]))))
