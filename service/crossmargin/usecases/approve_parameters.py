"""Approve a proposed set of risk parameters: a second person agrees."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import Governance, GovernanceChange
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class ApproveParameters:
    """Approves a set that somebody else proposed."""

    writer: Writer
    parameters: ParameterStore
    clock: Clock

    async def __call__(self, set_id: RiskParameterSetId, *, caller: Caller) -> Governance:
        """Return where the set stands; UNKNOWN_RISK_PARAMETERS, FOUR_EYES_REQUIRED, WRONG_PARAMETER_STATE, PARAMETERS_CHANGED."""

        async def decide(_: object) -> Decision:
            before = await self.parameters.get_governance(set_id)
            after = before.approve(caller.principal, self.clock.now())
            count = len(await self.parameters.activations())
            return Decision(response=b"", records=(GovernanceChange(before, after, retires=(), activation_count=count),))

        await self.writer.write(caller.write_request("ApproveRiskParameters", [set_id], is_fact=False), decide)
        return await self.parameters.get_governance(set_id)
