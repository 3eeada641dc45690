"""ReferenceService: instruments and risk parameters."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from crossmargin.adapters.grpc_server.context import Context, principal_of
from crossmargin.adapters.grpc_server.paging import cut_page, page_request
from crossmargin.adapters.grpc_server.wire.instrument import instrument_from_message, instrument_to_message
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.api.v1.reference_service_pb2_grpc import ReferenceServiceServicer
from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.use_cases import UseCases


class ReferenceService(ReferenceServiceServicer):
    """What can be held, and the risk parameters in force."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def CreateInstrument(self, request: pb.CreateInstrumentRequest, context: Context) -> pb.CreateInstrumentResponse:
        """Create an instrument."""
        caller = Caller(principal_of(context), request.request_id)
        created = await self._use_cases.create_instrument(instrument_from_message(request.instrument), caller=caller)
        return pb.CreateInstrumentResponse(instrument=instrument_to_message(created))

    async def GetInstrument(self, request: pb.GetInstrumentRequest, context: Context) -> pb.GetInstrumentResponse:
        """Return one instrument."""
        name = InstrumentId(request.instrument_id)
        known = await known_instruments(self._use_cases.instruments, [name])
        return pb.GetInstrumentResponse(instrument=instrument_to_message(known[name]))

    async def ListInstruments(self, request: pb.ListInstrumentsRequest, context: Context) -> pb.ListInstrumentsResponse:
        """List instruments."""
        asked = page_request("instruments", page_size=request.page_size, page_token=request.page_token)
        found = await self._use_cases.instruments.list_instruments(asked.page)
        items, token = cut_page(asked, found, lambda instrument: instrument.instrument_id)
        return pb.ListInstrumentsResponse(instruments=map(instrument_to_message, items), next_page_token=token)

    async def GetRiskParameters(self, request: pb.GetRiskParametersRequest, context: Context) -> pb.GetRiskParametersResponse:
        """Return a set of risk parameters, or the one in force."""
        store = self._use_cases.parameters
        if request.parameter_set_id:
            found = await store.get_parameters(RiskParameterSetId(request.parameter_set_id))
        else:
            found = await store.active_parameters()
        return pb.GetRiskParametersResponse(parameter_set_id=found.set_id, content_hash=found.content_hash, document=found.document)
