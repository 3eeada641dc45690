"""A tick of the whole market: 3,206 instruments revalued in 500 scenarios, every time from another snapshot."""

from __future__ import annotations

import time
from typing import Final

from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation import prepared, revalue_market
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.ticks import instruments, parameters, scenario_set, snapshot

_GOAL_MS: Final = 45.0
"""A third of what it took before instruments were laid out once."""


def run(plan: Plan) -> list[Measured]:
    """Return a row for each kernels, with marks of all options and bonds and without."""
    return [_row(kernels, plan, is_marked=is_marked) for kernels in Kernels for is_marked in (True, False)]


def _row(kernels: Kernels, plan: Plan, *, is_marked: bool) -> Measured:
    known, scenarios, rules = prepared(instruments()), scenario_set(), parameters()
    took = []
    for tick in range(1 + 4 * plan.rounds):
        say(f"tick: {tick} of {4 * plan.rounds}")
        market = snapshot(tick, is_marked=is_marked)
        started = time.process_time()
        revalue_market(known, market, scenarios, rules, kernels=kernels)
        took.append(1e3 * (time.process_time() - started))
    name = f"a tick of {len(known.instruments):,} instruments x {len(scenarios.names)}, {kernels.value}, processor ms"
    note = f"one thread; options and bonds {'with' if is_marked else 'without'} marks; instruments laid out before"
    return amount(f"{name}{', marked' if is_marked else ''}", "the clock", Goal(Ratio.AMOUNT, _GOAL_MS), took[1:], note)
