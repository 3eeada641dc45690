"""End a reservation: its order was cancelled, or rests nowhere any more."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crossmargin.domain.book import append_to_chain
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.reservation import ReservationStatus, by_sequence
from crossmargin.domain.reservation_entry import entry_from_end
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome, outcome_or_refusal
from crossmargin.usecases.storage_errors import unknown_reservation


@dataclass(frozen=True, slots=True)
class Released:
    """Where the end of the reservation is in the account's ledger."""

    sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """Releases what is left of a reservation. That an order is gone is a fact, so a halt does not refuse it."""

    writer: Writer

    async def __call__(self, account: AccountRef, reservation: int, *, caller: Caller) -> Released:
        """Return the sequence of the end.

        Raises:
            DomainError: UNKNOWN_RESERVATION; RESERVATION_ENDED when it was filled, released or tidied away before; UNKNOWN_ACCOUNT; and
                whatever the write path refuses. An immediate one whose time is over, but that was not tidied away, can be released.
        """

        async def decide(books: Books) -> Decision:
            found = by_sequence(books.reservations[account]).get(reservation)
            if found is None:
                raise unknown_reservation(account, reservation)
            if found.status in {ReservationStatus.FILLED, ReservationStatus.RELEASED}:
                raise _ended(account, reservation, found.status)
            released = replace(found, status=ReservationStatus.RELEASED)
            entries = append_to_chain(books.states[account].head, (entry_from_end(released, at=books.now),))
            return Decision(encode_outcome({"sequence": entries[-1].sequence}), entries, reservations=(released,))

        request = caller.write_request("ReleaseReservation", [str(account), str(reservation)], (account,))
        outcome = await self.writer.decide(replace(request, reservations=(reservation,)), decide)
        return Released(outcome_or_refusal(outcome.response)["sequence"], outcome.replayed)


def _ended(account: AccountRef, reservation: int, status: ReservationStatus) -> DomainError:
    return DomainError(
        Reason.RESERVATION_ENDED,
        f"reservation {reservation} of {account} is {status.value}; there is nothing left to release",
        account=account,
        reservation=reservation,
        status=status.value,
    )
