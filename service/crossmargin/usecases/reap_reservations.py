"""Enter into the ledger that immediate reservations are over. It changes no decision: those count by the time, not by this."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from crossmargin.domain.book import append_to_chain
from crossmargin.domain.errors import DomainError
from crossmargin.domain.reservation import Reservation, ReservationStatus, by_sequence
from crossmargin.domain.reservation_entry import entry_from_end
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome

POLL_INTERVAL_S: Final = 5.0
BATCH_SIZE: Final = 100
REAPER: Final = "crossmargin"


@dataclass(frozen=True, slots=True)
class ReapReservations:
    """Runs for ever, on any number of replicas: each end is entered once, under a key of its own."""

    writer: Writer
    books: BookReader
    clock: Clock

    async def __call__(self) -> None:
        """Tidy every few seconds until cancelled; storage that is away is tried again."""
        while True:
            with contextlib.suppress(DomainError):
                await self.run_once()
            await self.clock.sleep(POLL_INTERVAL_S)

    async def run_once(self) -> int:
        """Tidy what is overdue now, and return how many that were."""
        overdue = await self.books.overdue_reservations(limit=BATCH_SIZE)
        for one in overdue:
            await self._tidy(one)
        return len(overdue)

    async def _tidy(self, overdue: Reservation) -> None:
        account = overdue.order.account

        async def decide(books: Books) -> Decision:
            found = by_sequence(books.reservations[account]).get(overdue.sequence)
            if found is None or found.status is not ReservationStatus.EXPIRED:
                return Decision(encode_outcome({"tidied": False}))
            entries = append_to_chain(books.states[account].head, (entry_from_end(found, at=books.now),))
            return Decision(encode_outcome({"tidied": True}), entries, reservations=(found,))

        key = f"{account}/reservations/{overdue.sequence}"
        # A name of three parts may be longer than a key.
        request = Caller(REAPER, sha256(key.encode()).hexdigest()).write_request("ReapReservation", [key], (account,))
        await self.writer.decide(request, decide)
