"""Holdings of an account as columns of text: exact, and numbers are made of a text only where somebody asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import overload

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.position import Holding


@dataclass(frozen=True, slots=True, eq=False)
class HoldingColumns(Sequence[Holding]):
    """What a tuple of `Holding`s says, equal to it, for a tenth of the time: who margins a house asks few holdings for their last digit.

    Attributes:
        names: Of the instruments, ascending, one for each holding.
        quantities, costs: Decimals as they are written.

    >>> held = HoldingColumns((InstrumentId("BTC"), InstrumentId("USD")), ("0.50", "-3"), ("0", "0"))
    >>> held[0]
    Holding(instrument_id='BTC', quantity=Decimal('0.50'), cost=Decimal('0'))
    """

    names: tuple[InstrumentId, ...]
    quantities: tuple[str, ...]
    costs: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Holding: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Holding, ...]: ...
    def __getitem__(self, place: int | slice) -> Holding | tuple[Holding, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self.names))))
        return Holding(self.names[place], Decimal(self.quantities[place]), Decimal(self.costs[place]))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, HoldingColumns)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def names_of(holdings: Sequence[Holding]) -> Sequence[InstrumentId]:
    """Return the instruments that are held, in the order of the holdings, of which none is made."""
    return holdings.names if isinstance(holdings, HoldingColumns) else [holding.instrument_id for holding in holdings]
