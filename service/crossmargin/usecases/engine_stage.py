"""What work of the engine is called, wherever it is measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Final

_BEFORE_A_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def stage_of(work: Callable[[], object]) -> str:
    """Return who asked for some work, in words as people read them: the use case, or the function that it was written in.

    >>> def _evaluate():
    ...     return lambda: 1
    >>> stage_of(_evaluate())
    'evaluate'
    """
    named = work.func if isinstance(work, partial) else work
    written = str(getattr(named, "__qualname__", type(named).__qualname__)).partition(".<locals>")[0].removesuffix(".__call__")
    return _words(written)


@cache
def _words(written: str) -> str:
    """Return a qualified name as one would say it: `CurrentMarket._revalue_with` is `current_market.revalue_with`."""
    return ".".join(_BEFORE_A_CAPITAL.sub("_", part).lower().lstrip("_") for part in written.split("."))
