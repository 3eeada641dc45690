"""Trades as they were executed."""

from __future__ import annotations

from datetime import date, datetime

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import optional_date, timestamp_of


def trade(
    instrument_id: str,
    quantity: Exact,
    price: Exact,
    *,
    executed_at: datetime,
    settlement: str = "",
    book: str = "",
    reference: str = "",
    settle_date: date | None = None,
    reservation: int = 0,
) -> book_service_pb2.Trade:
    """Return an executed trade.

    Args:
        instrument_id: What was traded.
        quantity: Signed; positive buys. In units of the instrument: coins, contracts, currency, face amount.
        price: As the instrument quotes: settlement currency per unit; bonds and bills dirty per 100 of face; coin-settled options in
            coins; FX options per unit of currency; forwards, swaps and contracts of cash flows present value per unit.
        executed_at: When it was executed, with a time zone.
        settlement: What is paid when cash, a stablecoin or a coin is traded, such as USD; empty for what names its own.
        book: Desk or strategy; empty for the account's main book.
        reference: The caller's own name for it; kept, never interpreted.
        settle_date: Day on which it is settled with the street; None when that is done at once. It is in the positions either way.
        reservation: Number of the reservation of the order that it fills; 0 if there is none.
    """
    return book_service_pb2.Trade(
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        price=exact_text(price, field="price"),
        settlement=settlement,
        execute_time=timestamp_of(executed_at, field="executed_at"),
        reference=reference,
        settle_date=optional_date(settle_date, field="settle_date"),
        reservation=reservation,
    )
