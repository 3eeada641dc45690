"""Counts what would be published, where nobody scrapes."""

from __future__ import annotations

from collections import Counter

from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.market import MarketSnapshot


class MemoryQuoteMetrics:
    """See `QuoteMetrics`."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[SourceId, str]] = Counter()
        self.last_built: MarketSnapshot | None = None

    def quotes_received(self, source: SourceId, *, accepted: int, replayed: int, refused: int, missed: int) -> None:
        """Count what came of the quotes of one batch."""
        for outcome, count in (("accepted", accepted), ("replayed", replayed), ("refused", refused), ("missed", missed)):
            self.counts[source, outcome] += count

    def snapshot_built(self, snapshot: MarketSnapshot) -> None:
        """Keep the snapshot."""
        self.last_built = snapshot
