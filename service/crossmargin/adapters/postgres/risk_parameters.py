"""Versions of the risk parameters, in the order they were stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Text, bindparam, select

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import risk_parameters
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.risk_parameters import RiskParameters, risk_parameters_from_json
from crossmargin.usecases.storage_errors import no_risk_parameters, unknown_risk_parameters

STORED_ORDER: Final = "risk_parameters"
_LAST_FIRST: Final = risk_parameters.c.stored_order.desc()
_ACTIVE: Final = compiled(select(risk_parameters.c.document).order_by(_LAST_FIRST).limit(1))
_ACTIVE_ID: Final = compiled(select(risk_parameters.c.set_id).order_by(_LAST_FIRST).limit(1))
PARAMETERS_BY_ID: Final = compiled(
    select(risk_parameters.c.document, risk_parameters.c.content_hash).where(risk_parameters.c.set_id == bindparam("set_id", type_=Text))
)
_IDS: Final = compiled(select(risk_parameters.c.set_id).order_by(risk_parameters.c.stored_order))


class PostgresParameterStore:
    """See `ParameterStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active_parameters(self) -> RiskParameters:
        """Return the set in force; NO_RISK_PARAMETERS if none was ever stored."""
        row = await self._database.row(_ACTIVE)
        if row is None:
            raise no_risk_parameters()
        return risk_parameters_from_json(row["document"])

    async def active_parameter_set_id(self) -> RiskParameterSetId | None:
        """Return the id of the set in force without reading it."""
        row = await self._database.row(_ACTIVE_ID)
        return RiskParameterSetId(row["set_id"]) if row else None

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        row = await self._database.row(PARAMETERS_BY_ID, set_id=set_id)
        if row is None:
            raise unknown_risk_parameters(set_id)
        return risk_parameters_from_json(row["document"])

    async def list_parameter_set_ids(self) -> Sequence[RiskParameterSetId]:
        """Return all sets in the order they were stored; the last stored one is in force."""
        return [RiskParameterSetId(row["set_id"]) for row in await self._database.rows(_IDS)]
