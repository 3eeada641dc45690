"""Workers of a Dask cluster for runs over the house; everything else stays on this machine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from crossmargin.usecases.ports.runtime import ComputePool

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")
LONGEST_S: Final = 60.0
"""How long a block is waited for: far longer than any takes. A cluster all of whose workers are gone says nothing at all."""
_CANCEL_S: Final = 5.0
log = structlog.get_logger()


class DaskComputePool:
    """Hands the blocks of a run to the workers of a cluster, which must have the same release installed.

    A call is answered in milliseconds, which no cluster is for, so `run` stays here. So does a run whose cluster is away, or goes away in
    the middle: the monitor never waits for machines that it can do without. The cluster is whoever can reach its scheduler: keep it on a
    network of its own, because it runs what it is sent.
    """

    def __init__(self, here: ComputePool, client: Client, *, longest_s: float = LONGEST_S) -> None:
        self._here = here
        self._client = client
        self._longest_s = longest_s

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; in a thread of this process."""
        return await self._here.run(work)

    async def run_small(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run_small`."""
        return await self._here.run_small(work)

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order; two for each worker are under way."""
        left, handed_over = iter(blocks), deque[B]()
        workers = await self._worker_count()
        if workers:
            try:
                async with aclosing(self._on_cluster(shared, work, left, handed_over, window=2 * workers)) as results:
                    async for result in results:
                        yield result
            except Exception as error:  # noqa: BLE001 - whatever went wrong there goes right here, or is raised here again
                log.warning("the cluster was given up for a run", why=type(error).__name__)
        async with aclosing(self._here.over_blocks(shared, work, chain(handed_over, left))) as results:
            async for result in results:
                yield result

    async def _worker_count(self) -> int:
        """Return how many workers there are now, which what the client remembers of its scheduler does not say."""
        if self._client.status != "running":
            return 0
        with suppress(Exception):
            async with asyncio.timeout(self._longest_s):
                return len(await self._client.nthreads())  # type: ignore[no-untyped-call]
        return 0

    async def _on_cluster(
        self, shared: S, work: Callable[[S, B], T], left: Iterator[B], handed_over: deque[B], *, window: int
    ) -> AsyncGenerator[T]:
        """Yield results; `handed_over` are the blocks without one, in their order."""
        under_way: deque[Future[T]] = deque()
        try:
            async with asyncio.timeout(self._longest_s):
                everywhere = await self._client.scatter(shared, broadcast=True, hash=False)  # type: ignore[no-untyped-call]
            for block in left:
                handed_over.append(block)
                under_way.append(self._client.submit(work, everywhere, block, pure=False))
                if len(under_way) >= window:
                    yield await self._next(under_way, handed_over)
            while under_way:
                yield await self._next(under_way, handed_over)
        finally:
            # What has not begun never does; what a worker is at ends with its block. A cluster that is gone need not be told.
            with suppress(Exception):
                async with asyncio.timeout(_CANCEL_S):
                    await self._client.cancel(list(under_way))  # type: ignore[no-untyped-call]

    async def _next(self, under_way: deque[Future[T]], handed_over: deque[B]) -> T:
        async with asyncio.timeout(self._longest_s):
            result: T = await under_way[0]
        under_way.popleft()
        handed_over.popleft()
        return result
