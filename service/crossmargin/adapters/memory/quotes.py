"""The last word of every source, and how far each has come."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.quote import Quote, SourceProgress
from crossmargin.usecases.ports.quote import QuoteBatch


class MemoryQuoteStore:
    """See `QuoteStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def record_quotes(self, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
        """Store what continues its source, and return its progress before and after."""
        before = await self.progress_of(batch.source)
        for quote in batch.accepted:
            if quote.sequence > before.last_sequence:
                self._database.quotes[quote.subject, quote.source] = quote
        after = before.after(batch.sequences)
        self._database.quote_sources[batch.source] = after
        return before, after

    async def progress_of(self, source: SourceId) -> SourceProgress:
        """Return how far a source has come."""
        return self._database.quote_sources.get(source, SourceProgress(source))

    async def latest_quotes(self) -> Sequence[Quote]:
        """Return the last quote of every source for every subject, in the order of subjects and sources."""
        return sorted(self._database.quotes.values(), key=lambda quote: (str(quote.subject), quote.source))
