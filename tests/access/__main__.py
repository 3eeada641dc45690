"""`python -m tests.access cost`: what the gate costs. `python -m tests.access hostile --count 10000`: thousands of hostile requests."""

from __future__ import annotations

import argparse
import asyncio
import sys

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.access.cost import measure
from tests.access.hostile import be_hostile


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.access")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("cost", help="token and policy beside a preview, side by side")
    hostile = commands.add_parser("hostile", help="malformed and hostile requests to every RPC of a secure service")
    hostile.add_argument("--count", type=int, default=10_000, help="requests to each RPC")
    hostile.add_argument("--seed", type=int, default=1)
    hostile.add_argument("--only", default="", help="RPCs whose name has this in it")
    chosen = parser.parse_args()
    if chosen.command == "cost":
        return 0 if asyncio.run(measure()) else 1
    return 1 if asyncio.run(be_hostile(chosen.count, chosen.seed, chosen.only)) else 0


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
