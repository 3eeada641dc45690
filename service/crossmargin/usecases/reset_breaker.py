"""Reset a breaker: a person has looked, and calls and liquidations go on."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.breaker import Breaker, BreakerKind
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.runtime import Clock


@dataclass(frozen=True, slots=True)
class ResetBreaker:
    """Resets what is tripped; what is not stays as it is, so that asking again does no harm."""

    breakers: BreakerStore
    clock: Clock

    async def __call__(self, kind: BreakerKind, *, principal: str, note: str) -> Breaker:
        """Return where the breaker stands now."""
        await self.breakers.reset(kind, at=self.clock.now(), by=principal, note=note)
        return next(breaker for breaker in await self.breakers.list_breakers() if breaker.kind is kind)
