"""Projections of the ledger, compared with it and built from it anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from crossmargin.adapters.memory.books import positions_of
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.position import Position
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.domain.reservation import Reservation, ReservationStatus
from crossmargin.domain.reservation_entry import reservations_from_entries
from crossmargin.usecases.storage_errors import unknown_account

_POSITION: Final = "position"
_RESERVATION: Final = "reservation"


class MemoryProjections:
    """See `Projections`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    @property
    def names(self) -> tuple[str, ...]:
        """What there is."""
        return (_POSITION, _RESERVATION)

    async def differences(self, name: str, accounts: Sequence[AccountRef]) -> Sequence[ProjectionDifference]:
        """Return the rows of accounts that are not what the ledger says."""
        return self.compare(name, accounts)

    async def rebuild(self, name: str, account: AccountRef) -> Sequence[ProjectionDifference]:
        """Replace what is stored for an account by what the ledger says, and return what was different."""
        if account not in self._contents.heads:
            raise unknown_account(account)
        found = self.compare(name, [account])
        if found and name == _POSITION:
            self._contents.positions[account] = self._positions_due(account)
        elif found:
            for stored in [key for key in self._contents.reservations if key[0] == account]:
                del self._contents.reservations[stored]
            due = reservations_from_entries(self._entries(account))
            self._contents.reservations.update({(account, number): one for number, one in due.items()})
        return found

    def compare(self, name: str, accounts: Sequence[AccountRef]) -> list[ProjectionDifference]:
        """Return the differences of accounts at once."""
        rows = self._position_rows if name == _POSITION else self._reservation_rows
        found = list[ProjectionDifference]()
        for ref in sorted(accounts):
            stored, due = rows(ref)
            found += [
                ProjectionDifference(name, ref, row, stored.get(row), due.get(row))
                for row in sorted(due.keys() | stored.keys())
                if due.get(row) != stored.get(row)
            ]
        return found

    def _position_rows(self, ref: AccountRef) -> tuple[Mapping[str, str], Mapping[str, str]]:
        stored = [held for held in self._contents.positions.get(ref, {}).values() if held.quantity or held.cost]
        both = (stored, self._positions_due(ref).values())
        first, second = ({f"book {one.book_id}, instrument {one.instrument_id}": _position_words(one) for one in side} for side in both)
        return first, second

    def _reservation_rows(self, ref: AccountRef) -> tuple[Mapping[str, str], Mapping[str, str]]:
        stored = [one for (owner, _), one in self._contents.reservations.items() if owner == ref]
        both = (stored, reservations_from_entries(self._entries(ref)).values())
        first, second = ({f"sequence {one.sequence}": _reservation_words(one) for one in side} for side in both)
        return first, second

    def _positions_due(self, ref: AccountRef) -> Mapping[tuple[BookId, InstrumentId], Position]:
        return {(position.book_id, position.instrument_id): position for position in positions_of(ref, self._entries(ref))}

    def _entries(self, ref: AccountRef) -> list[Entry]:
        return [entry for (owner, _), entry in sorted(self._contents.entries.items()) if owner == ref]


def _position_words(position: Position) -> str:
    return f"quantity {format_decimal(position.quantity)}, cost {format_decimal(position.cost)}"


def _reservation_words(one: Reservation) -> str:
    order = one.order
    # A suspect one is stored as active, because that depends on the time.
    state = ReservationStatus.ACTIVE if one.status.counts else one.status
    said = {
        "book_id": order.book_id,
        "instrument_id": order.instrument_id,
        "settlement": order.settlement,
        "quantity": format_decimal(order.quantity),
        "price": format_decimal(order.price),
        "kind": order.kind.value,
        "lifetime_s": int(order.lifetime.total_seconds()),
        "reference": order.reference,
        "consideration": format_decimal(one.consideration),
        "paid_in": one.paid_in,
        "filled": format_decimal(one.filled),
        "reserved_by": one.reserved_by,
        "reserved_at": one.reserved_at,
        "expires_at": one.expires_at,
        "state": state.value,
    }
    return ", ".join(f"{name} {value}" for name, value in said.items())
