"""Where the breakers stand, and who learns of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from crossmargin.domain.breaker import Breaker, BreakerKind


class BreakerStore(Protocol):
    """Where the breakers stand, for every process."""

    async def list_breakers(self) -> Sequence[Breaker]:
        """Return every breaker, in the order of their kinds; whoever calls margin or liquidates asks before (see `paused_by`)."""
        ...

    async def trip(self, kind: BreakerKind, *, at: datetime, cause: str) -> bool:
        """Trip a breaker; return False, and change nothing, if it was tripped already."""
        ...

    async def reset(self, kind: BreakerKind, *, at: datetime, by: str, note: str) -> bool:
        """Reset a breaker; return False, and change nothing, if it was not tripped."""
        ...


class BreakerReports(Protocol):
    """Where people learn of breakers."""

    def breaker_tripped(self, kind: BreakerKind, cause: str) -> None:
        """Say that a breaker has just tripped, and for what."""
        ...

    def breakers_seen(self, breakers: Sequence[Breaker]) -> None:
        """Publish where every breaker stands."""
        ...
