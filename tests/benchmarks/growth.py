"""How margin grows with the house: accounts, positions and scenarios doubled three times. `python -m tests.benchmarks.growth FILE.png`.

Time is that of the processor, which does not grow when others use the machine as well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from crossmargin.engine.portfolio_margin import compute_margin
from tests.benchmarks.harness import seconds
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import machine, pin

ACCOUNTS, POSITIONS, SCENARIOS, INSTRUMENTS = 10, 100, 500, 4_000
TIMES: Final = (1, 2, 4, 8)
ROUNDS: Final = 3


def measure() -> dict[str, list[tuple[int, float]]]:
    """Return for accounts, positions of each and scenarios how many there were and the seconds of a whole house."""
    return {
        "accounts": [(ACCOUNTS * times, _house_s(ACCOUNTS * times, POSITIONS, SCENARIOS)) for times in TIMES],
        "positions of each account": [(POSITIONS * times, _house_s(ACCOUNTS, POSITIONS * times, SCENARIOS)) for times in TIMES],
        "scenarios": [(SCENARIOS * times, _house_s(ACCOUNTS, POSITIONS, SCENARIOS * times)) for times in TIMES],
    }


def _house_s(accounts: int, positions: int, scenarios: int) -> float:
    market, parameters = a_market(INSTRUMENTS, scenarios), parameters_of_the_house()
    house = [an_account(seed, positions, market) for seed in range(accounts)]

    def run_house() -> None:
        for portfolio in house:
            compute_margin(portfolio, market, parameters)

    run_house()
    return min(seconds(run_house, time.thread_time) for _ in range(ROUNDS))


def draw(measured: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Draw what was measured, and what twice as long for twice as much would be."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra: the benchmarks do without it

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (what, points) in zip(figure.subplots(1, len(measured), sharey=True), measured.items(), strict=True):
        counts, took = [count for count, _ in points], [1e3 * seconds for _, seconds in points]
        axes.loglog(counts, [took[0] * count / counts[0] for count in counts], color="0.7", linestyle="--", label="in proportion")
        axes.loglog(counts, took, marker="o", color="tab:blue", label="measured")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_title(what, fontsize=10)
    first = figure.axes[0]
    first.set_ylabel("house, processor ms")
    first.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Print how much longer each doubling takes, and draw it where a file is named."""
    pin(0)
    measured = measure()
    sys.stdout.write(f"{machine()}\n{ACCOUNTS} accounts of {POSITIONS} positions, {SCENARIOS} scenarios, doubled three times\n")
    for what, points in measured.items():
        steps = ", ".join(f"{later / earlier:.2f}" for (_, earlier), (_, later) in pairwise(points))
        sys.stdout.write(f"{what}: {', '.join(f'{1e3 * took:.0f}' for _, took in points)} ms; each doubling takes {steps} times as long\n")
    if arguments:
        draw(measured, Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
