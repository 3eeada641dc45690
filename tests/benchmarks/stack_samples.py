"""Where a Python process spends its time: processor time of each thread, told apart by what py-spy sees the thread at.

A thread's time is the kernel's count. What it is at is seen without stopping it (`--nonblocking`): of a process that is stopped, the thread
stopped first is seen far too often. Stacks that only wait are left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

_RATE_HZ: Final = 400
_PARTS: Final = (
    ("engine", ("/crossmargin/engine/",)),
    ("database: statements and rows", ("/crossmargin/adapters/postgres/",)),
    ("database: driver and its pool", ("/psycopg/", "/psycopg_pool/")),
    ("messages", ("/grpc_server/wire/", "/google/protobuf/", "/crossmargin/api/")),
    ("what surrounds a call: gate, rules, time limit", ("/crossmargin/adapters/grpc_server/",)),
    ("metrics", ("/crossmargin/adapters/prometheus/", "/prometheus_client/")),
    ("compute pool", ("/crossmargin/adapters/runtime/", "/concurrent/futures/")),
    ("use cases", ("/crossmargin/usecases/",)),
    ("domain", ("/crossmargin/domain/",)),
    ("event loop, and gRPC's core called from it", ("/asyncio/", "/grpc/")),
)
"""Parts, and what the paths of their files contain."""
_WAITS: Final = (
    "_worker (concurrent/futures",
    "EpollSelector.select",
    "_PollLikeSelector.select",
    "Thread.run (threading",
    "Thread._bootstrap",
)
ELSEWHERE: Final = "elsewhere"
OWN_THREADS: Final = "gRPC's own threads"
_THREAD: Final = re.compile(r"thread \((\d+)\)")
Place: TypeAlias = tuple[str, str]
"""A part, and the function it was at."""


def place_of(frames: Iterable[str]) -> Place:
    """Return the part that the innermost frame of ours, or of a library that is told apart, belongs to, and that frame's function.

    Frames are py-spy's, outermost first.

    >>> place_of(["run (asyncio/runners.py:118)", "margin (/srv/crossmargin/engine/netting.py:12)", "sum (numpy/_core/fromnumeric.py:7)"])
    ('engine', 'margin (netting.py)')
    """
    for frame in reversed(list(frames)):
        function, _, place = frame.partition(" (")
        path = place.rpartition(":")[0] or place.rstrip(")")
        for part, inside in _PARTS:
            if any(piece in f"/{path}" for piece in inside):
                return part, f"{function} ({Path(path).name})"
    return ELSEWHERE, ELSEWHERE


def by_thread(lines: Iterable[str]) -> dict[int, Counter[Place]]:
    """Return how often each thread was seen where, of what py-spy wrote: a stack a line, frames between semicolons, and how often."""
    found: dict[int, Counter[Place]] = defaultdict(Counter)
    for line in lines:
        stack, _, times = line.rpartition(" ")
        frames = stack.split(";")
        thread = _THREAD.match(frames[0])
        if thread is not None and not frames[-1].startswith((*_WAITS, "thread (")):
            found[int(thread[1])][place_of(frames[1:])] += int(times)
    return found


def spread(used: Mapping[int, float], seen: Mapping[int, Counter[Place]]) -> dict[Place, float]:
    """Return what each place took: the time of every thread, spread over where it was seen. Threads that run no Python have one place.

    >>> spread({1: 30.0, 2: 4.0}, {1: Counter({("engine", "margin"): 2, ("domain", "round"): 1})})
    {('engine', 'margin'): 20.0, ('domain', 'round'): 10.0, ("gRPC's own threads", "gRPC's own threads"): 4.0}
    """
    took: dict[Place, float] = defaultdict(float)
    for thread, time in used.items():
        places = seen.get(thread, Counter())
        for place, times in places.items():
            took[place] += time * times / places.total()
        if not places:
            took[OWN_THREADS, OWN_THREADS] += time
    return dict(took)


def used_s(process_id: int) -> dict[int, float]:
    """Return the processor seconds of every thread of a process so far."""
    threads = Path(f"/proc/{process_id}/task").iterdir()
    return {int(thread.name): int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in threads}


def seen_at(process_id: int, work: Callable[[], object], *, seconds: int) -> dict[int, Counter[Place]]:
    """Return where each thread of a process is seen while work is done over and over.

    Raises:
        RuntimeError: There is no py-spy, or it may not look into the process.
    """
    command = shutil.which("py-spy")
    if command is None:
        raise RuntimeError("profiles are made by py-spy: pip install '.[profile]'")
    with tempfile.TemporaryDirectory(prefix="crossmargin-samples-") as folder:
        found = Path(folder) / "stacks"
        words = [command, "record", "--nonblocking", "--threads", "--rate", str(_RATE_HZ), "--duration", str(seconds)]
        words += ["--format", "raw", "--output", str(found), "--pid", str(process_id)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as recorder:
            while recorder.poll() is None:
                work()
        if recorder.returncode or not found.exists():
            raise RuntimeError("py-spy could not look into the process: it needs root, or kernel.yama.ptrace_scope = 0")
        return by_thread(found.read_text().splitlines())
