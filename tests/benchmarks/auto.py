"""Policy AUTO: the split of 50 assets in 1,500 scenarios, over many random accounts, and how near it comes to its own bound."""

from __future__ import annotations

import time

from crossmargin.engine.collateral_choice import choices
from tests.benchmarks.auto_books import Shape, auto_book
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say

SHAPES = {
    "30 groups, 60% hedged": Shape(),
    "50 groups": Shape(group_count=50, class_count=6),
    "one group": Shape(group_count=1, class_count=1),
    "all hedged, all limited": Shape(hedged_fraction=1.0, limited_fraction=1.0),
}
BOOKS, QUICK_BOOKS, TIMES = 200, 20, 3


def run(plan: Plan) -> list[Measured]:
    """Return a row for each shape of account: processor milliseconds of one split, the best of a few times, over all accounts."""
    rows = []
    for name, shape in SHAPES.items():
        took, missing = [], []
        for seed in range(QUICK_BOOKS if plan.is_quick else BOOKS):
            say(f"AUTO / {name}: account {seed}")
            book = auto_book(seed, shape)
            took.append(min(_milliseconds(book.asked) for _ in range(TIMES)))
            best = choices(*book.asked)[0]
            missing.append((best.bound - best.excess) / abs(best.excess))
        note = f"slowest {max(took):.3g} ms; the excess may be up to {max(missing):.1e} below the best, by its own bound"
        rows.append(amount("AUTO, 50 assets x 1,500", name, Goal(Ratio.AMOUNT, 5.0), took, note))
    return rows


def _milliseconds(asked: tuple) -> float:
    started = time.thread_time()
    choices(*asked)
    return 1e3 * (time.thread_time() - started)
