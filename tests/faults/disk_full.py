"""The disk of the database is full: nothing is acknowledged that is not kept, and with space again everything goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.faults.bench import Bench
from tests.faults.history import Outcome
from tests.faults.rig import Result, Rig, Setup, standing_postgres

_DISK_BYTES: Final = 320 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_TROUBLED_ANSWERS: Final = 24
_FULL_LIMIT_S: Final = 20.0
_ROUNDS: Final = 3


async def run_disk_full(bench: Bench) -> Result:
    """Return what became of a service whose database's data and log share a small disk that fills up three times."""
    with _small_disk(bench.folder / "small-disk") as disk:
        if disk is None:
            reason = "a small disk cannot be mounted here: it takes root, or a user namespace of one's own"
            return Result("disk-full", findings=[f"not run: {reason}"])
        with standing_postgres(disk / "postgres") as postgres:
            small = Bench(postgres, bench.folder, bench.seed, bench.seconds, bench.tell)
            return await small.run("disk-full", lambda rig: _fill_again_and_again(rig, disk), Setup(seed=bench.seed))


async def _fill_again_and_again(rig: Rig, disk: Path) -> None:
    filler = disk / "filler"
    for _ in range(_ROUNDS):
        await rig.history.progress(100)
        troubled = _troubled(rig)
        _fill(filler)
        # Until callers notice: the log of the database has some room of its own, so that takes a while.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FULL_LIMIT_S):
                while _troubled(rig) < troubled + _TROUBLED_ANSWERS:
                    await asyncio.sleep(0.1)
                    _fill(filler)
        noticed = _troubled(rig) - troubled
        filler.unlink()
        is_down = not rig.postgres.is_running
        if is_down:
            await rig.postgres.start_again()
        rig.remarks.append(f"{noticed} answers were troubled by a full disk; the database {'had stopped' if is_down else 'went on'}")
    if not _troubled(rig):
        rig.findings.append("no caller ever noticed that the disk was full: it was not")
    await rig.history.progress(200)


def _troubled(rig: Rig) -> int:
    return sum(answer.outcome in {Outcome.UNKNOWN, Outcome.BUSY} for answer in rig.history.answers)


def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (_CHUNK_BYTES, 4096):
            with contextlib.suppress(_FullError):
                while True:
                    _write(file, size)


class _FullError(Exception):
    """No space left."""


def _write(file, size: int) -> None:
    try:
        if file.write(bytes(size)) < size:
            raise _FullError
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _FullError from None


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES},mode=0755", "tmpfs", folder], check=False, capture_output=True
        ).returncode
        == 0
    )
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=False)
