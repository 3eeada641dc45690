"""Orders, reservations, and what accounts need at worst, on the wire."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from crossmargin.adapters.grpc_server.wire.values import book_id_from_text, inverse, moment_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import LimitUsage
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.reservation import LONGEST_LIFETIME_S, Order, Reservation, ReservationKind, ReservationStatus
from crossmargin.usecases.read_standing import Standing

_KINDS: Final = {
    pb.RESERVATION_KIND_IMMEDIATE: ReservationKind.IMMEDIATE,
    pb.RESERVATION_KIND_RESTING: ReservationKind.RESTING,
}
_KIND_VALUES: Final = inverse(_KINDS)
_STATUSES: Final = {
    pb.RESERVATION_STATUS_ACTIVE: ReservationStatus.ACTIVE,
    pb.RESERVATION_STATUS_SUSPECT: ReservationStatus.SUSPECT,
    pb.RESERVATION_STATUS_FILLED: ReservationStatus.FILLED,
    pb.RESERVATION_STATUS_RELEASED: ReservationStatus.RELEASED,
    pb.RESERVATION_STATUS_EXPIRED: ReservationStatus.EXPIRED,
}
_STATUS_VALUES: Final = inverse(_STATUSES)


def order_from_message(message: pb.Order, account: AccountRef) -> Order:
    """Return the order of a message."""
    return Order(
        account=account,
        book_id=book_id_from_text(message.book_id),
        instrument_id=InstrumentId(message.instrument_id),
        quantity=parse_decimal(message.quantity, what="order.quantity"),
        price=parse_decimal(message.price, what="order.price"),
        kind=_KINDS[message.kind],
        lifetime=_lifetime_from_message(message.lifetime),
        settlement=InstrumentId(message.settlement) if message.settlement else None,
        reference=message.reference,
    )


def reservation_to_message(reservation: Reservation) -> pb.Reservation:
    """Return the message of a reservation."""
    return pb.Reservation(
        reservation=reservation.sequence,
        order=_order_to_message(reservation.order),
        filled=format_decimal(reservation.filled),
        remaining=format_decimal(reservation.remaining),
        status=_STATUS_VALUES[reservation.status],
        reserved_by=reservation.reserved_by,
        reserve_time=moment_to_message(reservation.reserved_at),
        expire_time=moment_to_message(reservation.expires_at),
    )


def need_to_message(need: MarginNeed) -> pb.MarginNeed:
    """Return the message of what an account needs at worst."""
    return pb.MarginNeed(
        initial_margin=format_decimal(need.initial_margin),
        excess=format_decimal(need.excess),
        least_excess="" if need.least_excess is None else format_decimal(need.least_excess),
    )


def open_orders_to_message(standing: Standing) -> pb.OpenOrders:
    """Return the message of an account's open orders."""
    return pb.OpenOrders(
        reservation_count=len(standing.reservations),
        suspect_count=sum(one.status is ReservationStatus.SUSPECT for one in standing.reservations),
        need=need_to_message(standing.need),
    )


def limit_usage_to_message(usage: LimitUsage) -> pb.LimitUsage:
    """Return the message of a limit and what is used of it."""
    return pb.LimitUsage(
        scope=usage.scope,
        name=usage.name,
        limit=format_decimal(usage.limit),
        used=format_decimal(usage.used),
        breached=usage.is_breached,
    )


def _order_to_message(order: Order) -> pb.Order:
    return pb.Order(
        book_id=order.book_id,
        instrument_id=order.instrument_id,
        quantity=format_decimal(order.quantity),
        price=format_decimal(order.price),
        settlement=order.settlement or "",
        kind=_KIND_VALUES[order.kind],
        lifetime=Duration(seconds=int(order.lifetime.total_seconds())),
        reference=order.reference,
    )


def _lifetime_from_message(message: Duration) -> timedelta:
    # Beyond a month it is refused by the order; what is no duration at all, and would overflow one, is refused here.
    if message.nanos or not 0 < message.seconds <= LONGEST_LIFETIME_S:
        shown = f"{message.seconds} s and {message.nanos} ns"
        expected = f"whole seconds from 1 to {LONGEST_LIFETIME_S}"
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"order.lifetime was {shown}; expected {expected}",
            field="order.lifetime",
            value=shown,
            expected=expected,
        )
    return timedelta(seconds=message.seconds)
