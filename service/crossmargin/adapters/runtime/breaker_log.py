"""Breakers in the log."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from crossmargin.domain.breaker import Breaker, BreakerKind
from crossmargin.usecases.ports.breaker import BreakerReports

log = structlog.get_logger()


class BreakerLog:
    """Logs every trip, and passes it on to where it is counted."""

    def __init__(self, then: BreakerReports) -> None:
        self._then = then

    def breaker_tripped(self, kind: BreakerKind, cause: str) -> None:
        """Log a trip."""
        log.error("breaker tripped", breaker=kind.value, cause=cause)
        self._then.breaker_tripped(kind, cause)

    def breakers_seen(self, breakers: Sequence[Breaker]) -> None:
        """Log nothing: that nothing has changed is no news."""
        self._then.breakers_seen(breakers)
