"""Which risk parameters are in force at the latest market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crossmargin.domain.parameter_governance import InForce, in_force
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.storage_errors import no_risk_parameters


@dataclass(frozen=True, slots=True)
class ParametersInForce:
    """Decided by the time of the latest market snapshot, as margin is; by the clock only while there is no market."""

    parameters: ParameterStore
    market: MarketStore
    clock: Clock

    async def __call__(self) -> InForce:
        """Return the set in force; NO_RISK_PARAMETERS when there is none."""
        found = await self.find()
        if found is None:
            raise no_risk_parameters()
        return found

    async def find(self) -> InForce | None:
        """Return the set in force; None when there is none."""
        return in_force(await self.parameters.activations(), await self.latest_market() or self.clock.now())

    async def latest_market(self) -> datetime | None:
        """Return the time of the latest market snapshot; None when there is none."""
        if await self.market.latest_snapshot_id() is None:
            return None
        return (await self.market.latest_snapshot()).as_of
