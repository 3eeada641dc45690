"""Follow what an account holds, entry by entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.money import exact_sum
from crossmargin.domain.position import Position
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.runtime import Clock

POLL_INTERVAL_S: Final = 0.1
_BATCH_SIZE: Final = 256
_Held: TypeAlias = dict[tuple[BookId, InstrumentId], Position]


@dataclass(frozen=True, slots=True)
class PositionsUpdate:
    """What an account holds after an entry.

    Attributes:
        sequence: The last entry that is in it; whoever watches again from it misses nothing and is told nothing twice.
        entry: The entry; None when the update is the state at the beginning of a watch.
        positions: What the entry changed, closed positions with a quantity of zero; at the beginning, everything that is open.
    """

    sequence: int
    entry: Entry | None
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class WatchPositions:
    """Yields every entry of an account with the positions that it changed, in order, without gap or repetition.

    The account's sequence is polled. It is gapless and handed out under the account's lock, so what is above the last one seen is new and
    nothing can appear below it. Updates are made when they are asked for: a reader who is slow is never ahead of by more than one batch.
    """

    books: BookReader
    clock: Clock

    async def __call__(self, account: AccountRef, *, after_sequence: int | None) -> AsyncIterator[PositionsUpdate]:
        """Yield updates without end: those after a sequence, or the present state and then what follows when it is None.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; SEQUENCE_NOT_REACHED for a sequence that the account has not come to.
        """
        if after_sequence is None:
            state = await self.books.account_state(account)
            yield PositionsUpdate(state.head.sequence, None, state.positions)
        else:
            state = await self.books.account_state_at(account, after_sequence)
        sequence = state.head.sequence
        held: _Held = {(position.book_id, position.instrument_id): position for position in state.positions}
        while True:
            if await self.books.account_sequence(account) == sequence:
                await self.clock.sleep(POLL_INTERVAL_S)
                continue
            for entry in await self.books.list_entries(account, after_sequence=sequence, limit=_BATCH_SIZE):
                changed = _changed(held, entry)
                held.update(changed)
                sequence = entry.sequence
                yield PositionsUpdate(sequence, entry, tuple(changed.values()))


def _changed(held: Mapping[tuple[BookId, InstrumentId], Position], entry: Entry) -> _Held:
    changed: _Held = {}
    for leg in entry.entry.postings:
        if leg.ledger_account == entry.entry.account.account_id:
            name = (leg.book_id, leg.instrument_id)
            before = changed.get(name) or held.get(name) or Position(*name, Decimal(0))
            quantity, cost = exact_sum((before.quantity, leg.quantity)), exact_sum((before.cost, leg.cost))
            changed[name] = Position(*name, quantity, cost)
    return changed
