"""Propose a set of risk parameters."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.parameter_governance import Governance, propose
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class ProposeParameters:
    """Stores a set that changes nothing until somebody else has approved it and it was activated."""

    writer: Writer
    parameters: ParameterStore
    clock: Clock

    async def __call__(self, document: str, *, caller: Caller) -> Governance:
        """Return where the set stands; proposing an equal one again leaves it where it is.

        Raises:
            DomainError: INVALID_RISK_PARAMETERS; ALREADY_EXISTS when the id is taken by another content.
        """
        parameters = risk_parameters_from_json(document)

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(propose(parameters, caller.principal, self.clock.now()),))

        await self.writer.write(caller.write_request("ProposeRiskParameters", [parameters.document], is_fact=False), decide)
        return await self.parameters.get_governance(parameters.set_id)
