"""Sets of risk parameters, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import Activation, Governance
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.ports.page import Page


class ParameterStore(Protocol):
    """Sets of risk parameters, and where each stands."""

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        ...

    async def get_governance(self, set_id: RiskParameterSetId) -> Governance:
        """Return where a set stands; UNKNOWN_RISK_PARAMETERS if there is none."""
        ...

    async def list_governance(self, page: Page) -> Sequence[Governance]:
        """Return where sets stand, in the order of their ids."""
        ...

    async def activations(self) -> Sequence[Activation]:
        """Return every activation there ever was, by time, and those of one time in the order they were made (see `in_force`)."""
        ...
