"""Versions of the risk parameters, in the order they were stored."""

from __future__ import annotations

from collections.abc import Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.storage_errors import no_risk_parameters, unknown_risk_parameters


class MemoryParameterStore:
    """See `ParameterStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._sets = database.contents.risk_parameters

    async def active_parameters(self) -> RiskParameters:
        """Return the set in force; NO_RISK_PARAMETERS if none was ever stored."""
        if not self._sets:
            raise no_risk_parameters()
        return list(self._sets.values())[-1]

    async def active_parameter_set_id(self) -> RiskParameterSetId | None:
        """Return the id of the set in force."""
        return list(self._sets)[-1] if self._sets else None

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        if set_id not in self._sets:
            raise unknown_risk_parameters(set_id)
        return self._sets[set_id]

    async def list_parameter_set_ids(self) -> Sequence[RiskParameterSetId]:
        """Return all sets in the order they were stored; the last stored one is in force."""
        return list(self._sets)
