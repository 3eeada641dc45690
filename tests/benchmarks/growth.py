"""How work grows: a house's accounts, positions and scenarios, and a market's instruments, each doubled three times.

`python -m tests.benchmarks.growth FILE.png`. Time is that of the processor, which does not grow when others use the machine as well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Final, TypeAlias

from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.revaluation import prepared, revalue_market
from tests.benchmarks import ticks
from tests.benchmarks.harness import seconds
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import machine, pin

ACCOUNTS, POSITIONS, SCENARIOS, INSTRUMENTS = 10, 100, 500, 4_000
TIMES: Final = (1, 2, 4, 8)
SHARES: Final = (0.25, 0.5, 1, 2)
"""Of the market that ticks, 3,206 instruments."""
ROUNDS: Final = 9
_Points: TypeAlias = list[tuple[int, float]]


def measure() -> dict[str, _Points]:
    """Return how many there were of each, and the seconds of a whole house; for instruments, those of a tick of the market."""
    return {
        "accounts": [(ACCOUNTS * times, _house_s(ACCOUNTS * times, POSITIONS, SCENARIOS)) for times in TIMES],
        "positions of each account": [(POSITIONS * times, _house_s(ACCOUNTS, POSITIONS * times, SCENARIOS)) for times in TIMES],
        "scenarios": [(SCENARIOS * times, _house_s(ACCOUNTS, POSITIONS, SCENARIOS * times)) for times in TIMES],
        "instruments of the market": [_tick_s(share) for share in SHARES],
    }


def _house_s(accounts: int, positions: int, scenarios: int) -> float:
    market, parameters = a_market(INSTRUMENTS, scenarios), parameters_of_the_house()
    house = [an_account(seed, positions, market) for seed in range(accounts)]

    def run_house() -> None:
        for portfolio in house:
            compute_brief(portfolio, market, parameters)

    run_house()
    return min(seconds(run_house, time.thread_time) for _ in range(ROUNDS))


def _tick_s(times: float) -> tuple[int, float]:
    known, scenarios, rules = prepared(ticks.instruments(times=times)), ticks.scenario_set(), ticks.parameters()
    markets = cycle([ticks.snapshot(tick, times=times) for tick in range(1 + ROUNDS)])

    def revalue() -> None:
        revalue_market(known, next(markets), scenarios, rules)

    revalue()
    return len(known.instruments), min(seconds(revalue, time.thread_time) for _ in range(ROUNDS))


def draw(measured: dict[str, _Points], path: Path) -> None:
    """Draw what was measured, and what twice as long for twice as much would be."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra: the benchmarks do without it

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, (what, points) in zip(figure.subplots(1, len(measured), sharey=True), measured.items(), strict=True):
        counts, took = [count for count, _ in points], [1e3 * seconds for _, seconds in points]
        axes.loglog(counts, [took[0] * count / counts[0] for count in counts], color="0.7", linestyle="--", label="in proportion")
        axes.loglog(counts, took, marker="o", color="tab:blue", label="measured")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_title(f"{what}\n(a tick)" if what.startswith("instruments") else f"{what}\n(a house)", fontsize=10)
    first = figure.axes[0]
    first.set_ylabel("processor ms")
    first.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Print how much longer each doubling takes, and draw it where a file is named."""
    pin(0)
    measured = measure()
    sys.stdout.write(
        f"{machine()}\n{ACCOUNTS} accounts of {POSITIONS} positions, {SCENARIOS} scenarios; a tick of 500 scenarios; doubled three times\n"
    )
    for what, points in measured.items():
        steps = ", ".join(f"{later / earlier:.2f}" for (_, earlier), (_, later) in pairwise(points))
        sys.stdout.write(f"{what}: {', '.join(f'{1e3 * took:.0f}' for _, took in points)} ms; each doubling takes {steps} times as long\n")
    if arguments:
        draw(measured, Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
