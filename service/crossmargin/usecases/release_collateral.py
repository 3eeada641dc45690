"""Whether collateral may leave an account, and if not, how much of it might."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Final

from crossmargin.domain.approval import MarginNeed, is_releasable
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BookId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market_gate import Action, market_refusal
from crossmargin.domain.money import EXACT, LEDGER_LIMIT, exact_sum, format_decimal
from crossmargin.domain.position import Position
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.open_orders import Block, worst_need
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.weigh_order import quality_with

_MOST_STEPS: Final = 8
_NOBODY_KNOWS: Final = EXACT.minus(LEDGER_LIMIT)
"""Excess of an account that market data says nothing about."""


@dataclass(frozen=True, slots=True)
class CollateralRelease:
    """What is to leave an account, and what the account is left with.

    Attributes:
        refusal: Why it may not; None if it may.
        after: What the account needs at worst without it.
    """

    refusal: DomainError | None
    after: MarginNeed


def weigh_release(  # noqa: PLR0917 - what leaves what, and under which circumstances
    view: MarketView,
    state: AccountState,
    blocks: Sequence[Block],
    instrument: Instrument,
    quantity: Decimal,
    owed: Decimal,
    *,
    book_id: BookId,
) -> CollateralRelease:
    """Return whether so much of an instrument may leave an account. Numpy work.

    It may when the account holds that much, over all its books and without what the street still owes it (`owed`), and equity covers the
    initial margin without it, whatever its open orders do. A refusal says the largest quantity that would have been allowed at the same
    moment.
    """
    name = instrument.instrument_id
    on_trade_date = exact_sum(position.quantity for position in state.positions if position.instrument_id == name)
    held = EXACT.subtract(on_trade_date, owed)

    def need(leaving: Decimal) -> MarginNeed:
        return worst_need(view, state, blocks, (Position(book_id, name, EXACT.minus(leaving)),))

    after = need(quantity)
    if quantity <= held:
        quality = quality_with(view, state, (Position(book_id, name, EXACT.minus(quantity)),))
        doubted = () if quality is None else quality.doubted
        doubt = market_refusal(Action.WITHDRAWAL, doubted, covers_at_levels=after.excess >= 0, least_excess=after.least_excess)
        if doubt is not None or is_releasable(after):
            return CollateralRelease(doubt, after)
    most = max(Decimal(0), min(held, quantity))
    largest = _largest(need, most, places=instrument.quantity_places)
    facts: dict[str, object] = {
        "account": state.account.ref,
        "instrument": name,
        "value": format_decimal(quantity),
        "held": format_decimal(held),
        "largest_quantity": format_decimal(largest),
    }
    if quantity > held:
        words = f"{state.account.ref} holds {format_decimal(held)} {name}; {format_decimal(quantity)} were asked for; "
        if owed:
            facts["unsettled"] = format_decimal(owed)
            words += f"{format_decimal(owed)} more were bought and are not settled yet; "
        reason = Reason.INSUFFICIENT_HOLDING
    else:
        words = f"without {format_decimal(quantity)} {name}, {state.account.ref} could be {-after.excess} short of its initial margin; "
        reason = Reason.INSUFFICIENT_MARGIN
        facts |= {"excess_after": after.excess, "excess_before": need(Decimal(0)).excess}
    return CollateralRelease(DomainError(reason, f"{words}at most {facts['largest_quantity']} may leave now", **facts), after)


def _largest(need: Callable[[Decimal], MarginNeed], most: Decimal, *, places: int) -> Decimal:
    """Return a quantity that may leave, as large as the steps allow to know; every quantity returned was tried.

    The excess is concave in what leaves, so where the chord from a quantity that may leave to one that may not crosses zero, the excess
    is zero or more: each step is a larger quantity that may leave. For cash, where the excess is a straight line, one step is exact.
    """
    if not most:
        return most
    high, high_excess = most, _sure_excess(need(most))
    if high_excess >= 0:
        return high
    low, low_excess = Decimal(0), _sure_excess(need(Decimal(0)))
    if low_excess < 0:
        return low
    for _ in range(_MOST_STEPS):
        with localcontext(EXACT):
            crossing = low + (high - low) * low_excess / (low_excess - high_excess)
        tried = crossing.quantize(Decimal(1).scaleb(-places), rounding=ROUND_FLOOR, context=EXACT)
        if tried <= low:
            break
        excess = _sure_excess(need(tried))
        if excess >= 0:
            low, low_excess = tried, excess
        else:
            high, high_excess = tried, excess
    return low


def _sure_excess(need: MarginNeed) -> Decimal:
    """Return the excess that is there wherever the market really is."""
    return _NOBODY_KNOWS if need.least_excess is None else min(need.excess, need.least_excess)
