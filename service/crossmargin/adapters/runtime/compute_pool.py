"""Threads for numpy work, so that the event loop goes on serving while a house run computes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from crossmargin.adapters.runtime.turns import Turns

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")


class ThreadComputePool:
    """One or two worker threads. numpy lets go of the interpreter while it computes, so more threads than cores gain nothing.

    Blocks of long runs have threads of their own, one fewer than what somebody waits for: a preview behind the blocks of a house run would
    wait for all that are before it, and with as many threads for them as there are cores everybody would wait for the interpreter.
    """

    def __init__(self, worker_count: int = 1) -> None:
        self._is_closed = False
        self._turns = Turns()
        self._block_count = max(1, worker_count - 1)
        self._executor = ThreadPoolExecutor(max_workers=worker_count, thread_name_prefix="compute")
        self._block_executor = ThreadPoolExecutor(max_workers=self._block_count, thread_name_prefix="blocks")

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises:
            RuntimeError: The pool was closed; nothing was run.
        """
        return await self._run_on(self._executor, work)

    async def run_small(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run_small`; errors as `run`."""
        await self._turns.take()
        self._check_open()
        return work()

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order; as many are under way as have a thread, and one waits."""
        under_way: deque[asyncio.Future[T]] = deque()
        try:
            for block in blocks:
                under_way.append(asyncio.ensure_future(self._run_on(self._block_executor, partial(work, shared, block))))
                if len(under_way) > self._block_count:
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and refuse what comes later."""
        self._is_closed = True
        for executor in (self._executor, self._block_executor):
            executor.shutdown(wait=True, cancel_futures=True)

    async def _run_on(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the compute pool is closed: the process is shutting down and takes no new work")
