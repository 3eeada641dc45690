"""Instruments."""

from __future__ import annotations

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id


class InstrumentMethods:
    """Instruments."""

    @answers
    def create_instrument(
        self, instrument: reference_service_pb2.Instrument, *, request_id: str | None = None
    ) -> One[reference_service_pb2.Instrument]:
        """Create an instrument and return it as stored."""
        request = reference_service_pb2.CreateInstrumentRequest(request_id=request_id or new_request_id(), instrument=instrument)
        return ask(lambda to: to.reference.CreateInstrument, request, lambda answer: answer.instrument)

    @answers
    def get_instrument(self, instrument_id: str) -> One[reference_service_pb2.Instrument]:
        """Return an instrument."""
        request = reference_service_pb2.GetInstrumentRequest(instrument_id=instrument_id)
        return ask(lambda to: to.reference.GetInstrument, request, lambda answer: answer.instrument)

    @yields
    def list_instruments(self) -> Many[reference_service_pb2.Instrument]:
        """Yield every instrument in the order of their ids."""
        request = reference_service_pb2.ListInstrumentsRequest(page_size=PAGE_SIZE)
        return pages(lambda to: to.reference.ListInstruments, request, lambda page: page.instruments)
