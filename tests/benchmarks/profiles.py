"""What the time of the hot paths is spent on: `python -m tests.benchmarks.profiles [name ...]`.

Needs py-spy (the extra `profile`), which may look into a process as root, or where kernel.yama.ptrace_scope is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.revaluation import prepared, revalue_market
from tests.benchmarks import record, ticks
from tests.benchmarks.furniture import Furniture
from tests.benchmarks.harness import say
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.benchmarks.machine import machine, pin
from tests.benchmarks.preview import USUAL, previewing, streaming
from tests.benchmarks.reserve import reserving
from tests.benchmarks.service_rig import serving
from tests.benchmarks.stack_samples import Place, seen_at, spread, used_s

SECONDS: Final = 8
FUNCTIONS: Final = 3
_COUNTED_S: Final = 3.0
_TURN_S: Final = 0.5
_ACCOUNTS: Final = 10


@dataclass(frozen=True, slots=True)
class Profiled:
    """A path under way: whose process, what does it once (returning how many times, if not once), and what one time is called.

    `is_engine_alone` where all of it is the engine, so that files are told apart and not parts of the service.
    """

    process_id: int
    work: Callable[[], object]
    unit: str
    is_engine_alone: bool = False


@contextmanager
def _preview() -> Iterator[Profiled]:
    with serving(Furniture(positions={"usual": USUAL})) as served, previewing(served, "usual") as preview:
        yield Profiled(served.pid, preview, f"PreviewTrades, {USUAL} positions")


@contextmanager
def _stream() -> Iterator[Profiled]:
    with serving(Furniture(positions={"usual": USUAL})) as served, streaming(served, "usual") as preview:
        yield Profiled(served.pid, preview, f"a check of StreamPreviews, {USUAL} positions")


@contextmanager
def _reserve() -> Iterator[Profiled]:
    with serving(Furniture(positions={"usual": USUAL})) as served, reserving(served, "usual") as reserve:
        yield Profiled(served.pid, reserve, f"ReserveMargin and its release, {USUAL} positions")


@contextmanager
def _record() -> Iterator[Profiled]:
    with serving(record.BOOKS) as served:
        yield Profiled(
            served.pid,
            _booking(lambda: record.per_second(served, record.IN_FLIGHT, 1, _TURN_S)),
            f"RecordTrades of a trade, {record.IN_FLIGHT} in flight",
        )


@contextmanager
def _stream_trades() -> Iterator[Profiled]:
    with serving(record.BOOKS) as served:
        yield Profiled(
            served.pid,
            _booking(lambda: record.streamed_per_second(served, _TURN_S)),
            f"a trade of StreamTrades, {record.IN_FLIGHT} in flight",
        )


def _booking(per_second: Callable[[], Coroutine[object, object, float]]) -> Callable[[], int]:
    return lambda: round(_TURN_S * asyncio.run(per_second()))


@contextmanager
def _tick(kernels: Kernels) -> Iterator[Profiled]:
    known, scenarios, rules = prepared(ticks.instruments()), ticks.scenario_set(), ticks.parameters()
    markets = [ticks.snapshot(tick) for tick in range(20)]
    numbers = count()

    def revalue() -> None:
        revalue_market(known, markets[next(numbers) % len(markets)], scenarios, rules, kernels=kernels)

    revalue()
    yield Profiled(os.getpid(), revalue, f"a tick of {len(known.instruments):,} instruments, {kernels.value}", is_engine_alone=True)


@contextmanager
def _margin() -> Iterator[Profiled]:
    market, parameters = a_market(8_000, 1_000), parameters_of_the_house()
    house = [an_account(seed, USUAL, market) for seed in range(_ACCOUNTS)]

    def margins() -> int:
        for account in house:
            compute_brief(account, market, parameters)
        return len(house)

    yield Profiled(os.getpid(), margins, f"the margin of an account of {USUAL} positions in a house run", is_engine_alone=True)


PATHS: Final = {
    "preview": _preview,
    "stream": _stream,
    "reserve": _reserve,
    "record": _record,
    "stream_trades": _stream_trades,
    "tick_numpy": lambda: _tick(Kernels.NUMPY),
    "tick_numba": lambda: _tick(Kernels.NUMBA),
    "margin": _margin,
}


def profile(name: str) -> str:
    """Return a table of the parts of a path: processor time of each, and the functions that take most of it."""
    with PATHS[name]() as path:
        say(f"{name}: counting")
        each, before, until = 0, used_s(path.process_id), time.monotonic() + _COUNTED_S
        while time.monotonic() < until:
            times = path.work()
            each += times if isinstance(times, int) else 1
        used = {thread: 1e6 * (now - before.get(thread, 0.0)) / each for thread, now in used_s(path.process_id).items()}
        say(f"{name}: looking for {SECONDS} s")
        took = spread(used, seen_at(path.process_id, path.work, seconds=SECONDS))
        if path.is_engine_alone:
            took = {(_file_of(function), function): time_us for (_, function), time_us in took.items()}
        say("")
        return f"{path.unit}: {sum(took.values()):,.0f} us of processor time\n\n{table(took)}"


def table(took: Mapping[Place, float]) -> str:
    """Return the parts in the order of what they take, as markdown."""
    total, parts = sum(took.values()), sorted({part for part, _ in took}, key=lambda part: -_of(took, part))
    lines = ["| part | us | share | most of it |", "|---|---|---|---|"]
    for part in parts:
        inside = sorted(((own, name) for (of, name), own in took.items() if of == part and name != part), reverse=True)[:FUNCTIONS]
        most = ", ".join(f"`{name}` {own:,.0f}" for own, name in inside)
        lines.append(f"| {part} | {_of(took, part):,.0f} | {100 * _of(took, part) / total:.0f}% | {most} |")
    return "\n".join(lines)


def _file_of(function: str) -> str:
    return function.rpartition(" (")[2].rstrip(")")


def _of(took: Mapping[Place, float], part: str) -> float:
    return sum(time for (of, _), time in took.items() if of == part)


def main(arguments: Sequence[str]) -> int:
    """Print the profile of each path that is named; of all, unless some are."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profiles", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", choices=[*PATHS, []], help=f"any of {', '.join(PATHS)}; all unless said")
    sys.stdout.write(f"{machine()}\n")
    pin(0)
    for name in parser.parse_args(arguments).names or PATHS:
        sys.stdout.write(f"\n{profile(name)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
