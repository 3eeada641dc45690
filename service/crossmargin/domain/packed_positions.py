"""Positions of an account as one text: small enough to keep those of a whole house, exact, and sent elsewhere without taking it apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from crossmargin.domain.holding_columns import HoldingColumns
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.position import Holding, Position, net_holdings

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

    def netted(self) -> Sequence[Holding]:
        """Return the holdings that the positions net to, equal to `net_holdings` of them to the last digit.

        Where no instrument is in two books, which is nearly always, nothing has to be added up and no number is made on the way.

        >>> list(PackedPositions("main USD 5.00 0").netted())
        [Holding(instrument_id='USD', quantity=Decimal('5.00'), cost=Decimal('0'))]
        """
        words = self.text.split(" ") if self.text else []
        names = words[1::_PARTS]
        if len(set(names)) < len(names):
            return net_holdings(self.unpacked())
        held = [one for one in zip(names, words[2::_PARTS], words[3::_PARTS], strict=True) if _is_some(one[1]) or _is_some(one[2])]
        if not held:
            return ()
        ordered, quantities, costs = zip(*sorted(held), strict=True)
        return HoldingColumns(tuple(map(_instrument, ordered)), quantities, costs)


def packed(positions: Iterable[Position]) -> PackedPositions:
    """Return positions as one text, in the order given."""
    return PackedPositions(" ".join(f"{one.book_id} {one.instrument_id} {one.quantity} {one.cost}" for one in positions))


def _is_some(text: str) -> bool:
    """Return whether a decimal is not zero, which its first digit says that is none."""
    return text.lstrip("-0.")[:1].isdigit()


@lru_cache(_NAMES_KNOWN)
def _book(text: str) -> BookId:
    return BookId(text)


@lru_cache(_NAMES_KNOWN)
def _instrument(text: str) -> InstrumentId:
    return InstrumentId(text)
