"""Perpetual swaps and futures."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import date_of, timestamp_of

LINEAR: Final = reference_service_pb2.PAYOFF_LINEAR
INVERSE: Final = reference_service_pb2.PAYOFF_INVERSE


def perpetual(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    multiplier: Exact = 1,
    payoff: reference_service_pb2.Payoff.ValueType = LINEAR,
    places: int = 3,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a perpetual swap. `multiplier` is in units of the underlying (linear) or of the quote currency (inverse) per contract."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        perpetual=reference_service_pb2.PerpetualTerms(
            underlying=underlying, settlement=settlement, multiplier=exact_text(multiplier, field="multiplier"), payoff=payoff
        ),
    )


def dated_future(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    expires_at: datetime,
    multiplier: Exact = 1,
    payoff: reference_service_pb2.Payoff.ValueType = LINEAR,
    price_may_be_negative: bool = False,
    places: int = 3,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a future with an expiry; `multiplier` as for a perpetual.

    Where the price may be negative, as of oil, it follows the risk factors price:UNDERLYING:TENOR.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        dated_future=reference_service_pb2.DatedFutureTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            payoff=payoff,
            expire_time=timestamp_of(expires_at, field="expires_at"),
            price_may_be_negative=price_may_be_negative,
        ),
    )


def bond_future(
    instrument_id: str,
    *,
    deliverable: reference_service_pb2.Instrument,
    delivers_on: date,
    conversion_factor: Exact,
    multiplier: Exact = 1000,
    places: int = 0,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a future on the fixed-rate bond that is cheapest to deliver. `multiplier` is money for one point of price."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        bond_future=reference_service_pb2.BondFutureTerms(
            settlement=deliverable.fixed_rate_bond.settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            delivery_date=date_of(delivers_on, field="delivers_on"),
            conversion_factor=exact_text(conversion_factor, field="conversion_factor"),
            deliverable=deliverable.fixed_rate_bond,
        ),
    )
