"""A house stressed over many scenarios: processor time for an account, memory at the peak, and how soon a cancelled run is over."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.instrument import DatedFuture, Instrument, Payoff, Perpetual
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.position import Position
from crossmargin.domain.stress import AdHocScenario, ScenarioOutcome, StressProgress, StressShock
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.ports.books import AccountState, BookReader
from crossmargin.usecases.run_stress import RunStress, StressRequest
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.houses import GROUPS, parameters_of_the_house
from tests.builders import AS_OF, cash, coin

ACCOUNTS, POSITIONS, SCENARIOS, QUICK_SCENARIOS = 2_000, 200, 100, 3
HISTORY: Final = 1_504
CANCELS: Final = 5
_GIB: Final = 2**30
_KIB_OF_MAXRSS: Final = 1 if sys.platform == "darwin" else 1024
_MAIN: Final = BookId("main")


def run(plan: Plan) -> list[Measured]:
    """Return the rows of a run of the whole house, in a process of its own."""
    scenarios = QUICK_SCENARIOS if plan.is_quick else SCENARIOS
    say(f"stress: {ACCOUNTS:,} accounts x {POSITIONS} positions over {scenarios} scenarios")
    said = subprocess.run([sys.executable, "-m", __name__, str(scenarios)], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(said)
    path = f"stress, {ACCOUNTS:,} x {POSITIONS}, {scenarios} scenarios"
    return [
        amount(f"{path}, GiB", "the peak of a process", Goal(Ratio.AMOUNT, 2.0), [found["peak_gib"]], _memory_note(found)),
        amount(f"{path}, ms of processor", "an account in a scenario", Goal(Ratio.AMOUNT, 5.0), [found["account_ms"]]),
        amount("stress, a cancelled run is over, ms", "the clock", Goal(Ratio.AMOUNT, 1_000.0), found["cancel_ms"]),
    ]


def _memory_note(found: Mapping[str, Any]) -> str:
    first, last = found["gib_by_scenario"][0], found["gib_by_scenario"][-1]
    return f"{first:.2f} GiB after the first scenario, {last:.2f} after the last: it grows with the house and not with the scenarios"


@dataclass(frozen=True, slots=True)
class _Books:
    """A house made from a seed whenever it is asked for, so that what it weighs is what the run keeps of it."""

    names: Sequence[InstrumentId]
    accounts: Sequence[AccountRef]

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return every account."""
        return dict.fromkeys(self.accounts, 1)

    async def account_states(self, refs: Sequence[AccountRef]) -> Sequence[AccountState]:
        """Return some accounts."""
        return [self._state(ref) for ref in refs]

    def _state(self, ref: AccountRef) -> AccountState:
        random = np.random.default_rng(int(ref.account_id.removeprefix("a")))
        rows = random.choice(len(self.names), POSITIONS, replace=False)
        units = random.normal(0, 10, POSITIONS)
        held = [
            Position(_MAIN, self.names[row], Decimal(f"{size:.3f}"), Decimal(f"{100 * size:.1f}"))
            for row, size in zip(rows.tolist(), units.tolist(), strict=True)
        ]
        dollars = Position(_MAIN, InstrumentId("USD"), Decimal(1_000_000))
        head = AccountHead(ref, AccountMode.CROSS, AccountStatus.OPEN, 1, b"")
        return AccountState(Account(ref, "An account", AccountMode.CROSS), head, (*held, dollars))


@dataclass(frozen=True, slots=True)
class _Market:
    """The market of now, which stays."""

    view: MarketView

    async def __call__(self) -> MarketView:
        """Return it."""
        return self.view


def _instruments() -> list[Instrument]:
    """Return a coin, a perpetual and three dated futures of each offset group."""
    found = [cash("USD")]
    for group in range(GROUPS):
        name = InstrumentId(f"G{group:02}")
        found.append(coin(name, collateral_class=None))
        found.append(Instrument(InstrumentId(f"{name}-PERP"), Perpetual(name, InstrumentId("USD"), Decimal(1), Payoff.LINEAR), 3))
        for month in (6, 9, 12):
            expiry = AS_OF.replace(month=month)
            terms = DatedFuture(name, InstrumentId("USD"), Decimal(1), Payoff.LINEAR, expiry)
            found.append(Instrument(InstrumentId(f"{name}-{month:02}"), terms, 3))
    return found


def _view() -> MarketView:
    instruments, parameters = _instruments(), parameters_of_the_house()
    spots = {FactorId.parse(f"spot:G{group:02}"): Decimal(100) for group in range(GROUPS)}
    marks = {each.instrument_id: Decimal(101) for each in instruments if not each.is_asset}
    snapshot = MarketSnapshot(AS_OF, spots | {FactorId.parse("zero:USD:1Y"): Decimal("0.04")}, marks)
    factors = tuple(sorted(snapshot.levels))
    shocks = 0.03 * np.random.default_rng(1).standard_t(4, (HISTORY, len(factors)))
    shocks[:, [factor.kind_code == "zero" for factor in factors]] *= 0.1
    scenarios = ScenarioSet(
        factors=factors,
        shocks=shocks,
        weights=np.full(HISTORY, 1.0 / HISTORY),
        names=tuple(f"day {day}" for day in range(HISTORY)),
        ordinary_count=HISTORY,
        proxied={},
        unavailable={},
    )
    return MarketView(snapshot, revalue_market(instruments, snapshot, scenarios, parameters), parameters, history_version=1)


def _scenarios(count: int) -> tuple[AdHocScenario, ...]:
    """Return moves of all groups at once, another size for each."""
    random = np.random.default_rng(2)
    return tuple(
        AdHocScenario(
            f"move {place}",
            tuple(
                StressShock(Decimal(f"{max(-0.9, random.normal(0, 0.2)):.4f}"), factor=FactorId.parse(f"spot:G{group:02}"))
                for group in range(GROUPS)
            ),
            both_directions=False,
        )
        for place in range(count)
    )


async def _measured(scenario_count: int) -> dict[str, Any]:
    """Run the house with a progress bar, and then cut some runs short; return what both took."""
    view = _view()
    names = [each.instrument_id for each in view.market.instruments if not each.is_asset]
    books = _Books(names, [AccountRef(ClientId("house"), AccountId(f"a{place}")) for place in range(ACCOUNTS)])
    pool = ThreadComputePool()
    stress = RunStress(cast("BookReader", books), cast("CurrentMarket", _Market(view)), pool)
    request = StressRequest(ad_hoc=_scenarios(scenario_count))
    gib, began = [], time.process_time()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("stress", total=None)
        async for result in stress(request):
            if isinstance(result, StressProgress):
                bar.update(task, completed=result.done, total=result.total)
            elif isinstance(result, ScenarioOutcome):
                gib.append(_peak_gib())
    took_ms = 1e3 * (time.process_time() - began)
    cancels = [await _cancelled(stress, request, pool, after=5 + 3 * place) for place in range(CANCELS)]
    pool.close()
    return {
        "peak_gib": _peak_gib(),
        "gib_by_scenario": gib,
        "account_ms": took_ms / (ACCOUNTS * (1 + scenario_count)),
        "cancel_ms": cancels,
    }


async def _cancelled(stress: RunStress, request: StressRequest, pool: ThreadComputePool, *, after: int) -> float:
    """Stop reading a run after some of its blocks; return how many milliseconds later the pool takes the work of others."""
    seen = 0
    async with aclosing(stress(request)) as results:
        async for _ in results:
            seen += 1
            if seen == after:
                break
        began = time.perf_counter()
    await pool.run(lambda: None)
    return 1e3 * (time.perf_counter() - began)


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB_OF_MAXRSS / _GIB


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_measured(int(sys.argv[1])))))
