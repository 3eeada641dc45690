"""The machine that a benchmark ran on, in one line, and how a run is kept on one core of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import scipy


def machine() -> str:
    """Return processor, cores, memory, load, and the releases that decide about speed."""
    processor = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor()
    )
    memory = next((int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0.0)
    load = os.getloadavg()[0]
    parts = [processor or platform.machine(), f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"load {load:.1f} at the start"]
    return ", ".join([*parts, f"Python {platform.python_version()}", f"numpy {np.__version__}", f"scipy {scipy.__version__}"])


def pin(core: int) -> None:
    """Keep this process on one core; where the system cannot, leave it where it is."""
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def unpin() -> None:
    """Give the process all cores back."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
