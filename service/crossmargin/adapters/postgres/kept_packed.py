"""Packed positions of a whole house as they were last read, so that what has not moved is not read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from crossmargin.adapters.postgres.kept_positions import PositionsStamp
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.packed_positions import PackedPositions

MOST_BYTES: Final = 256 * 2**20
"""Of all texts kept, some 70 bytes a position: 10,000 accounts of 200 positions take 140 MB."""
_OWN_BYTES: Final = 500
"""What an account takes by itself."""


@dataclass(frozen=True, slots=True)
class KnownPacked:
    """Packed positions, and what they follow from."""

    stamp: PositionsStamp
    positions: PackedPositions

    @property
    def weight(self) -> int:
        """Bytes that it takes."""
        return len(self.positions.text) + _OWN_BYTES


class KeptPacked:
    """Packed positions that one process has read, of as many accounts as there is room for.

    Never an answer by themselves: the database is asked every time and says whether an account stands where it stood. A house is read from
    end to end, so nothing that is kept makes room for the next: it would be gone before its turn came again. What there is no room for is
    read every time.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._kept: dict[AccountRef, KnownPacked] = {}
        self._most_bytes = most_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, refs: Iterable[AccountRef]) -> Mapping[AccountRef, KnownPacked]:
        """Return what is kept of accounts."""
        return {ref: self._kept[ref] for ref in refs if ref in self._kept}

    def keep(self, ref: AccountRef, stamp: PositionsStamp, positions: PackedPositions) -> None:
        """Keep what was read of an account in place of what was kept of it before."""
        before = self._kept.pop(ref, None)
        self._bytes -= before.weight if before is not None else 0
        new = KnownPacked(stamp, positions)
        if self._bytes + new.weight <= self._most_bytes:
            self._kept[ref] = new
            self._bytes += new.weight
