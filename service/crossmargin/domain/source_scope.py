"""For which sources of market data somebody may speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crossmargin.domain.identifiers import SourceId


@dataclass(frozen=True, slots=True)
class SourceScope:
    """The sources that a publisher may publish for; None for every one, and for the market as a whole.

    >>> own = SourceScope(frozenset({SourceId("exchange-a")}))
    >>> own.covers("exchange-a"), own.covers("exchange-b"), own.is_every_source
    (True, False, False)
    >>> own.within(EVERY_SOURCE) == EVERY_SOURCE.within(own) == own, own.within(NO_SOURCE) == NO_SOURCE
    (True, True)
    """

    sources: frozenset[SourceId] | None

    @property
    def is_every_source(self) -> bool:
        """True for whoever may speak of the market as a whole: of snapshots and histories, which name no source."""
        return self.sources is None

    def covers(self, source: str) -> bool:
        """Return whether a source is inside."""
        return self.sources is None or source in self.sources

    def within(self, other: SourceScope) -> SourceScope:
        """Return what is inside both."""
        if self.sources is None:
            return other
        return self if other.sources is None else SourceScope(self.sources & other.sources)


EVERY_SOURCE: Final = SourceScope(None)
NO_SOURCE: Final = SourceScope(frozenset())
