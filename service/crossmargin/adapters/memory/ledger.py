"""Reads of an account's entries, and of what was held because of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.book import Entry, EntryKind, Posting
from crossmargin.domain.identifiers import AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.lifecycle_event import is_application_of, is_event_of, settlement_event
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.position import Position
from crossmargin.usecases.ports.books import BookedEntry, BookedEvent, InstrumentPositions
from crossmargin.usecases.storage_errors import unknown_account


class MemoryLedgerReader:
    """See `LedgerReader`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    async def account_sequence(self, ref: AccountRef) -> int:
        """Return the last sequence of an account; UNKNOWN_ACCOUNT if there is none."""
        if ref not in self._contents.heads:
            raise unknown_account(ref)
        return self._contents.heads[ref].sequence

    async def sequence_recorded_before(self, ref: AccountRef, moment: datetime) -> int:
        """Return the last sequence that was written before a moment, 0 for none; UNKNOWN_ACCOUNT."""
        last = await self.account_sequence(ref)
        return max((number for number in range(1, last + 1) if self._contents.recorded[ref, number] < moment), default=0)

    async def list_entries(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Entry]:
        """Return entries of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        last = min(await self.account_sequence(ref), after_sequence + limit)
        return [self._contents.entries[ref, sequence] for sequence in range(after_sequence + 1, last + 1)]

    async def get_entry(self, ref: AccountRef, sequence: int) -> BookedEntry | None:
        """Return an entry of an account; None when it has none of this number."""
        entry = self._contents.entries.get((ref, sequence))
        return None if entry is None else self._booked(entry)

    async def list_trades(
        self, ref: AccountRef, *, book_id: BookId | None, instrument_id: InstrumentId | None, after_sequence: int, limit: int
    ) -> Sequence[BookedEntry]:
        """Return entries of trades in sequence order; UNKNOWN_ACCOUNT."""
        last = await self.account_sequence(ref)
        found = [
            self._booked(entry)
            for entry in self._entries(ref, after_sequence + 1, last)
            if entry.entry.kind is EntryKind.TRADE
            and book_id in {None, entry.entry.postings[0].book_id}
            and instrument_id in {None, entry.entry.postings[0].instrument_id}
        ]
        return found[:limit]

    async def event_entries(self, ref: AccountRef, event: str) -> Sequence[BookedEntry]:
        """Return the entries of an account that book the lifecycle event of this name, oldest first."""
        numbers = sorted(
            number for (owner, name), number in self._contents.events.items() if owner == ref and is_application_of(name, event)
        )
        return [self._booked(self._contents.entries[ref, number]) for number in numbers]

    async def event_counts(self, ref: AccountRef, events: Sequence[str]) -> Sequence[int]:
        """Return how often an account has booked each of these events."""
        return [len(await self.event_entries(ref, event)) for event in events]

    async def booked_events(self, instrument_id: InstrumentId, *, since: datetime) -> Sequence[BookedEvent]:
        """Return the standing events of an instrument in all accounts."""
        found = [
            BookedEvent(ref, name, self._contents.entries[ref, sequence].entry.effective_at)
            for (ref, name), sequence in self._contents.events.items()
            if is_event_of(name, instrument_id) and (ref, sequence) not in self._contents.reversals
        ]
        return sorted((one for one in found if one.effective_at >= since), key=lambda one: (one.account, one.name))

    async def unsettled_trades(self, ref: AccountRef, *, settle_date: date, limit: int | None = None) -> Sequence[Entry]:
        """Return the trades that settle by this day and have been neither settled nor cancelled, oldest first."""
        found: list[Entry] = []
        for entry in self._entries(ref, 1, await self.account_sequence(ref)):
            due = entry.entry.details.settle_date
            if due is not None and due <= settle_date and self._booked(entry).reversed_by is None:
                settled = await self.event_entries(ref, settlement_event(entry.sequence))
                if all(one.reversed_by is not None for one in settled):
                    found.append(entry)
        return found[:limit]

    async def instrument_positions(self, ref: AccountRef, instrument_id: InstrumentId, *, until: datetime) -> InstrumentPositions:
        """Return what was held at a time; UNKNOWN_ACCOUNT."""
        last = await self.account_sequence(ref)
        legs: defaultdict[BookId, list[Posting]] = defaultdict(list)
        for entry in self._entries(ref, 1, last):
            if entry.entry.effective_at <= until:
                for leg in entry.entry.postings:
                    if (leg.ledger_account, leg.instrument_id) == (ref.account_id, instrument_id):
                        legs[leg.book_id].append(leg)
        held = [
            Position(book, instrument_id, exact_sum(leg.quantity for leg in own), exact_sum(leg.cost for leg in own))
            for book, own in sorted(legs.items())
        ]
        return InstrumentPositions(last, tuple(position for position in held if position.quantity or position.cost))

    async def withdrawn_alone(self, client_id: ClientId, *, since: datetime) -> Mapping[InstrumentId, Decimal]:
        """Return what has left a client's accounts by withdrawals of one person."""
        left: defaultdict[InstrumentId, list[Decimal]] = defaultdict(list)
        for (ref, _), stored in self._contents.entries.items():
            entry = stored.entry
            is_alone = entry.kind is EntryKind.WITHDRAWAL and entry.details.persons is None
            if ref.client_id == client_id and is_alone and entry.effective_at >= since:
                for leg in entry.postings:
                    if leg.ledger_account == ref.account_id:
                        left[leg.instrument_id].append(EXACT.minus(leg.quantity))
        return {instrument_id: exact_sum(quantities) for instrument_id, quantities in left.items()}

    async def accounts_with(self, instrument_id: InstrumentId) -> Sequence[AccountRef]:
        """Return the accounts that hold an instrument or ever held it, in the order of their names."""
        return sorted(ref for ref, held in self._contents.positions.items() if any(name == instrument_id for _, name in held))

    def _entries(self, ref: AccountRef, first: int, last: int) -> Iterator[Entry]:
        return (self._contents.entries[ref, number] for number in range(first, last + 1))

    def _booked(self, entry: Entry) -> BookedEntry:
        return BookedEntry(entry, self._contents.reversals.get((entry.entry.account, entry.sequence)))
