"""What work of the engine is called, wherever it is measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial


def stage_of(work: Callable[[], object]) -> str:
    """Return who asked for some work: the use case, or the function that it was written in.

    >>> def evaluate():
    ...     return lambda: 1
    >>> stage_of(evaluate())
    'evaluate'
    """
    named = work.func if isinstance(work, partial) else work
    return str(getattr(named, "__qualname__", type(named).__qualname__)).partition(".<locals>")[0].removesuffix(".__call__")
