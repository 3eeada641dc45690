"""ReferenceService: instruments and risk parameters."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from collections.abc import AsyncIterator

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import cut_page, page_request
from crossmargin.adapters.grpc_server.wire.instrument import instrument_from_message, instrument_to_message
from crossmargin.adapters.grpc_server.wire.parameters import (
    governance_to_message,
    shadow_summary_to_message,
    shadowed_account_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import moment_from_message
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.api.v1.reference_service_pb2_grpc import ReferenceServiceServicer
from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId
from crossmargin.domain.parameter_governance import Governance
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.shadow_parameters import ShadowSummary
from crossmargin.usecases.use_cases import UseCases


class ReferenceService(ReferenceServiceServicer):
    """What can be held, and the risk parameters in force."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def CreateInstrument(self, request: pb.CreateInstrumentRequest, context: Context) -> pb.CreateInstrumentResponse:
        """Create an instrument."""
        caller = caller_of(context, request.request_id)
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
        set_id = await self._asked_for(request.parameter_set_id)
        found = await self._use_cases.parameters.get_parameters(set_id)
        governance = await self._use_cases.parameters.get_governance(set_id)
        return pb.GetRiskParametersResponse(
            parameter_set_id=found.set_id,
            content_hash=found.content_hash,
            document=found.document,
            parameter_set=await self._message(governance),
        )

    async def ProposeRiskParameters(self, request: pb.ProposeRiskParametersRequest, context: Context) -> pb.ProposeRiskParametersResponse:
        """Propose a set of risk parameters."""
        caller = caller_of(context, request.request_id)
        proposed = await self._use_cases.propose_parameters(request.document, caller=caller)
        return pb.ProposeRiskParametersResponse(parameter_set=await self._message(proposed))

    async def ListRiskParameters(self, request: pb.ListRiskParametersRequest, context: Context) -> pb.ListRiskParametersResponse:
        """List sets of risk parameters."""
        asked = page_request("risk parameters", page_size=request.page_size, page_token=request.page_token)
        found = await self._use_cases.parameters.list_governance(asked.page)
        items, token = cut_page(asked, found, lambda governance: governance.set_id)
        in_force = await self._use_cases.parameters_in_force.find()
        return pb.ListRiskParametersResponse(
            parameter_sets=[governance_to_message(item, in_force=in_force) for item in items], next_page_token=token
        )

    async def ShadowRiskParameters(
        self, request: pb.ShadowRiskParametersRequest, context: Context
    ) -> AsyncIterator[pb.ShadowRiskParametersResponse]:
        """Stream what a set would do to every account."""
        done = 0
        async for result in self._use_cases.shadow_parameters(RiskParameterSetId(request.parameter_set_id)):
            if isinstance(result, ShadowSummary):
                yield shadow_summary_to_message(result, account_count=done)
            else:
                done = result.done
                yield shadowed_account_to_message(result)

    async def ApproveRiskParameters(self, request: pb.ApproveRiskParametersRequest, context: Context) -> pb.ApproveRiskParametersResponse:
        """Approve a proposed set."""
        caller = caller_of(context, request.request_id)
        approved = await self._use_cases.approve_parameters(RiskParameterSetId(request.parameter_set_id), caller=caller)
        return pb.ApproveRiskParametersResponse(parameter_set=await self._message(approved))

    async def ActivateRiskParameters(
        self, request: pb.ActivateRiskParametersRequest, context: Context
    ) -> pb.ActivateRiskParametersResponse:
        """Give an approved set its time."""
        has_time = request.HasField("active_from_time")
        active = await self._use_cases.activate_parameters(
            RiskParameterSetId(request.parameter_set_id),
            active_from=moment_from_message(request.active_from_time, what="active_from_time") if has_time else None,
            ramp_days=request.ramp_days,
            caller=caller_of(context, request.request_id),
        )
        return pb.ActivateRiskParametersResponse(parameter_set=await self._message(active))

    async def _asked_for(self, set_id: str) -> RiskParameterSetId:
        return RiskParameterSetId(set_id) if set_id else (await self._use_cases.parameters_in_force()).set_id

    async def _message(self, governance: Governance) -> pb.ParameterSet:
        return governance_to_message(governance, in_force=await self._use_cases.parameters_in_force.find())
