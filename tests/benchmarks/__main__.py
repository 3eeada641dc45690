"""Runs the benchmarks: `python -m tests.benchmarks [name ...] [--json FILE] [--quick]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.benchmarks.harness import Measured, Plan, say, table, write
from tests.benchmarks.machine import machine, pin

NAMES: Final = (
    "auto",
    "bonds",
    "cold_start",
    "drift",
    "event_loop",
    "house",
    "house_run",
    "house_tick",
    "load",
    "margin",
    "memory",
    "options",
    "preview",
    "record",
    "reserve",
    "scrape",
    "stress",
    "tick",
)
"""A file each, with a function `run`."""


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the benchmarks ran, whatever they measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Time every hot path beside an opponent.")
    parser.add_argument("names", nargs="*", metavar="name", choices=[*NAMES, []], help=f"any of {', '.join(NAMES)}; all unless said")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--quick", action="store_true", help="few rounds, smaller houses: for a look, not for a claim")
    options = parser.parse_args(arguments)
    where = machine()
    sys.stdout.write(f"{where}\n\n")
    pin(0)
    rows: list[Measured] = []
    for name in options.names or NAMES:
        rows += import_module(f"tests.benchmarks.{name}").run(Plan.of(quick=options.quick))
    say("")
    sys.stdout.write(f"{table(rows)}\n")
    if options.json:
        write(rows, where, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: main(sys.argv[1:])))
