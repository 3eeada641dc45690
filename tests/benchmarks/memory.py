"""How much memory a full run of a large house takes at its peak, in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Final

from crossmargin.engine.hot_account import hot_account
from crossmargin.engine.house_view import house_view
from crossmargin.engine.portfolio_margin import compute_margin
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house

ACCOUNTS, QUICK_ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 10_000, 500, 200, 8_000, 1_504
HOT_POSITIONS, HOT_SCENARIOS = (5, 20, 200, 2_000), 1_000
_GIB: Final = 2**30
_KIB_OF_MAXRSS: Final = 1 if sys.platform == "darwin" else 1024


def run(plan: Plan) -> list[Measured]:
    """Return the row of the largest resident set."""
    accounts = QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS
    say(f"memory: a house of {accounts:,} accounts")
    said = subprocess.run([sys.executable, "-m", __name__, str(accounts)], check=True, capture_output=True, text=True).stdout
    note = "all portfolios and all results are held at once, as in a run of the house; without the service around it"
    path = f"memory, house {accounts:,} x {POSITIONS}, S = {SCENARIOS:,}, GiB"
    return [amount(path, "the peak of a process", Goal(Ratio.AMOUNT, 2.0), [int(said) / _GIB], note), *_hot_accounts()]


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
    """Run a house as `run_house` does, everything kept until its end, and return the largest resident set of this process."""
    parameters, market = parameters_of_the_house(), a_market(INSTRUMENTS, SCENARIOS)
    portfolios = [an_account(seed, POSITIONS, market) for seed in range(accounts)]
    view = house_view(portfolios, market, parameters)
    results = [compute_margin(portfolio, market, parameters) for portfolio in portfolios]
    if len(results) != accounts or view is None:
        raise RuntimeError(f"{len(results)} of {accounts} accounts were margined")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB_OF_MAXRSS


if __name__ == "__main__":
    sys.stdout.write(str(_peak_bytes(int(sys.argv[1]))))
