"""How long a service takes from its start to the first preview it answers: a process, PostgreSQL of its own, a furnished database."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from crossmargin.engine.kernels.choice import Kernels
from crossmargin_cli.service_process import dying_with_parent
from crossmargin_client import AsyncClient
from tests.benchmarks.furniture import Furniture, furnish
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.machine import pin, unpin
from tests.benchmarks.preview import previewing
from tests.benchmarks.service_rig import Served
from tests.faults.replicas import ROOT
from tests.integration.command_line import environment

BOOKS: Final = Furniture(positions={"usual": 200})
_STOP_S: Final = 30.0
_START_S: Final = 300.0
_POLL_S: Final = 0.005
_GOAL_MS: Final = {Kernels.NUMPY: 1_500.0, Kernels.NUMBA: 3_000.0}
_COMPILED: Final = {Kernels.NUMPY: "nothing is compiled", Kernels.NUMBA: "kernels are compiled, because none are kept between processes"}


def run(plan: Plan) -> list[Measured]:
    """Return the rows of a start by either kernels: everything is on disk, nothing in the process."""
    unpin()
    with tempfile.TemporaryDirectory(prefix="crossmargin-cold-", ignore_cleanup_errors=True) as folder:
        with _serving(Path(folder), Kernels.NUMPY) as served:
            asyncio.run(_furnish(served.address))
        rows = [_row(Path(folder), kernels, plan) for kernels in Kernels]
    pin(0)
    return rows


def _row(folder: Path, kernels: Kernels, plan: Plan) -> Measured:
    took = []
    for place in range(plan.rounds):
        say(f"cold start, {kernels.value}: {place + 1} of {plan.rounds}")
        started = time.perf_counter()
        with _serving(folder, kernels) as served, previewing(served, "usual"):
            took.append(1e3 * (time.perf_counter() - started))
    note = f"from the start of the process: embedded PostgreSQL, migrations looked at, market made, one preview; {_COMPILED[kernels]}"
    path = f"cold start to the first preview, {kernels.value}, ms"
    return amount(path, "the clock", Goal(Ratio.AMOUNT, _GOAL_MS[kernels]), took, note)


async def _furnish(address: str) -> None:
    async with AsyncClient(address, timeout_s=10) as client:
        await furnish(client, BOOKS)


@contextmanager
def _serving(folder: Path, kernels: Kernels) -> Iterator[Served]:
    ready_file, log = folder / "ready.json", folder / "log"
    ready_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "crossmargin", "serve", "--embedded", "--insecure", "--data-dir", str(folder / "data")]
    command += ["--grpc-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--ready-file", str(ready_file)]
    variables = environment() | {"CROSSMARGIN_KERNELS": kernels.value}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            dying_with_parent(command),
            stdout=stream,
            stderr=stream,
            cwd=ROOT,
            env=variables,
            process_group=0,
        )
    try:
        ends = time.monotonic() + _START_S
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the service did not come up: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(_POLL_S)
        addresses = json.loads(ready_file.read_text())
        yield Served(addresses["grpc_address"], addresses["admin_address"], "", "", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
