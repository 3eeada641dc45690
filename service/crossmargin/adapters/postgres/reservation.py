"""Reservations as rows, and as the documents that the functions of the write path hand in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Integer, Numeric, Select, Text, bindparam, cast, func, select

from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import reservation
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.reservation import Order, Reservation, ReservationKind, ReservationStatus

_AMOUNTS: Final = ("quantity", "price", "consideration", "filled")
_NOW: Final = func.clock_timestamp()
_STATUS: Final = func.reservation_status(reservation.c.state, reservation.c.kind, reservation.c.expires_at, _NOW).label("status")
_RESERVATION: Final[Select[Any]] = select(
    *(cast(column, Numeric).label(column.name) if column.name in _AMOUNTS else column for column in reservation.c), _STATUS
)
RESERVATIONS: Final = compiled(
    _RESERVATION.where(
        reservation.c.client_id == bindparam("client_id", type_=Text),
        reservation.c.account_id == bindparam("account_id", type_=Text),
        reservation.c.sequence > bindparam("after_sequence", type_=BigInteger),
    )
    .order_by(reservation.c.sequence)
    .limit(bindparam("size", type_=Integer))
)
OVERDUE: Final = compiled(
    _RESERVATION.where(reservation.c.state == "active", reservation.c.kind == "immediate", reservation.c.expires_at <= _NOW)
    .order_by(reservation.c.expires_at)
    .limit(bindparam("size", type_=Integer))
)

COUNT_OPEN: Final = compiled(select(_STATUS, func.count().label("number")).where(reservation.c.state == "active").group_by("status"))


def reservation_from_row(row: Mapping[str, Any]) -> Reservation:
    """Return the reservation of a row, or of a document with amounts and times as text."""
    order = Order(
        account=AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"])),
        book_id=BookId(row["book_id"]),
        instrument_id=InstrumentId(row["instrument_id"]),
        quantity=Decimal(row["quantity"]),
        price=Decimal(row["price"]),
        kind=ReservationKind(row["kind"]),
        lifetime=timedelta(seconds=row["lifetime_s"]),
        settlement=_name_or_none(row["settlement"]),
        reference=row["reference"],
    )
    return Reservation(
        order=order,
        sequence=row["sequence"],
        consideration=Decimal(row["consideration"]),
        paid_in=_name_or_none(row["paid_in"]),
        filled=Decimal(row["filled"]),
        reserved_by=row["reserved_by"],
        reserved_at=_moment(row["reserved_at"]),
        expires_at=_moment(row["expires_at"]),
        status=ReservationStatus(row["status"]),
    )


def reservations_to_json(reservations: Iterable[Reservation]) -> Jsonb:
    """Return reservations as `finish_decision` takes them; a suspect one is stored as active, because that depends on the time."""
    return Jsonb([_to_document(one) for one in reservations])


def _to_document(one: Reservation) -> dict[str, object]:
    order = one.order
    return {
        "client_id": order.account.client_id,
        "account_id": order.account.account_id,
        "sequence": one.sequence,
        "book_id": order.book_id,
        "instrument_id": order.instrument_id,
        "settlement": order.settlement,
        "quantity": format_decimal(order.quantity),
        "price": format_decimal(order.price),
        "kind": order.kind.value,
        "lifetime_s": int(order.lifetime.total_seconds()),
        "reference": order.reference,
        "consideration": format_decimal(one.consideration),
        "paid_in": one.paid_in,
        "filled": format_decimal(one.filled),
        "reserved_by": one.reserved_by,
        "reserved_at": one.reserved_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "state": (ReservationStatus.ACTIVE if one.status.counts else one.status).value,
    }


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _name_or_none(text: str | None) -> InstrumentId | None:
    return None if text is None else InstrumentId(text)
