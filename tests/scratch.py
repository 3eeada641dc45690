"""Where a server of the tests keeps what nobody will want again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - the name of the file system, not of a file
ROOM_BYTES = 2 * 2**30
"""More than a server of one worker ever has at a time."""
_PREFIX = "crossmargin-tests-"


@contextmanager
def scratch_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory when there is room, where making a database takes a tenth of what it takes on a disk; or else a given one.

    What is asked of a server in it is what it stores, and not whether that outlives the machine: this is asked on a disk.
    """
    if not _has_room():
        yield otherwise
        return
    for left in MEMORY.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _has_room() -> bool:
    try:
        return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES and _free_memory_bytes() >= 2 * ROOM_BYTES
    except OSError:
        return False


def _free_memory_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
