"""Threads for numpy work, so that the event loop goes on serving while a house run computes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadComputePool:
    """One or two worker threads. numpy lets go of the interpreter while it computes, so more threads than cores gain nothing."""

    def __init__(self, worker_count: int = 1) -> None:
        self._is_closed = False
        self._executor = ThreadPoolExecutor(max_workers=worker_count, thread_name_prefix="compute")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises:
            RuntimeError: The pool was closed; nothing was run.
        """
        if self._is_closed:
            raise RuntimeError("the compute pool is closed: the process is shutting down and takes no new work")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and refuse what comes later."""
        self._is_closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)
