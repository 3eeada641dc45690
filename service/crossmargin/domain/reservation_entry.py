"""What the ledger says of reservations: entries that move nothing, and the reservations that they add up to.

All that a reservation is can be read out of its account's chain of entries, so that what is stored of it can be checked, and made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from crossmargin.domain.book import Entry, EntryKind, NewEntry
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.money import EXACT, format_decimal
from crossmargin.domain.reservation import Order, Reservation, ReservationKind, ReservationStatus

_NOTHING = "-"
"""Stands for an instrument that is not named; no instrument has this id."""


def entry_from_reservation(reservation: Reservation) -> NewEntry:
    """Return the entry of an approval: no postings, and a reference that says all of it.

    Such as `main BTC 10 61000 USD resting 60 610000 USD desk-7 a note`: book, instrument, quantity, price, settlement, kind, lifetime in
    seconds, consideration, what pays for it, who reserved it, and the order's own reference, which alone may hold spaces.
    """
    order = reservation.order
    words = (
        order.book_id,
        order.instrument_id,
        format_decimal(order.quantity),
        format_decimal(order.price),
        order.settlement or _NOTHING,
        order.kind.value,
        f"{order.lifetime.total_seconds():.0f}",
        format_decimal(reservation.consideration),
        reservation.paid_in or _NOTHING,
        reservation.reserved_by,
        order.reference,
    )
    return NewEntry(order.account, EntryKind.RESERVATION, reservation.reserved_at, " ".join(words), ())


def entry_from_fill(reservation: Reservation, quantity: Decimal, *, trade_sequence: int, at: datetime) -> NewEntry:
    """Return the entry that says how much of a reservation a trade used up, such as `17 filled 2.5 by 18`."""
    words = f"{reservation.sequence} filled {format_decimal(quantity)} by {trade_sequence}"
    return NewEntry(reservation.order.account, EntryKind.RESERVATION_FILL, at, words, ())


def entry_from_end(reservation: Reservation, *, at: datetime) -> NewEntry:
    """Return the entry that ends a reservation, such as `17 released`."""
    words = f"{reservation.sequence} {reservation.status.value}"
    return NewEntry(reservation.order.account, EntryKind.RESERVATION_END, at, words, ())


def reservations_from_entries(entries: Iterable[Entry]) -> dict[int, Reservation]:
    """Return the reservations of the entries of one account, in order, by their sequence, as they were last said to stand."""
    found = dict[int, Reservation]()
    for entry in entries:
        number, *said = entry.entry.reference.split(" ")
        match entry.entry.kind:
            case EntryKind.RESERVATION:
                found[entry.sequence] = _reservation_from_entry(entry)
            case EntryKind.RESERVATION_FILL:
                found[int(number)] = _filled(found[int(number)], Decimal(said[1]))
            case EntryKind.RESERVATION_END:
                found[int(number)] = replace(found[int(number)], status=ReservationStatus(said[0]))
            case _:
                pass
    return found


def _reservation_from_entry(entry: Entry) -> Reservation:
    book, instrument, quantity, price, settlement, kind, lifetime, cost, paid_in, reserved_by, reference = entry.entry.reference.split(
        " ", 10
    )
    order = Order(
        account=entry.entry.account,
        book_id=BookId(book),
        instrument_id=InstrumentId(instrument),
        quantity=Decimal(quantity),
        price=Decimal(price),
        kind=ReservationKind(kind),
        lifetime=timedelta(seconds=int(lifetime)),
        settlement=_instrument_or_none(settlement),
        reference=reference,
    )
    return Reservation(
        order=order,
        sequence=entry.sequence,
        consideration=Decimal(cost),
        paid_in=_instrument_or_none(paid_in),
        filled=Decimal(0),
        reserved_by=reserved_by,
        reserved_at=entry.entry.effective_at,
        expires_at=entry.entry.effective_at + order.lifetime,
        status=ReservationStatus.ACTIVE,
    )


def _filled(reservation: Reservation, quantity: Decimal) -> Reservation:
    filled = EXACT.add(reservation.filled, quantity)
    is_whole = filled == reservation.order.quantity
    return replace(reservation, filled=filled, status=ReservationStatus.FILLED if is_whole else reservation.status)


def _instrument_or_none(word: str) -> InstrumentId | None:
    return None if word == _NOTHING else InstrumentId(word)
