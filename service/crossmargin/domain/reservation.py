"""A reservation: the margin that an order may need, held from its approval until the order has ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from enum import Enum, unique
from typing import Final

from crossmargin.domain.book import Trade, check_reference, entry_from_trade, ledger_amount
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import EXACT, check_ledger_decimal, exact_sum
from crossmargin.domain.position import Position

LONGEST_LIFETIME_S: Final = 31 * 86_400
MOST_OPEN: Final = 200
"""Open reservations of one account; what does not fit says that somebody has stopped releasing."""


@unique
class ReservationKind(Enum):
    """What the order does when its time is over."""

    IMMEDIATE = "immediate"
    """Fills at once or is gone (IOC, FOK): past its time nothing of it can be open, so it is counted no more."""
    RESTING = "resting"
    """Rests in a market until it is filled or cancelled: past its time it is suspect, and counted until somebody says what became of it."""


@unique
class ReservationStatus(Enum):
    """Where a reservation stands at a moment of the storage's clock."""

    ACTIVE = "active"
    SUSPECT = "suspect"
    """Past its time and still counted: nobody has said what became of the order."""
    FILLED = "filled"
    RELEASED = "released"
    EXPIRED = "expired"

    @property
    def counts(self) -> bool:
        """True while the order may still fill, so that every decision counts it."""
        return self in {ReservationStatus.ACTIVE, ReservationStatus.SUSPECT}


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants to send to a market.

    Attributes:
        quantity: Signed; positive buys.
        price: The worst at which it may fill: the highest of a purchase, the lowest of a sale; as the instrument quotes it.
        settlement: Asset paid for an asset, as of a trade.
        lifetime: How long the order can be open; whole seconds. A duration, because the caller's clock is not the storage's.
        reference: The caller's own name for it; kept, never interpreted.
    """

    account: AccountRef
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    price: Decimal
    kind: ReservationKind
    lifetime: timedelta
    settlement: InstrumentId | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what="quantity")
        check_ledger_decimal(self.price, what="price")
        check_reference(self.reference)
        if not self.quantity:
            raise DomainError(Reason.INVALID_QUANTITY, "quantity was 0; an order moves something", instrument=self.instrument_id)
        seconds = self.lifetime.total_seconds()
        if seconds != int(seconds) or not 1 <= seconds <= LONGEST_LIFETIME_S:
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"lifetime was {seconds:g} s; expected whole seconds from 1 to {LONGEST_LIFETIME_S}",
                field="lifetime",
                value=f"{seconds:g}",
            )


@dataclass(frozen=True, slots=True)
class Reservation:
    """An approved order and what is left of it.

    Attributes:
        sequence: Of its entry in the account's ledger; its name within the account.
        consideration: What all of the order costs at its price, in `paid_in`, or as the cost of a margined contract; negative brings in.
        paid_in: Asset that pays for it; None for a margined contract, which moves no money.
        filled: Signed as the order's quantity, and never more.
        reserved_at: By the clock of the storage, as is `expires_at`.
        status: As of the moment it was read.
    """

    order: Order
    sequence: int
    consideration: Decimal
    paid_in: InstrumentId | None
    filled: Decimal
    reserved_by: str
    reserved_at: datetime
    expires_at: datetime
    status: ReservationStatus

    @property
    def remaining(self) -> Decimal:
        """Signed quantity that may still fill."""
        return EXACT.subtract(self.order.quantity, self.filled)

    @property
    def remaining_consideration(self) -> Decimal:
        """What the rest costs at the order's price."""
        if not self.filled:
            return self.consideration
        with localcontext(EXACT):
            return ledger_amount(self.consideration * self.remaining / self.order.quantity)


def status_at(status: ReservationStatus, kind: ReservationKind, expires_at: datetime, now: datetime) -> ReservationStatus:
    """Return where a reservation that was last said to stand at `status` stands now: at `expires_at` its time is over."""
    if not status.counts or now < expires_at:
        return status
    return ReservationStatus.EXPIRED if kind is ReservationKind.IMMEDIATE else ReservationStatus.SUSPECT


def reservation_of(
    order: Order, instrument: Instrument, settlement: Instrument | None, *, sequence: int, reserved_by: str, now: datetime
) -> Reservation:
    """Return the reservation of an order that is approved now.

    Raises:
        DomainError: What `entry_from_trade` refuses a trade of this quantity at this price with.
    """
    whole = entry_from_trade(_as_trade(order, now), instrument, settlement)
    own = [leg for leg in whole.postings if leg.ledger_account == order.account.account_id]
    paid = [leg for leg in own if leg.instrument_id != order.instrument_id]
    return Reservation(
        order=order,
        sequence=sequence,
        consideration=EXACT.minus(paid[0].quantity) if paid else own[0].cost,
        paid_in=paid[0].instrument_id if paid else None,
        filled=Decimal(0),
        reserved_by=reserved_by,
        reserved_at=now,
        expires_at=now + order.lifetime,
        status=ReservationStatus.ACTIVE,
    )


def changes_of(reservation: Reservation) -> tuple[Position, ...]:
    """Return what positions change by when all that is left of the order fills at its price."""
    return _changes(reservation.order.book_id, reservation.order.instrument_id, reservation.remaining, reservation)


def fill_blocks(reservations: Iterable[Reservation]) -> tuple[tuple[Position, ...], ...]:
    """Return what may fill, in blocks of one instrument and side: each the changes of all of it at the worst price among its orders.

    Any fills of a block lie between none of it and all of it, and cost no more than that much at the worst price. So where margin is
    convex in what is held, none or all of each block is the worst that its orders can come to.
    """
    sides: defaultdict[tuple[InstrumentId, InstrumentId | None, bool], list[Reservation]] = defaultdict(list)
    for one in reservations:
        if one.status.counts and one.remaining:
            sides[one.order.instrument_id, one.paid_in, one.order.quantity > 0].append(one)
    ordered = sorted(sides.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2]))
    return tuple(_block(orders) for _, orders in ordered)


def filled_by(reservation: Reservation, quantity: Decimal) -> Reservation:
    """Return the reservation after a fill of `quantity`; a fill beyond what is left ends it."""
    beyond = quantity.copy_abs() >= reservation.remaining.copy_abs()
    filled = reservation.order.quantity if beyond else EXACT.add(reservation.filled, quantity)
    return replace(reservation, filled=filled, status=ReservationStatus.FILLED if beyond else reservation.status)


def _as_trade(order: Order, now: datetime) -> Trade:
    return Trade(order.account, order.book_id, order.instrument_id, order.quantity, order.price, now, order.settlement, order.reference)


def _block(orders: list[Reservation]) -> tuple[Position, ...]:
    quantity = exact_sum(one.remaining for one in orders)
    with localcontext(EXACT):
        # The consideration of a unit, whichever side: what a purchase costs at most, what a sale brings in at least.
        worst = max(one.remaining_consideration / one.remaining.copy_abs() for one in orders)
        consideration = ledger_amount(worst * quantity.copy_abs())
    first = orders[0].order
    return _changes(first.book_id, first.instrument_id, quantity, orders[0], consideration=consideration)


def _changes(
    book_id: BookId, instrument_id: InstrumentId, quantity: Decimal, like: Reservation, *, consideration: Decimal | None = None
) -> tuple[Position, ...]:
    cost = like.remaining_consideration if consideration is None else consideration
    if like.paid_in is None:
        return (Position(book_id, instrument_id, quantity, cost),)
    return (Position(book_id, instrument_id, quantity), Position(book_id, like.paid_in, EXACT.minus(cost)))


def by_sequence(reservations: Iterable[Reservation]) -> Mapping[int, Reservation]:
    """Return the reservations of one account by their names."""
    return {one.sequence: one for one in reservations}
