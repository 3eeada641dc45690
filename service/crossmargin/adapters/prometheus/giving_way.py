"""Long work beside the event loop, which gives the interpreter away every so often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import local
from time import monotonic, sleep
from typing import Final, TypeVar

Item = TypeVar("Item")

SLICE: Final = 256
"""Items after which it is asked how long the work has gone on: a few tenths of a millisecond of most work."""
LONGEST_S: Final = 0.001
"""How long anybody who wants the interpreter waits for it, about."""
PAUSE_S: Final = 50e-6
"""Long enough to be a real sleep. One of zero returns before a waiting thread has woken, and takes the interpreter back."""

_last = local()


def giving_way(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, and give way after every `SLICE` of them.

    A thread that wants the interpreter waits for 5 ms, Python's switch interval, before it may ask for it. Who has twenty thousand
    samples to write would make the event loop wait so long again and again.
    """
    for place, item in enumerate(items, 1):
        yield item
        if not place % SLICE:
            give_way()


def give_way() -> None:
    """Let whoever waits for the interpreter have it, if this thread has worked for `LONGEST_S` since it did so last.

    Not more often, because where processors are scarce each pause may be a long one.
    """
    if monotonic() - getattr(_last, "pause", 0.0) >= LONGEST_S:
        sleep(PAUSE_S)
        _last.pause = monotonic()
