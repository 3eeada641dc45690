"""Give an approved set of risk parameters the time from which it is in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import Activation, Governance, GovernanceChange, check_schedule, retired_by
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class ActivateParameters:
    """Activates a set for the markets from a time on, at once or over some days."""

    writer: Writer
    parameters: ParameterStore
    in_force: ParametersInForce
    clock: Clock

    async def __call__(self, set_id: RiskParameterSetId, *, active_from: datetime | None, ramp_days: int, caller: Caller) -> Governance:
        """Return where the set stands. Without a time it is in force from the latest market on.

        Raises:
            DomainError: UNKNOWN_RISK_PARAMETERS, WRONG_PARAMETER_STATE, ACTIVATION_IN_PAST, RAMP_UNDER_WAY, INVALID_ARGUMENT for a ramp
                beyond a year, PARAMETERS_CHANGED.
        """

        async def decide(_: object) -> Decision:
            before = await self.parameters.get_governance(set_id)
            activations = await self.parameters.activations()
            now, latest = self.clock.now(), await self.in_force.latest_market()
            after = before.activate(caller.principal, now, active_from=active_from or latest or now, ramp_days=ramp_days)
            new = Activation(set_id, active_from or latest or now, ramp_days)
            check_schedule(activations, new, latest_market=latest)
            change = GovernanceChange(before, after, retired_by(activations, new), activation_count=len(activations))
            return Decision(response=b"", records=(change,))

        content = [set_id, active_from.isoformat() if active_from else "", str(ramp_days)]
        await self.writer.write(caller.write_request("ActivateRiskParameters", content, is_fact=False), decide)
        return await self.parameters.get_governance(set_id)
