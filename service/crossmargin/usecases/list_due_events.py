"""List the lifecycle events that are due and that nobody has booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from crossmargin.domain.book import EntryKind
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument, Perpetual
from crossmargin.domain.lifecycle_due import ExpectedEvent, expected_end, expected_payments
from crossmargin.domain.lifecycle_event import is_application_of
from crossmargin.usecases.ports.books import BookedEvent, BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import Clock

LOOK_BACK: Final = timedelta(days=400)
"""Payments older than that are not looked for: who has missed one for a year has heard of it from somebody else."""
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class DueEvent:
    """An event that is missing in one account's books.

    Attributes:
        name: As it will be booked; of an end, what ends the instrument.
        due: Since when it could have been booked.
    """

    account: AccountRef
    instrument_id: InstrumentId
    name: str
    due: datetime


@dataclass(frozen=True, slots=True)
class ListDueEvents:
    """Compares what the terms of instruments promise with what accounts have booked.

    A coupon or payment is missing where the instrument was held at its time; an end, where anything of it is still held; funding, whose
    times no terms say, where the contract was held at a time for which another account has booked it. Read without any lock: what is
    booked meanwhile may still be listed, once.
    """

    books: BookReader
    instruments: InstrumentReader
    clock: Clock

    async def __call__(self, account: AccountRef | None = None) -> tuple[DueEvent, ...]:
        """Return what is missing, oldest first; of one account when one is given, which may not exist."""
        found: list[DueEvent] = []
        after: InstrumentId | None = None
        while True:
            page = await self.instruments.list_instruments(Page(_PAGE_SIZE, after))
            for instrument in page:
                found += await self._of_instrument(instrument, account)
            if len(page) < _PAGE_SIZE:
                return tuple(sorted(found, key=lambda event: (event.due, event.account, event.name)))
            after = page[-1].instrument_id

    async def _of_instrument(self, instrument: Instrument, account: AccountRef | None) -> list[DueEvent]:
        now = self.clock.now()
        since = now - LOOK_BACK
        payments = expected_payments(instrument, after=since, until=now)
        end = expected_end(instrument)
        is_over = end is not None and end.due <= now
        if not (payments or is_over or isinstance(instrument.terms, Perpetual)):
            return []
        holders = [ref for ref in await self.books.accounts_with(instrument.instrument_id) if account in {None, ref}]
        if not holders:
            return []
        booked = await self.books.booked_events(instrument.instrument_id, since=since)
        payments += _known_funding(instrument, booked)
        found = [
            DueEvent(ref, instrument.instrument_id, payment.name, payment.due)
            for payment in payments
            for ref in holders
            if not _is_booked(payment, ref, booked) and await self._holds(ref, instrument, payment.due)
        ]
        if end is not None and is_over:
            found += [
                DueEvent(ref, instrument.instrument_id, end.name, end.due)
                for ref in holders
                if await self._holds(ref, instrument, _END_OF_TIME)
            ]
        return found

    async def _holds(self, ref: AccountRef, instrument: Instrument, at: datetime) -> bool:
        held = await self.books.instrument_positions(ref, instrument.instrument_id, until=at)
        return any(position.quantity for position in held.positions)


def _known_funding(instrument: Instrument, booked: Sequence[BookedEvent]) -> tuple[ExpectedEvent, ...]:
    """Return the funding that some account has booked, and that others who held the contract should have as well."""
    prefix = f"{EntryKind.FUNDING.value} "
    times = {(event.name.partition(" #")[0], event.effective_at) for event in booked if event.name.startswith(prefix)}
    return tuple(ExpectedEvent(instrument.instrument_id, name, at) for name, at in sorted(times))


def _is_booked(expected: ExpectedEvent, ref: AccountRef, booked: Sequence[BookedEvent]) -> bool:
    return any(event.account == ref and is_application_of(event.name, expected.name) for event in booked)
