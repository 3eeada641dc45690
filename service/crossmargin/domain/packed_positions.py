"""Positions of an account as one text: small enough to keep those of a whole house, exact, and sent elsewhere without taking it apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.position import Position

_PARTS: Final = 4
_NAMES_KNOWN: Final = 100_000
"""Names are the same in every account, and checking their grammar is most of what making one costs."""


@dataclass(frozen=True, slots=True)
class PackedPositions:
    """Some 45 bytes a position, where a `Position` takes 400.

    Attributes:
        text: Book, instrument, quantity and cost of each position, in order, all separated by single spaces, which no name has; empty for
            none.
    """

    text: str = ""

    def unpacked(self) -> tuple[Position, ...]:
        """Return the positions, equal to those that were packed to the last digit.

        >>> PackedPositions("main USD 5.00 0").unpacked()
        (Position(book_id='main', instrument_id='USD', quantity=Decimal('5.00'), cost=Decimal('0')),)
        """
        if not self.text:
            return ()
        words = self.text.split(" ")
        columns = (words[place::_PARTS] for place in range(_PARTS))
        return tuple(
            Position(_book(book), _instrument(instrument), Decimal(quantity), Decimal(cost))
            for book, instrument, quantity, cost in zip(*columns, strict=True)
        )


def packed(positions: Iterable[Position]) -> PackedPositions:
    """Return positions as one text, in the order given."""
    return PackedPositions(" ".join(f"{one.book_id} {one.instrument_id} {one.quantity} {one.cost}" for one in positions))


@lru_cache(_NAMES_KNOWN)
def _book(text: str) -> BookId:
    return BookId(text)


@lru_cache(_NAMES_KNOWN)
def _instrument(text: str) -> InstrumentId:
    return InstrumentId(text)
