"""What sources of the market say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.quote import Quote, SourceProgress


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """What one source has sent at once.

    Attributes:
        sequences: Of every quote in it, in the order they came, also of those that were refused.
        accepted: The quotes that were not refused.
    """

    source: SourceId
    sequences: tuple[int, ...]
    accepted: tuple[Quote, ...]


class QuoteStore(Protocol):
    """The last word of every source on every subject, and how far each source has come."""

    async def record_quotes(self, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
        """Store what continues its source, durably, and return the source's progress before and after.

        Of the accepted quotes those count whose sequence is new (see `new_sequences`); of each subject the last. What a source has said
        already changes nothing, so a batch may be sent again. Batches of one source wait for one another.
        """
        ...

    async def progress_of(self, source: SourceId) -> SourceProgress:
        """Return how far a source has come; a source that nobody has heard of is at the beginning."""
        ...

    async def latest_quotes(self) -> Sequence[Quote]:
        """Return the last quote of every source for every subject, in the order of subjects and sources."""
        ...


class QuoteMetrics(Protocol):
    """Where the quality of the market is published."""

    def quotes_received(self, source: SourceId, *, accepted: int, replayed: int, refused: int, missed: int) -> None:
        """Count what came of the quotes of one batch, and the sequences that the source jumped over."""
        ...

    def snapshot_built(self, snapshot: MarketSnapshot) -> None:
        """Publish how many levels and marks of a snapshot can be believed how far, which levels cannot, and how its stablecoins stand."""
        ...

    def withdraw_market(self) -> None:
        """Stop publishing the quality of a market: this process no longer builds it."""
        ...
