"""Breaks a running service on purpose and counts what became of its books: `python -m tests.faults run everything`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.faults.bench import Bench
from tests.faults.report import document, table
from tests.faults.rig import Result, standing_postgres
from tests.faults.runs import MUTANT_RUNS, RUNS, Run

HOLDS, FOUND, MISUSED = 0, 1, 2
_ALL = (*RUNS, *MUTANT_RUNS)


def main(arguments: Sequence[str]) -> int:
    """Return 0 when every run holds, 1 when one found something, 2 for a run that does not exist."""
    options = _parser().parse_args(arguments)
    if options.command == "list":
        width = max(len(run.name) for run in _ALL)
        print("\n".join(f"{run.name:<{width}}  {run.says}" for run in _ALL))
        return HOLDS
    chosen = _CHOICES[options.command](options)
    with _folder(options.keep) as folder, standing_postgres(folder / "postgres") as postgres:
        bench = Bench(postgres, folder, options.seed, options.seconds, _teller())
        results = asyncio.run(_execute(bench, chosen))
    print(table(results))
    if options.json:
        Path(options.json).write_text(json.dumps(document(results), indent=2) + "\n", encoding="utf-8")
    return HOLDS if all(result.holds for result in results) else FOUND


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="crossmargin-faults-") as folder:
            yield Path(folder)
        return
    Path(keep).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="faults-", dir=Path(keep).absolute())
    yield Path(folder)
    print(f"logs, histories and the database are in {folder}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name every run")
    run = commands.add_parser("run", help="make some runs")
    run.add_argument("names", nargs="+", metavar="NAME", choices=[run.name for run in _ALL])
    every = commands.add_parser("all", help="make every run, mutants included")
    mutants = commands.add_parser("mutants", help="see whether every known mistake is caught")
    fuzz = commands.add_parser("fuzz", help="call every RPC with values and bytes that it has to refuse")
    for command in (run, every, mutants, fuzz):
        command.add_argument(
            "--seconds",
            type=float,
            metavar="S",
            help="how long to go on breaking at least; default: until a run has its counts, and ten minutes for everything",
        )
        command.add_argument("--seed", type=int, default=1, metavar="N", help="of all chance; default 1")
        command.add_argument("--json", metavar="FILE", help="write the figures there as well")
        command.add_argument(
            "--keep", metavar="DIR", help="keep logs, histories and the database in a new folder there, instead of throwing them away"
        )
    return parser


def _named(options: argparse.Namespace) -> list[Run]:
    return [run for run in _ALL if run.name in options.names]


_CHOICES: Final[dict[str, Callable[[argparse.Namespace], Sequence[Run]]]] = {
    "run": _named,
    "all": lambda _: _ALL,
    "mutants": lambda _: MUTANT_RUNS,
    "fuzz": lambda _: [run for run in RUNS if run.name == "fuzz"],
}


async def _execute(bench: Bench, runs: Sequence[Run]) -> list[Result]:
    results = []
    for run in runs:
        results.append(await _one(bench, run))
        bench.tell(run.name, "holds" if results[-1].holds else f"FOUND {results[-1].findings[0]}")
    return results


async def _one(bench: Bench, run: Run) -> Result:
    try:
        return await run.execute(bench)
    except Exception as error:  # noqa: BLE001 - a run that breaks is a finding, and the others are still made
        traceback.print_exc()
        return Result(run.name, findings=[f"the run itself broke: {error!r}"])


def _teller():
    """Return what shows progress: one line that is written over on a terminal, a line every ten seconds in a log."""
    is_terminal = sys.stderr.isatty()
    last = ["", 0.0]

    def tell(name: str, line: str) -> None:
        if is_terminal:
            sys.stderr.write(f"\r\x1b[K{name}: {line}")
            sys.stderr.flush()
        elif name != last[0] or time.monotonic() - last[1] >= 10 or not line.endswith("findings"):
            last[:] = [name, time.monotonic()]
            sys.stderr.write(f"{name}: {line}\n")

    return tell


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: main(sys.argv[1:])))
