"""Sets of risk parameters, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import Activation, Governance
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_risk_parameters


class MemoryParameterStore:
    """See `ParameterStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        if set_id not in self._contents.risk_parameters:
            raise unknown_risk_parameters(set_id)
        return self._contents.risk_parameters[set_id]

    async def get_governance(self, set_id: RiskParameterSetId) -> Governance:
        """Return where a set stands; UNKNOWN_RISK_PARAMETERS if there is none."""
        if set_id not in self._contents.governance:
            raise unknown_risk_parameters(set_id)
        return self._contents.governance[set_id]

    async def list_governance(self, page: Page) -> Sequence[Governance]:
        """Return where sets stand, in the order of their ids."""
        names = sorted(name for name in self._contents.governance if name > (page.after or ""))
        return [self._contents.governance[name] for name in names[: page.size]]

    async def activations(self) -> Sequence[Activation]:
        """Return every activation there ever was, by time, and those of one time in the order they were made."""
        return sorted(self._contents.activations.values(), key=lambda activation: activation.active_from)
