"""The schema goes up and down under load, with the previous release running on both: `git` at hand, its real code."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.faults.bench import Bench
from tests.faults.latencies import latency_line, under_way
from tests.faults.lock_waits import SHORTEST_MS, LockWaits, logged_lock_waits
from tests.faults.replicas import ROOT, ReplicaError
from tests.faults.rig import Result, Rig, Setup
from tests.faults.workload import BASIC_KINDS
from tests.integration.command_line import environment

_DATABASE: Final = "previous_release"
_BETWEEN: Final = 80
LONGEST_WAIT_S: Final = 0.25
"""For the lock of a table, because of a migration: what nobody notices."""
LONGEST_STALL_S: Final = 5.0
"""Without one acknowledged write over all callers, whatever it was that held them up: a busy machine does, too."""
_DOWN: Final = """
import os
from alembic import command
from crossmargin.adapters.postgres.migrate import migration_config
command.downgrade(migration_config(os.environ["CROSSMARGIN_DATABASE_URL"]), "{revision}")
"""


async def run_migration(bench: Bench) -> Result:
    """Return what became of a service whose schema is migrated up, down and up again while it is used."""
    previous = bench.folder / "previous-release"
    found = _check_out_previous_release(previous)
    if found is None:
        return Result("migration", findings=["not run: the previous release is taken from git, and this is no clone with its history"])
    variables = {"PYTHONPATH": os.pathsep.join([str(previous / "service"), str(previous / "clients")])}
    if _DATABASE not in {name for (name,) in bench.postgres.execute("SELECT datname FROM pg_database")}:
        bench.postgres.execute(f"CREATE DATABASE {_DATABASE}")
        await _run([sys.executable, "-m", "crossmargin", "migrate"], bench.postgres.url_of(_DATABASE), variables)
    setup = Setup(template=_DATABASE, variables=variables, kinds=BASIC_KINDS, seed=bench.seed)
    with logged_lock_waits(bench.postgres):
        result = await bench.run("migration", partial(_up_down_up, found.revision), setup)
    result.remarks.append(f"the previous release is that of commit {found.commit[:10]}, whose schema is {found.revision}")
    return result


@dataclass(frozen=True, slots=True)
class _Release:
    """Where an older release stands in git, and the last migration that it knows."""

    commit: str
    revision: str


async def _up_down_up(revision: str, rig: Rig) -> None:
    first, previous = rig.replicas[0], rig.replicas[0].variables
    await rig.history.progress(_BETWEEN)
    await _migrate(rig, "up", revision)
    await rig.history.progress(_BETWEEN)
    # Both releases side by side on the new schema.
    await first.stop()
    first.variables = {}
    await first.start()
    await rig.history.progress(_BETWEEN)
    # And back: the new release leaves first, then its schema.
    await first.stop()
    first.variables = previous
    await first.start()
    await rig.history.progress(_BETWEEN)
    await _migrate(rig, "down", revision)
    await rig.history.progress(_BETWEEN)
    await _migrate(rig, "up", revision)
    for replica in rig.replicas:
        await replica.stop()
        replica.variables = {}
        await replica.start()
    await rig.history.progress(_BETWEEN)


async def _migrate(rig: Rig, direction: str, revision: str) -> None:
    rig.history.longest_gap_s = 0.0
    before, began = list(rig.history.answers), time.monotonic()
    waits = LockWaits.from_now_on(rig.postgres)
    command = ["-m", "crossmargin", "migrate"] if direction == "up" else ["-c", _DOWN.format(revision=revision)]
    await _run([sys.executable, *command], rig.url, {})
    await rig.history.progress(1)
    stall_s, wait_s = rig.history.longest_gap_s, waits.longest_s()
    meanwhile = under_way(rig.history.answers, began, time.monotonic())
    waited = f"{wait_s:.3f} s" if wait_s else f"{SHORTEST_MS} ms"
    rig.remarks.append(
        f"while the schema went {direction} nobody waited longer than {waited} for a table, and writers stood still for "
        f"{stall_s:.2f} s at most; {latency_line(meanwhile)}; before that, {latency_line(before)}"
    )
    if wait_s > LONGEST_WAIT_S:
        rig.findings.append(f"somebody waited {wait_s:.3f} s for a table while the schema went {direction}; expected {LONGEST_WAIT_S} s")
    if stall_s > LONGEST_STALL_S:
        rig.findings.append(f"writers stood still for {stall_s:.1f} s while the schema went {direction}")


async def _run(command: list[str], url: str, variables: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**environment(), **variables, "CROSSMARGIN_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise ReplicaError(f"{' '.join(command[1:3])} ended with {process.returncode}: {said.decode()[-400:]}")


def _check_out_previous_release(folder: Path) -> _Release | None:
    """Write down the last commit that did not know the newest migration, and return it; None without a history to take it from."""
    newest = max((ROOT / "migrations" / "versions").glob("0*.py"))
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    added = _git("log", "--diff-filter=A", "--format=%H", "--", str(newest.relative_to(ROOT)))
    if not added:
        return None
    before = _git("log", "--format=%H", f"{added.splitlines()[-1]}^").splitlines()
    commit, known = next(((one, known) for one in before if _is_a_chain(known := _migrations_of(one))), ("", []))
    if not commit:
        return None
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "archive", commit, "service", "clients", "migrations"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return _Release(commit, known[-1])


def _is_a_chain(migrations: list[str]) -> bool:
    """Whether it can be migrated: a commit in which migrations of two branches met has two of one number."""
    return bool(migrations) and migrations == [f"{number:04d}" for number in range(1, len(migrations) + 1)]


def _migrations_of(commit: str) -> list[str]:
    names = _git("ls-tree", "--name-only", commit, "migrations/versions/").splitlines()
    return sorted(name.rpartition("/")[2][:4] for name in names if name.rpartition("/")[2][:4].isdecimal())


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
