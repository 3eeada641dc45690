"""FX forwards."""

from __future__ import annotations

from datetime import date

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import date_of


def fx_forward(
    instrument_id: str, *, bought: str, sold: str, contract_rate: Exact, delivers_on: date, places: int = 2, description: str = ""
) -> reference_service_pb2.Instrument:
    """Return an agreement to receive one unit of `bought` for `contract_rate` units of `sold` on a day."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        fx_forward=reference_service_pb2.FxForwardTerms(
            bought=bought,
            sold=sold,
            contract_rate=exact_text(contract_rate, field="contract_rate"),
            delivery_date=date_of(delivers_on, field="delivers_on"),
        ),
    )


def non_deliverable_forward(
    instrument_id: str,
    *,
    bought: str,
    sold: str,
    settlement: str,
    contract_rate: Exact,
    fixes_on: date,
    settles_on: date,
    places: int = 2,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an FX forward of which only the difference is paid, in `settlement`, at the rates of the fixing day."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        non_deliverable_forward=reference_service_pb2.NonDeliverableForwardTerms(
            bought=bought,
            sold=sold,
            settlement=settlement,
            contract_rate=exact_text(contract_rate, field="contract_rate"),
            fixing_date=date_of(fixes_on, field="fixes_on"),
            settlement_date=date_of(settles_on, field="settles_on"),
        ),
    )
