"""A signed quantity of one instrument, with what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.money import exact_sum


@dataclass(frozen=True, slots=True)
class Position:
    """What one book of an account holds of one instrument. Positions add: the ledger is a list of additions.

    Attributes:
        quantity: Signed units: contracts, coins, currency, or face amount.
        cost: For margined contracts, the consideration of the open quantity in the settlement asset; zero for everything paid up.
    """

    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a whole account holds of one instrument, over its books. Margin looks at holdings only."""

    instrument_id: InstrumentId
    quantity: Decimal
    cost: Decimal


def net_holdings(positions: Iterable[Position]) -> tuple[Holding, ...]:
    """Return the holdings of the positions, sorted by instrument; what nets to nothing is left out."""
    totals: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
    for position in positions:
        quantity, cost = totals.get(position.instrument_id, (Decimal(0), Decimal(0)))
        totals[position.instrument_id] = (exact_sum((quantity, position.quantity)), exact_sum((cost, position.cost)))
    return tuple(Holding(name, quantity, cost) for name, (quantity, cost) in sorted(totals.items()) if quantity or cost)
