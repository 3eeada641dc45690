"""Sets of risk parameters, from the proposal to the day they are in force."""

from __future__ import annotations

from datetime import datetime

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, run, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id
from crossmargin_client.values import optional_timestamp


class RiskParameterMethods:
    """Sets of risk parameters, from the proposal to the day they are in force."""

    @answers
    def get_risk_parameters(self, parameter_set_id: str = "") -> One[reference_service_pb2.GetRiskParametersResponse]:
        """Return a set of risk parameters; the one in force when no id is given."""
        request = reference_service_pb2.GetRiskParametersRequest(parameter_set_id=parameter_set_id)
        return ask(lambda to: to.reference.GetRiskParameters, request, whole)

    @answers
    def propose_risk_parameters(self, document: str, *, request_id: str | None = None) -> One[reference_service_pb2.ParameterSet]:
        """Propose a set of risk parameters, a JSON document, and return where it stands; nothing changes by it."""
        request = reference_service_pb2.ProposeRiskParametersRequest(request_id=request_id or new_request_id(), document=document)
        return ask(lambda to: to.reference.ProposeRiskParameters, request, lambda answer: answer.parameter_set)

    @yields
    def list_risk_parameters(self) -> Many[reference_service_pb2.ParameterSet]:
        """Yield where every set of risk parameters stands, in the order of their ids."""
        request = reference_service_pb2.ListRiskParametersRequest(page_size=PAGE_SIZE)
        return pages(lambda to: to.reference.ListRiskParameters, request, lambda page: page.parameter_sets)

    @yields
    def shadow_risk_parameters(self, parameter_set_id: str) -> Many[reference_service_pb2.ShadowRiskParametersResponse]:
        """Yield what a set would do to each account, and at the end a summary. A run that breaks is not continued."""
        request = reference_service_pb2.ShadowRiskParametersRequest(parameter_set_id=parameter_set_id)
        return run(lambda to: to.reference.ShadowRiskParameters, request)

    @answers
    def approve_risk_parameters(self, parameter_set_id: str, *, request_id: str | None = None) -> One[reference_service_pb2.ParameterSet]:
        """Approve a set that somebody else proposed, and return where it stands."""
        request = reference_service_pb2.ApproveRiskParametersRequest(
            request_id=request_id or new_request_id(), parameter_set_id=parameter_set_id
        )
        return ask(lambda to: to.reference.ApproveRiskParameters, request, lambda answer: answer.parameter_set)

    @answers
    def activate_risk_parameters(
        self, parameter_set_id: str, *, active_from: datetime | None = None, ramp_days: int = 0, request_id: str | None = None
    ) -> One[reference_service_pb2.ParameterSet]:
        """Put an approved set in force from a time on, the latest market unless given, at once or over some days."""
        request = reference_service_pb2.ActivateRiskParametersRequest(
            request_id=request_id or new_request_id(),
            parameter_set_id=parameter_set_id,
            active_from_time=optional_timestamp(active_from, field="active_from"),
            ramp_days=ramp_days,
        )
        return ask(lambda to: to.reference.ActivateRiskParameters, request, lambda answer: answer.parameter_set)
