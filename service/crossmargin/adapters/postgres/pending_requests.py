"""What waits for a second person, and what has become of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import errors
from sqlalchemy import DateTime, Integer, Interval, Text, and_, bindparam, case, cast, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from crossmargin.adapters.postgres.client_scope import is_inside_scope, scope_values
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import pending_request
from crossmargin.domain.identifiers import ClientId, PendingRequestId
from crossmargin.domain.pending_request import LIFETIME, Asked, PendingEnd, PendingRequest, PendingState
from crossmargin.usecases.caller import admitted_scope
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.pending_request import PendingFilter
from crossmargin.usecases.storage_errors import unknown_client, unknown_pending_request

_TABLE: Final = pending_request
_AWAITING: Final = PendingState.AWAITING.value
_IS_IT: Final = _TABLE.c.pending_id == bindparam("pending_id", type_=Text)
_IS_OVER: Final = and_(_TABLE.c.state == _AWAITING, func.clock_timestamp() >= _TABLE.c.expires_at)
_STATE: Final = case((_IS_OVER, literal(PendingState.EXPIRED.value)), else_=_TABLE.c.state)
_PENDING: Final = select(
    *(
        _TABLE.c[name]
        for name in ("pending_id", "verb", "words", "client_id", "asked_by", "asked_at", "expires_at", "ended_by", "ended_at")
    ),
    _STATE.label("state"),
)
_BY_ID: Final = compiled(_PENDING.where(_IS_IT))
_IS_INSIDE: Final = is_inside_scope(_TABLE.c.client_id)
"""One of the house has no client, and is inside the whole house alone."""
_BY_ID_INSIDE: Final = compiled(_PENDING.where(_IS_IT, _IS_INSIDE))
_CLIENT: Final = bindparam("client_id", type_=Text)
_WANTED_STATE: Final = bindparam("wanted_state", type_=Text)
_AFTER: Final = tuple_(bindparam("after_time", type_=DateTime(timezone=True)), bindparam("after_id", type_=Text))
_LIST: Final = compiled(
    _PENDING.where(
        _IS_INSIDE,
        or_(_CLIENT.is_(None), _TABLE.c.client_id == _CLIENT),
        or_(_WANTED_STATE.is_(None), _STATE == _WANTED_STATE),
        tuple_(_TABLE.c.asked_at, _TABLE.c.pending_id) > _AFTER,
    )
    .order_by(_TABLE.c.asked_at, _TABLE.c.pending_id)
    .limit(bindparam("size", type_=Integer))
)
_NOW: Final = func.clock_timestamp()
_INSERT: Final = compiled(
    insert(_TABLE)
    .values(
        {
            **{name: bindparam(name, type_=_TABLE.c[name].type) for name in ("pending_id", "verb", "words", "client_id", "asked_by")},
            "asked_at": func.now(),
            "expires_at": func.now() + cast(literal(f"{LIFETIME.total_seconds():.0f} seconds"), Interval),
        }
    )
    .on_conflict_do_nothing()
)
# Whether it still waits is decided by the row itself, so of two that end it at once one does.
_END: Final = compiled(
    update(_TABLE)
    .where(_IS_IT, _TABLE.c.state == _AWAITING, _TABLE.c.expires_at > _NOW)
    .values(state=bindparam("end_state", type_=Text), ended_by=bindparam("by", type_=Text), ended_at=_NOW)
)


class PostgresPendingRequests:
    """See `PendingRequests`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_pending(self, pending_id: PendingRequestId) -> PendingRequest:
        """Return a pending request as it stands now; UNKNOWN_PENDING_REQUEST if there is none."""
        return _found(await self._database.row(_BY_ID_INSIDE, pending_id=pending_id, **scope_values(admitted_scope())), pending_id)

    async def list_pending(self, chosen: PendingFilter, page: Page) -> Sequence[PendingRequest]:
        """Return pending requests, oldest first."""
        after_time, _, after_id = (page.after or "0001-01-01T00:00:00+00:00 ").partition(" ")
        rows = await self._database.rows(
            _LIST,
            client_id=chosen.client_id,
            wanted_state=None if chosen.state is None else chosen.state.value,
            after_time=after_time,
            after_id=after_id,
            size=page.size,
            **scope_values(admitted_scope()),
        )
        return [_from_row(row) for row in rows]


async def store_pending(connection: Connection, new: PendingRequest) -> bool:
    """Keep what waits for a second person; False when its name is taken by something else. UNKNOWN_CLIENT."""
    values = {"pending_id": new.pending_id, "verb": new.asked.verb, "words": new.asked.words, "asked_by": new.asked_by}
    client_id = new.asked.client_id
    try:
        cursor = await connection.execute(_INSERT.sql, _INSERT.values({**values, "client_id": client_id}))
    except errors.ForeignKeyViolation:
        raise unknown_client(ClientId(client_id or "")) from None
    if cursor.rowcount == 1:
        return True
    stored = _found(await _row(connection, _BY_ID, pending_id=new.pending_id), new.pending_id)
    return (stored.asked, stored.asked_by) == (new.asked, new.asked_by)


async def end_pending(connection: Connection, end: PendingEnd) -> bool:
    """End what waits; UNKNOWN_PENDING_REQUEST, and PENDING_REQUEST_ENDED when it waits no more."""
    values = _END.values({"pending_id": end.pending_id, "end_state": end.state.value, "by": end.by})
    if (await connection.execute(_END.sql, values)).rowcount != 1:
        _found(await _row(connection, _BY_ID, pending_id=end.pending_id), end.pending_id).check_awaits()
        return False
    return True


async def _row(connection: Connection, statement: Statement, **values: object) -> Row | None:
    return await (await connection.execute(statement.sql, statement.values(values))).fetchone()


def _found(row: Row | None, pending_id: PendingRequestId) -> PendingRequest:
    if row is None:
        raise unknown_pending_request(pending_id)
    return _from_row(row)


def _from_row(row: Row) -> PendingRequest:
    client_id = None if row["client_id"] is None else ClientId(row["client_id"])
    return PendingRequest(
        pending_id=PendingRequestId(row["pending_id"]),
        asked=Asked(row["verb"], row["words"], client_id),
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
        state=PendingState(row["state"]),
        ended_by=row["ended_by"],
        ended_at=row["ended_at"],
    )
