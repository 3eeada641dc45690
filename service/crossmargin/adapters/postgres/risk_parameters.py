"""Sets of risk parameters, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Integer, Text, bindparam, select

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import risk_parameters
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import Activation, Governance, ParameterState
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.risk_parameters_document import risk_parameters_from_json
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_risk_parameters

STORED_ORDER: Final = "risk_parameters"
_IS_SET: Final = risk_parameters.c.set_id == bindparam("set_id", type_=Text)
PARAMETERS_BY_ID: Final = compiled(select(risk_parameters.c.document, risk_parameters.c.content_hash).where(_IS_SET))
_GOVERNANCE: Final = select(
    risk_parameters.c.set_id,
    risk_parameters.c.content_hash,
    risk_parameters.c.state,
    risk_parameters.c.proposed_by,
    risk_parameters.c.proposed_at,
    risk_parameters.c.approved_by,
    risk_parameters.c.approved_at,
    risk_parameters.c.activated_by,
    risk_parameters.c.activated_at,
    risk_parameters.c.active_from,
    risk_parameters.c.ramp_days,
)
_GOVERNANCE_BY_ID: Final = compiled(_GOVERNANCE.where(_IS_SET))
_GOVERNANCE_IN_ORDER: Final = compiled(
    _GOVERNANCE.where(risk_parameters.c.set_id > bindparam("after", type_=Text))
    .order_by(risk_parameters.c.set_id)
    .limit(bindparam("size", type_=Integer))
)
_ACTIVATIONS: Final = compiled(
    select(risk_parameters.c.set_id, risk_parameters.c.active_from, risk_parameters.c.ramp_days)
    .where(risk_parameters.c.active_from.is_not(None))
    .order_by(risk_parameters.c.active_from, risk_parameters.c.stored_order)
)


class PostgresParameterStore:
    """See `ParameterStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        row = await self._database.row(PARAMETERS_BY_ID, set_id=set_id)
        if row is None:
            raise unknown_risk_parameters(set_id)
        return risk_parameters_from_json(row["document"])

    async def get_governance(self, set_id: RiskParameterSetId) -> Governance:
        """Return where a set stands; UNKNOWN_RISK_PARAMETERS if there is none."""
        row = await self._database.row(_GOVERNANCE_BY_ID, set_id=set_id)
        if row is None:
            raise unknown_risk_parameters(set_id)
        return _governance_from_row(row)

    async def list_governance(self, page: Page) -> Sequence[Governance]:
        """Return where sets stand, in the order of their ids."""
        rows = await self._database.rows(_GOVERNANCE_IN_ORDER, after=page.after or "", size=page.size)
        return [_governance_from_row(row) for row in rows]

    async def activations(self) -> Sequence[Activation]:
        """Return every activation there ever was, by time, and those of one time in the order they were made."""
        rows = await self._database.rows(_ACTIVATIONS)
        return [Activation(RiskParameterSetId(row["set_id"]), row["active_from"], row["ramp_days"]) for row in rows]


def _governance_from_row(row: Row) -> Governance:
    return Governance(**{**row, "set_id": RiskParameterSetId(row["set_id"]), "state": ParameterState(row["state"])})
