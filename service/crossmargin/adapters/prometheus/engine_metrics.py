"""How long the engine computes, by who asked, and how long its work waits for a thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from time import perf_counter
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Histogram

from crossmargin.usecases.engine_stage import stage_of
from crossmargin.usecases.ports.runtime import ComputePool

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")
_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class EngineMetrics:
    """Publishes the time of work that goes through a pool. Stages are functions of this release, so they may be labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._computing = Histogram(
            "crossmargin_engine_seconds",
            "Time that work of the engine took on its thread, by the function that asked for it. Blocks of long runs are not in it.",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._waiting = Histogram(
            "crossmargin_engine_wait_seconds",
            "Time that work of the engine waited for a thread; of work too small for one, for its turn of the event loop.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._stages: dict[str, Histogram] = {}

    def computed(self, stage: str, *, waited_s: float, computed_s: float) -> None:
        """Count a piece of work. Called on threads of the pool and on the event loop's."""
        self._waiting.observe(waited_s)
        known = self._stages.get(stage)
        if known is None:
            known = self._stages.setdefault(stage, self._computing.labels(stage))
        known.observe(computed_s)


class TimedComputePool:
    """A compute pool that says how long its work waits and takes."""

    def __init__(self, pool: ComputePool, metrics: EngineMetrics) -> None:
        self._pool = pool
        self._metrics = metrics

    async def run(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run`."""
        return await self._pool.run(self._timed(work))

    async def run_small(self, work: Callable[[], T]) -> T:
        """See `ComputePool.run_small`."""
        return await self._pool.run_small(self._timed(work))

    def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """See `ComputePool.over_blocks`. Not timed: a run over the house has thousands of blocks, and says itself how far it is."""
        return self._pool.over_blocks(shared, work, blocks)

    def _timed(self, work: Callable[[], T]) -> Callable[[], T]:
        asked = perf_counter()

        def timed() -> T:
            began = perf_counter()
            try:
                return work()
            finally:
                self._metrics.computed(stage_of(work), waited_s=began - asked, computed_s=perf_counter() - began)

        return timed
