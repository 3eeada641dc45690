"""Approve an order and hold the margin that it may need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.book import append_to_chain
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.halt import halted
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.reservation import (
    MOST_OPEN,
    Order,
    Reservation,
    ReservationStatus,
    changes_of,
    fill_blocks,
    reservation_of,
)
from crossmargin.domain.reservation_entry import entry_from_reservation
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.check_limits import order_refusal
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.known_instruments import instruments_by_name
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.weigh_order import OrderWeight, is_small, weigh_order


@dataclass(frozen=True, slots=True)
class Reserved:
    """An approval.

    Attributes:
        before: What the account needed at worst, with the orders that were open already.
        after: What it needs at worst with this one as well, filled or not.
    """

    reservation: Reservation
    before: MarginNeed
    after: MarginNeed
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReserveMargin:
    """Decides on an order under the lock of its account, so that two orders never use the same margin."""

    decide_on_market: DecideOnMarket
    instruments: InstrumentReader
    compute: ComputePool

    async def __call__(self, order: Order, *, caller: Caller) -> Reserved:
        """Return the reservation of an order that was approved now, or was under the same key before.

        Raises:
            DomainError: HALTED, TOO_MANY_RESERVATIONS, LIMIT_EXCEEDED, INSUFFICIENT_MARGIN, or SUSPECT_, STALE_ or MISSING_MARKET_DATA
                when it was refused, now or under the same key before: a refusal is for good. Also UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT,
                ACCOUNT_CLOSED, what a trade of this quantity at this price is refused with, the reason why an instrument that is held or
                ordered cannot be valued, and whatever the write path refuses: those are not bound to the key.
        """
        instrument, settlement = await self._instruments(order)

        async def decide(books: Books, view: MarketView) -> Decision:
            head = books.states[order.account].head.check_open()
            wanted = reservation_of(order, instrument, settlement, sequence=head.sequence + 1, reserved_by=caller.principal, now=books.now)
            refusal = _refusal_without_numbers(books, order.account)
            if refusal is not None:
                return Decision(encode_refusal(refusal))
            run = self.compute.run_small if _is_small(books, view, wanted) else self.compute.run
            refusal, weight = await run(lambda: _weigh(books, view, wanted))
            if refusal is not None:
                return Decision(encode_refusal(refusal))
            entries = append_to_chain(head, (entry_from_reservation(wanted),))
            return Decision(encode_outcome(_document(wanted, weight)), entries, reservations=(wanted,))

        request = caller.write_request("ReserveMargin", [repr(order)], (order.account,), is_fact=False)
        outcome = await self.decide_on_market(request, decide)
        return _reserved(order, outcome_or_refusal(outcome.response), replayed=outcome.replayed)

    async def _instruments(self, order: Order) -> tuple[Instrument, Instrument | None]:
        names = [name for name in (order.instrument_id, order.settlement) if name]
        known = await instruments_by_name(self.decide_on_market.current_market, self.instruments, names)
        return known[order.instrument_id], known[order.settlement] if order.settlement else None


def _refusal_without_numbers(books: Books, account: AccountRef) -> DomainError | None:
    if books.halts:
        return halted(books.halts[0])
    still_open = [one for one in books.reservations[account] if one.status.counts]
    if len(still_open) < MOST_OPEN:
        return None
    return DomainError(
        Reason.TOO_MANY_RESERVATIONS,
        f"{account} has {len(still_open)} open reservations, the most there may be; release those whose orders have ended",
        account=account,
        expected=MOST_OPEN,
    )


def _is_small(books: Books, view: MarketView, wanted: Reservation) -> bool:
    """Return whether weighing is little work; limits are held against everything that they cover, which may be all accounts of a client."""
    account = wanted.order.account
    return not books.limits and is_small(view, books.states[account], fill_blocks(books.reservations[account]), changes_of(wanted))


def _weigh(books: Books, view: MarketView, wanted: Reservation) -> tuple[DomainError | None, OrderWeight]:
    account, order = wanted.order.account, changes_of(wanted)
    weight = weigh_order(view, books.states[account], fill_blocks(books.reservations[account]), order)
    refusal = order_refusal(books, view.market, account, order) or weight.market_refusal
    if refusal is None and not weight.is_approvable:
        refusal = _insufficient_margin(account, weight)
    return refusal, weight


def _insufficient_margin(account: AccountRef, weight: OrderWeight) -> DomainError:
    before, after = weight.before, weight.after
    return DomainError(
        Reason.INSUFFICIENT_MARGIN,
        f"the order could leave {account} {-after.excess} short of its initial margin; before it the excess was {before.excess}, "
        "open orders included",
        account=account,
        excess_before=before.excess,
        excess_after=after.excess,
        initial_margin_before=before.initial_margin,
        initial_margin_after=after.initial_margin,
    )


def _document(reservation: Reservation, weight: OrderWeight) -> dict[str, object]:
    return {
        "sequence": reservation.sequence,
        "consideration": str(reservation.consideration),
        "paid_in": reservation.paid_in,
        "reserved_by": reservation.reserved_by,
        "reserved_at": reservation.reserved_at.isoformat(),
        "before": _need_document(weight.before),
        "after": _need_document(weight.after),
    }


def _need_document(need: MarginNeed) -> list[str | None]:
    return [str(need.initial_margin), str(need.excess), None if need.least_excess is None else str(need.least_excess)]


def _need(document: list[str | None]) -> MarginNeed:
    initial_margin, excess, least_excess = document
    return MarginNeed(Decimal(initial_margin or 0), Decimal(excess or 0), None if least_excess is None else Decimal(least_excess))


def _reserved(order: Order, document: Mapping[str, Any], *, replayed: bool) -> Reserved:
    reserved_at = datetime.fromisoformat(document["reserved_at"])
    reservation = Reservation(
        order=order,
        sequence=document["sequence"],
        consideration=Decimal(document["consideration"]),
        paid_in=document["paid_in"],
        filled=Decimal(0),
        reserved_by=document["reserved_by"],
        reserved_at=reserved_at,
        expires_at=reserved_at + order.lifetime,
        status=ReservationStatus.ACTIVE,
    )
    return Reserved(reservation, _need(document["before"]), _need(document["after"]), replayed)
