"""How two ways of doing the same work are timed beside each other, and what is said of it."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum, unique
from pathlib import Path
from typing import Final

Work = Callable[[], object]
Clock = Callable[[], float]
Measure = Callable[[], float]

_LEAST_S: Final = 0.02
"""What one timing takes at least: shorter work is repeated."""


@unique
class Ratio(Enum):
    """What is compared with the goal. The larger SPEED is, the better; the smaller COST is, the better."""

    SPEED = "their time / our time"
    COST = "our time / their time"
    AMOUNT = "an amount of our own"


@dataclass(frozen=True)
class Goal:
    """At least so much of a speed, at most so much of a cost or an amount."""

    ratio: Ratio
    value: float

    def met_by(self, measured: float) -> bool:
        """Return whether a measured ratio or amount reaches the goal."""
        return measured >= self.value if self.ratio is Ratio.SPEED else measured <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.ratio is Ratio.SPEED else '<='} {self.value:g}"


@dataclass(frozen=True)
class Measured:
    """One row of the table.

    Attributes:
        path: What is timed. against: The opponent, and what of it.
        goal: As written. measured: Median over the rounds. low, high: Quartiles. met: Whether the median reaches the goal.
        ours_ms, theirs_ms: Medians; of an amount, the amount and nothing. rounds: How many. note: What a reader has to know.
    """

    path: str
    against: str
    goal: str
    measured: float
    low: float
    high: float
    met: bool
    ours_ms: float
    theirs_ms: float
    rounds: int
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """How thorough a run is."""

    rounds: int
    is_quick: bool

    @staticmethod
    def of(*, quick: bool) -> Plan:
        """Return few rounds for a quick look, and enough for a median otherwise."""
        return Plan(rounds=3 if quick else 9, is_quick=quick)


def compare(
    path: str, against: str, goal: Goal, *, ours: Work, theirs: Work, plan: Plan, note: str = "", clock: Clock = time.perf_counter
) -> Measured:
    """Time both sides in turn, round after round, and return the median and quartiles of the rounds' ratios.

    Each side goes first in every other round, so that neither always finds the caches of the other. The first round is not counted.
    """
    return in_turn(path, against, goal, ours=lambda: seconds(ours, clock), theirs=lambda: seconds(theirs, clock), plan=plan, note=note)


def in_turn(path: str, against: str, goal: Goal, *, ours: Measure, theirs: Measure, plan: Plan, note: str = "") -> Measured:
    """Take both sides' own measure of themselves in turn, as `compare` does: seconds of one piece of work."""
    ratios, pairs = [], []
    for place in range(plan.rounds + 1):
        say(f"{path} / {against}: round {place} of {plan.rounds}")
        if place % 2:
            own, other = ours(), theirs()
        else:
            other, own = theirs(), ours()
        if place:
            ratios.append(other / own if goal.ratio is Ratio.SPEED else own / other)
            pairs.append((own, other))
    return summary((path, against), goal, ratios, pairs, note)


def median_of(work: Work, times: int, clock: Clock = time.perf_counter) -> float:
    """Return the median of how long each of so many pieces of work takes."""
    took = []
    for _ in range(times):
        began = clock()
        work()
        took.append(clock() - began)
    return statistics.median(took)


def summary(names: tuple[str, str], goal: Goal, ratios: Sequence[float], pairs: Sequence[tuple[float, float]], note: str) -> Measured:
    """Return the row that rounds make: the path and its opponent by name, `ratios` of each round, and seconds of both sides."""
    low, middle, high = quartiles(ratios)
    own, other = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
    return Measured(*names, str(goal), middle, low, high, goal.met_by(middle), own, other, len(ratios), note)


def amount(path: str, against: str, goal: Goal, values: Sequence[float], note: str = "") -> Measured:
    """Return the row of an amount: milliseconds, bytes or a share."""
    low, middle, high = quartiles(values)
    return Measured(path, against, str(goal), middle, low, high, goal.met_by(middle), middle, 0.0, len(values), note)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile, by linear interpolation.

    >>> quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def seconds(work: Work, clock: Clock = time.perf_counter) -> float:
    """Return how long work takes once, repeated until there is something to time."""
    started, count = clock(), 0
    while True:
        work()
        count += 1
        took = clock() - started
        if took >= _LEAST_S:
            return took / count


def say(text: str) -> None:
    """Show on the progress line, where there is one."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()


def table(rows: Sequence[Measured]) -> str:
    """Return the rows as a table: path, opponent, goal, measured with quartiles, met or not."""
    titles = ("path", "side by side with", "goal", "measured", "quartiles", "ours ms", "theirs ms", "met")
    lines = [titles] + [
        (
            row.path,
            row.against,
            row.goal,
            f"{row.measured:.3g}",
            f"{row.low:.3g} to {row.high:.3g}",
            f"{row.ours_ms:.3g}",
            f"{row.theirs_ms:.3g}" if row.theirs_ms else "-",
            "yes" if row.met else "NO",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    laid = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"{row.path}: {row.note}" for row in rows if row.note]
    return "\n".join([laid[0], "  ".join("-" * width for width in widths), *laid[1:], *([""] if notes else []), *notes])


def write(rows: Sequence[Measured], machine: str, path: Path) -> None:
    """Write the rows and the machine as JSON."""
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
