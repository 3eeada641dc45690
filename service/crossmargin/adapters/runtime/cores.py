"""How many cores there are for this process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CONTROL_GROUP: Final = Path("/sys/fs/cgroup")
MOST_PROCESSES: Final = 8
"""More than so many processes for runs have to be asked for: each takes memory of its own."""


def cores_at_hand(control_group: Path = CONTROL_GROUP) -> int:
    """Return how many cores this process may keep busy: by its affinity, and by the limit of its container; at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _limit_of(control_group) or allowed))


def default_process_count(cores: int) -> int:
    """Return how many processes work on runs where nobody has said so: one for each core, and none where there is one core.

    >>> [default_process_count(cores) for cores in (1, 2, 6, 64)]
    [0, 2, 6, 8]
    """
    return min(cores, MOST_PROCESSES) if cores > 1 else 0


def _limit_of(control_group: Path) -> int | None:
    """Return the whole cores of a container's limit, rounded down; None without one."""
    with suppress(OSError, ValueError):
        quota, period = (control_group / "cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    return None
