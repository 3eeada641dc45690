"""Where the breakers stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import DateTime, Text, bindparam, false, select, true, update

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import breaker
from crossmargin.domain.breaker import Breaker, BreakerKind

_ALL: Final = compiled(select(breaker))
_IS_KIND: Final = breaker.c.kind == bindparam("breaker_kind", type_=Text)
# Whether it stands otherwise is decided by the row itself, so of two that trip or reset at once one does.
_TRIP: Final = compiled(
    update(breaker)
    .where(_IS_KIND, breaker.c.is_tripped.is_(false()))
    .values(is_tripped=true(), tripped_at=bindparam("at", type_=DateTime(timezone=True)), cause=bindparam("new_cause", type_=Text))
    .returning(breaker.c.kind)
)
_RESET: Final = compiled(
    update(breaker)
    .where(_IS_KIND, breaker.c.is_tripped.is_(true()))
    .values(
        is_tripped=false(),
        reset_at=bindparam("at", type_=DateTime(timezone=True)),
        reset_by=bindparam("by", type_=Text),
        note=bindparam("new_note", type_=Text),
    )
    .returning(breaker.c.kind)
)


class PostgresBreakerStore:
    """See `BreakerStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_breakers(self) -> Sequence[Breaker]:
        """Return every breaker, in the order of their kinds."""
        known = {row["kind"]: row for row in await self._database.rows(_ALL)}
        return [_breaker(known[kind.value]) for kind in BreakerKind]

    async def trip(self, kind: BreakerKind, *, at: datetime, cause: str) -> bool:
        """Trip a breaker; return False if it was tripped already."""
        return bool(await self._database.rows(_TRIP, breaker_kind=kind.value, at=at, new_cause=cause))

    async def reset(self, kind: BreakerKind, *, at: datetime, by: str, note: str) -> bool:
        """Reset a breaker; return False if it was not tripped."""
        return bool(await self._database.rows(_RESET, breaker_kind=kind.value, at=at, by=by, new_note=note))


def _breaker(row: Row) -> Breaker:
    return Breaker(
        BreakerKind(row["kind"]),
        is_tripped=row["is_tripped"],
        tripped_at=row["tripped_at"],
        cause=row["cause"],
        reset_at=row["reset_at"],
        reset_by=row["reset_by"],
        note=row["note"],
    )
