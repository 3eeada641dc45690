"""What a source has seen."""

from __future__ import annotations

from datetime import datetime

from crossmargin.api.v1 import market_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import timestamp_of


def quote(subject: str, value: Exact, *, sequence: int, observed_at: datetime) -> market_service_pb2.Quote:
    """Return what a source has seen: the level of a risk factor or the price of an instrument, under the source's own number.

    Args:
        subject: A factor such as spot:BTC, or an instrument such as BTC-USD-PERP.
        value: Level or price as the factor or instrument quotes.
        sequence: From 1, strictly increasing over all that the source says.
        observed_at: When the source saw it, with a time zone; not more than a second ahead of the service.
    """
    return market_service_pb2.Quote(
        subject=subject,
        value=exact_text(value, field=f"quote of {subject}"),
        sequence=sequence,
        observe_time=timestamp_of(observed_at, field="observed_at"),
    )
