"""Orders to reserve margin for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_client.values.exact import Exact, exact_text

IMMEDIATE: Final = margin_service_pb2.RESERVATION_KIND_IMMEDIATE
RESTING: Final = margin_service_pb2.RESERVATION_KIND_RESTING


def order(
    instrument_id: str,
    quantity: Exact,
    price: Exact,
    *,
    lifetime: timedelta,
    immediate: bool = False,
    settlement: str = "",
    book: str = "",
    reference: str = "",
) -> margin_service_pb2.Order:
    """Return an order to reserve margin for.

    Args:
        instrument_id: What is to be traded.
        quantity: Signed; positive buys.
        price: The worst at which it may fill.
        lifetime: How long it can be open, grace for its last fill included; whole seconds.
        immediate: True for one that fills at once or is gone (IOC, FOK), and counts no more when its time is over; False for a resting
            one, which counts until it has filled or is released.
        settlement: What is paid when cash, a stablecoin or a coin is traded, such as USD; empty for what names its own.
        book: Desk or strategy; empty for the account's main book.
        reference: The caller's own name for it.
    """
    wire = Duration()
    wire.FromTimedelta(lifetime)
    return margin_service_pb2.Order(
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        price=exact_text(price, field="price"),
        settlement=settlement,
        kind=IMMEDIATE if immediate else RESTING,
        lifetime=wire,
        reference=reference,
    )
