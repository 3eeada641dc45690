"""One consistent view of the whole ledger: what the dictionaries held when it was opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from crossmargin.adapters.memory.anchors import anchored_heads
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.projections import MemoryProjections
from crossmargin.domain.audit_anchor import Anchor, AnchoredHead
from crossmargin.domain.book import Entry
from crossmargin.domain.ledger_audit import RecordedEntry, StoredEntry, StoredLeg, StoredPosition, UnreadableAnchor
from crossmargin.domain.projection import ProjectionDifference

T = TypeVar("T")


class MemoryLedgerView:
    """See `LedgerView`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._taken_at = datetime.now(tz=UTC)
        contents = database.contents
        self._heads = anchored_heads(contents)
        self._entries = {
            (entry.client_id, entry.account_id, entry.sequence): entry
            for name in sorted(contents.entries)
            for entry in [_entry(contents.entries[name], contents.recorded[name])]
        }
        self._positions = [
            StoredPosition(
                ref.client_id, ref.account_id, held[name].book_id, held[name].instrument_id, held[name].quantity, held[name].cost
            )
            for ref in sorted(contents.positions)
            for held in [contents.positions[ref]]
            for name in sorted(held)
        ]
        everyone = sorted({*contents.heads, *(ref for ref, _ in contents.reservations)})
        self._projection_differences = MemoryProjections(database).compare("reservation", everyone)
        self._anchors = list(database.anchors)

    @property
    def taken_at(self) -> datetime:
        """When it was opened."""
        return self._taken_at

    async def heads(self) -> AsyncIterator[Sequence[AnchoredHead]]:
        """Yield the heads in the order of their names."""
        for batch in _one_by_one(self._heads):
            yield batch

    async def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        """Yield the entries in the order of account and sequence, with their legs."""
        for batch in _one_by_one(self._entries.values()):
            yield batch

    async def positions(self) -> AsyncIterator[Sequence[StoredPosition]]:
        """Yield the positions in the order of account, book and instrument."""
        for batch in _one_by_one(self._positions):
            yield batch

    async def projection_differences(self) -> AsyncIterator[Sequence[ProjectionDifference]]:
        """Yield the reservations that are stored otherwise than the entries say."""
        for batch in _one_by_one(self._projection_differences):
            yield batch

    async def anchors(self) -> AsyncIterator[Sequence[Anchor | UnreadableAnchor]]:
        """Yield the anchors by number."""
        for batch in _one_by_one(self._anchors):
            yield batch

    async def posting_count(self) -> int:
        """Return how many postings there are."""
        return sum(len(entry.legs) for entry in self._entries.values())

    async def details_count(self) -> int:
        """Return how many entries have details stored."""
        return sum(entry.details is not None for entry in self._entries.values())

    async def recorded(self, heads: Sequence[AnchoredHead]) -> Sequence[RecordedEntry | None]:
        """Return what is stored for the entry of each head."""
        found = [self._entries.get((head.client_id, head.account_id, head.sequence)) for head in heads]
        return [None if entry is None else RecordedEntry(entry.chain_hash, entry.recorded_at) for entry in found]


def _entry(numbered: Entry, recorded_at: datetime) -> StoredEntry:
    entry = numbered.entry
    return StoredEntry(
        client_id=entry.account.client_id,
        account_id=entry.account.account_id,
        sequence=numbered.sequence,
        kind=entry.kind.value,
        effective_at=entry.effective_at,
        reference=entry.reference,
        previous_hash=numbered.previous_hash,
        chain_hash=numbered.chain_hash,
        recorded_at=recorded_at,
        legs=tuple(
            StoredLeg(number, leg.ledger_account, leg.book_id, leg.instrument_id, leg.quantity, leg.cost)
            for number, leg in enumerate(entry.postings, start=1)
        ),
        details=entry.details.text() or None,
        reverses=entry.details.reverses,
        event=entry.details.event or None,
    )


def _one_by_one(items: Iterable[T]) -> Iterable[Sequence[T]]:
    return ((item,) for item in items)
