"""A signed quantity of one instrument, with what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.money import EXACT, LEDGER_UNIT, exact_sum


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
    return holdings_with((), positions)


def holdings_with(holdings: Iterable[Holding], changes: Iterable[Position]) -> tuple[Holding, ...]:
    """Return holdings once positions have been added, sorted by instrument: what `net_holdings` says of all that is in either."""
    totals = {holding.instrument_id: holding for holding in holdings}
    for change in changes:
        held = totals.get(change.instrument_id)
        if held is None:
            quantity, cost = change.quantity, change.cost
        else:
            quantity, cost = exact_sum((held.quantity, change.quantity)), exact_sum((held.cost, change.cost))
        totals[change.instrument_id] = Holding(change.instrument_id, quantity, cost)
    return tuple(totals[name] for name in sorted(totals) if totals[name].quantity or totals[name].cost)


def closes(quantity: Decimal, held: Holding | Position | None) -> bool:
    """Return whether a trade reduces what is held and does not turn it over."""
    if held is None or not held.quantity:
        return False
    return held.quantity * quantity < 0 and quantity.copy_abs() <= held.quantity.copy_abs()


def closed_by(quantity: Decimal, held: Holding | Position | None) -> Decimal:
    """Return the part of a trade, signed like it, that closes what is held. The rest of it opens a position.

    >>> held = Holding(InstrumentId("PERP"), Decimal(4), Decimal(200))
    >>> [closed_by(Decimal(quantity), held) for quantity in (-3, -6, 1)]
    [Decimal('-3'), Decimal('-4'), Decimal('0')]
    """
    if held is None or held.quantity * quantity >= 0:
        return Decimal(0)
    return quantity if closes(quantity, held) else EXACT.minus(held.quantity)


def cost_of_part(held: Holding | Position, quantity: Decimal) -> Decimal:
    """Return the share of a cost that a part of what is held has, signed like it, to 18 places; of the whole all of it.

    >>> cost_of_part(Holding(InstrumentId("PERP"), Decimal(4), Decimal(200)), Decimal(1))
    Decimal('50.000000000000000000')
    """
    if quantity == held.quantity:
        return held.cost
    return EXACT.quantize(EXACT.divide(EXACT.multiply(held.cost, quantity), held.quantity), LEDGER_UNIT)
