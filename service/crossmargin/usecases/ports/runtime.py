"""What a process runs on: time, and processors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeVar

B = TypeVar("B")
S = TypeVar("S")
T = TypeVar("T")


class Clock(Protocol):
    """Time, handed in."""

    def now(self) -> datetime:
        """Return the present moment in UTC, with its time zone."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class ComputePool(Protocol):
    """Runs numpy work where it does not hold up the event loop."""

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        ...

    async def run_small(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises, without sending it anywhere: nothing else of the process goes on meanwhile.

        For work so small that the way to a thread and back would take as long: a millisecond at most. One piece after the other is done,
        and whatever else the process has to do comes between them.
        """
        ...

    def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order, and raise what the first that fails raises.

        A few blocks are under way at once, and never all of them. Whoever stops reading stops the work: what has not begun never does.
        Blocks may be worked on in other processes, so `work` is a function of a module and everything else can be pickled; what they
        share is sent to each of them once. The results do not depend on where they were worked out.
        """
        ...
