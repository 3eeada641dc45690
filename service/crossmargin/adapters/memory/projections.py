"""Projections of the ledger, compared with it and built from it anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from crossmargin.adapters.memory.books import positions_of
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.position import Position
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.storage_errors import unknown_account

_POSITION: Final = "position"


class MemoryProjections:
    """See `Projections`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    @property
    def names(self) -> tuple[str, ...]:
        """What there is."""
        return (_POSITION,)

    async def differences(self, name: str, accounts: Sequence[AccountRef]) -> Sequence[ProjectionDifference]:  # noqa: ARG002 - there is one
        """Return the rows of accounts that are not what the ledger says."""
        return [difference for ref in sorted(accounts) for difference in self._compare(ref)]

    async def rebuild(self, name: str, account: AccountRef) -> Sequence[ProjectionDifference]:  # noqa: ARG002 - there is one
        """Replace what is stored for an account by what the ledger says, and return what was different."""
        if account not in self._contents.heads:
            raise unknown_account(account)
        found = self._compare(account)
        if found:
            self._contents.positions[account] = self._due(account)
        return found

    def _compare(self, ref: AccountRef) -> list[ProjectionDifference]:
        due = self._due(ref)
        stored = {name: held for name, held in self._contents.positions.get(ref, {}).items() if held.quantity or held.cost}
        return [
            ProjectionDifference(_POSITION, ref, f"book {name[0]}, instrument {name[1]}", _words(stored.get(name)), _words(due.get(name)))
            for name in sorted(due.keys() | stored.keys())
            if due.get(name) != stored.get(name)
        ]

    def _due(self, ref: AccountRef) -> Mapping[tuple[BookId, InstrumentId], Position]:
        entries = [entry for (owner, _), entry in sorted(self._contents.entries.items()) if owner == ref]
        return {(position.book_id, position.instrument_id): position for position in positions_of(ref, entries)}


def _words(position: Position | None) -> str | None:
    return None if position is None else f"quantity {format_decimal(position.quantity)}, cost {format_decimal(position.cost)}"
