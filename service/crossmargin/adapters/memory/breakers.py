"""Where the breakers stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.breaker import Breaker, BreakerKind


class MemoryBreakerStore:
    """See `BreakerStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._breakers = database.breakers

    async def list_breakers(self) -> Sequence[Breaker]:
        """Return every breaker, in the order of their kinds."""
        return [self._breakers.get(kind, Breaker(kind)) for kind in BreakerKind]

    async def trip(self, kind: BreakerKind, *, at: datetime, cause: str) -> bool:
        """Trip a breaker; return False if it was tripped already."""
        breaker = self._breakers.get(kind, Breaker(kind))
        if breaker.is_tripped:
            return False
        self._breakers[kind] = replace(breaker, is_tripped=True, tripped_at=at, cause=cause)
        return True

    async def reset(self, kind: BreakerKind, *, at: datetime, by: str, note: str) -> bool:
        """Reset a breaker; return False if it was not tripped."""
        breaker = self._breakers.get(kind, Breaker(kind))
        if not breaker.is_tripped:
            return False
        self._breakers[kind] = replace(breaker, is_tripped=False, reset_at=at, reset_by=by, note=note)
        return True
