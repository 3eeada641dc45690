"""Positions of accounts as they were last read, so that what has not changed is not read again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias
from uuid import UUID

from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.position import Position

MOST_POSITIONS: Final = 200_000
"""Positions of all accounts kept, some 400 bytes each; the accounts that were asked for longest ago go for the next."""
_OWN_WEIGHT: Final = 2
"""What an account weighs by itself, in positions."""


@dataclass(frozen=True, slots=True)
class PositionsStamp:
    """What positions follow from.

    Attributes:
        sequence: Of the account's last entry. chain_hash: Of that entry, so of all up to it: books that were put back are others.
        epoch: Another one whenever the positions were made anew without an entry; None for never.
    """

    sequence: int
    chain_hash: bytes
    epoch: UUID | None


@dataclass(frozen=True, slots=True)
class KnownPositions:
    """Positions, and what they follow from."""

    stamp: PositionsStamp
    positions: tuple[Position, ...]


Known: TypeAlias = Mapping[AccountRef, KnownPositions]
"""What a question about books is asked with: its answer leaves out the positions of accounts that still stand so."""


class KeptPositions:
    """The positions that one process has read, for all whom it works for.

    Never an answer by themselves: the database is asked every time, behind its walls, and says whether an account is visible and stands
    where it stood. What is kept of an account is one tuple as long as it does, so whatever was worked out from it can be kept with it.
    """

    def __init__(self, *, most_positions: int = MOST_POSITIONS) -> None:
        self._kept: OrderedDict[AccountRef, KnownPositions] = OrderedDict()
        self._most_positions = most_positions
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, refs: Iterable[AccountRef]) -> Known:
        """Return what is kept of accounts, which are the last to be forgotten from now on."""
        found = {ref: self._kept[ref] for ref in refs if ref in self._kept}
        for ref in found:
            self._kept.move_to_end(ref)
        return found

    def keep(self, ref: AccountRef, stamp: PositionsStamp, positions: tuple[Position, ...]) -> None:
        """Keep what was read of an account; an account too large to be kept is read every time."""
        self._forget(ref)
        if len(positions) + _OWN_WEIGHT > self._most_positions:
            return
        self._kept[ref] = KnownPositions(stamp, positions)
        self._weight += len(positions) + _OWN_WEIGHT
        while self._weight > self._most_positions:
            self._forget(next(iter(self._kept)))

    def follow(self, entries: Sequence[Entry]) -> None:
        """Take note of entries that were committed, in the order of each account's chain: most of them move no position.

        What was kept of an account stands where its first entry continues it; its lock was held from there to the last one, so nobody can
        have made its positions anew in between.
        """
        for numbered in entries:
            ref, own = numbered.entry.account, numbered.entry.account.account_id
            kept = self._kept.get(ref)
            if kept is None or (kept.stamp.sequence, kept.stamp.chain_hash) != (numbered.sequence - 1, numbered.previous_hash):
                continue
            if any(posting.ledger_account == own for posting in numbered.entry.postings):
                continue
            self._kept[ref] = KnownPositions(PositionsStamp(numbered.sequence, numbered.chain_hash, kept.stamp.epoch), kept.positions)

    def _forget(self, ref: AccountRef) -> None:
        kept = self._kept.pop(ref, None)
        if kept is not None:
            self._weight -= len(kept.positions) + _OWN_WEIGHT


class Stamped(Protocol):
    """Anything that is known of an account's positions."""

    @property
    def stamp(self) -> PositionsStamp:
        """What it follows from."""
        ...


def columns_of(known: Mapping[AccountRef, Stamped]) -> dict[str, list[object]]:
    """Return what is known as the database takes it, a column for each part."""
    return {
        "known_client_ids": [ref.client_id for ref in known],
        "known_account_ids": [ref.account_id for ref in known],
        "known_sequences": [each.stamp.sequence for each in known.values()],
        "known_chain_hashes": [each.stamp.chain_hash for each in known.values()],
        "known_epochs": [each.stamp.epoch for each in known.values()],
    }
