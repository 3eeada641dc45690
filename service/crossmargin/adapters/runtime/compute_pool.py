"""Threads for numpy work, so that the event loop goes on serving while a house run computes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")


class ThreadComputePool:
    """One or two worker threads. numpy lets go of the interpreter while it computes, so more threads than cores gain nothing."""

    def __init__(self, worker_count: int = 1) -> None:
        self._is_closed = False
        self._worker_count = worker_count
        self._executor = ThreadPoolExecutor(max_workers=worker_count, thread_name_prefix="compute")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises:
            RuntimeError: The pool was closed; nothing was run.
        """
        if self._is_closed:
            raise RuntimeError("the compute pool is closed: the process is shutting down and takes no new work")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order; as many are under way as there are workers, and one waits."""
        under_way: deque[asyncio.Future[T]] = deque()
        try:
            for block in blocks:
                under_way.append(asyncio.ensure_future(self.run(partial(work, shared, block))))
                if len(under_way) > self._worker_count:
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and refuse what comes later."""
        self._is_closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)
