"""Workers of a Dask cluster for runs over the house; everything else stays on threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")


class DaskComputePool:
    """Hands the blocks of a run to the workers of a cluster, which must have the same release installed.

    A call is answered in milliseconds, which no cluster is for, so `run` stays here. The cluster is whoever can reach its scheduler: keep
    it on a network of its own, because it runs what it is sent.
    """

    def __init__(self, threads: ThreadComputePool, client: Client) -> None:
        self._threads = threads
        self._client = client

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; in a thread of this process."""
        return await self._threads.run(work)

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order; two for each worker are under way."""
        window = 2 * max(1, len(self._client.scheduler_info()["workers"]))
        everywhere = await self._client.scatter(shared, broadcast=True, hash=False)  # type: ignore[no-untyped-call]
        under_way: deque[Future[T]] = deque()
        try:
            for block in blocks:
                under_way.append(self._client.submit(work, everywhere, block, pure=False))
                if len(under_way) >= window:
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            # What has not begun never does; what a worker is at ends with its block.
            await self._client.cancel(list(under_way))  # type: ignore[no-untyped-call]
