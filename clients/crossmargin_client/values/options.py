"""Options."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import optional_timestamp, timestamp_of

CALL: Final = reference_service_pb2.OPTION_RIGHT_CALL
PUT: Final = reference_service_pb2.OPTION_RIGHT_PUT
CASH_PAID: Final = reference_service_pb2.PREMIUM_STYLE_CASH_PAID
COIN_SETTLED: Final = reference_service_pb2.PREMIUM_STYLE_COIN_SETTLED
MARGINED: Final = reference_service_pb2.PREMIUM_STYLE_MARGINED


def european_option(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    premium: reference_service_pb2.PremiumStyle.ValueType | None = None,
    future_expires_at: datetime | None = None,
    multiplier: Exact = 1,
    places: int = 1,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an option exercised at expiry only, on spot or, given when that expires, on a dated future.

    Without a `premium` style it is coin-settled when it settles in its underlying, paid in cash otherwise; MARGINED pays no premium.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        european_option=reference_service_pb2.EuropeanOptionTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
            premium_style=premium or (COIN_SETTLED if settlement == underlying else CASH_PAID),
            future_expire_time=optional_timestamp(future_expires_at, field="future_expires_at"),
        ),
    )


def american_option(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    multiplier: Exact = 1,
    places: int = 1,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an option that may be exercised at any time up to its expiry, paid in cash."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        american_option=reference_service_pb2.AmericanOptionTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
        ),
    )


def fx_option(
    instrument_id: str,
    *,
    currency: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    places: int = 2,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a right to buy (call) or sell (put) one unit of `currency` for `strike` units of `settlement`."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        fx_option=reference_service_pb2.FxOptionTerms(
            currency=currency,
            settlement=settlement,
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
        ),
    )
