"""The audit trail in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, DateTime, Integer, Text, any_, bindparam, or_, select

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import audit_event
from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.role import Role
from crossmargin.usecases.ports.audit_event import AuditFilter, StoredAuditEvent
from crossmargin.usecases.ports.page import Page

# One statement for all of them, numbered in the order they came.
_APPEND: Final = Statement(
    b"""
    INSERT INTO audit_event (happened_at, kind, principal, roles, method, clients, reason, workload, token)
    SELECT happened_at, kind, principal, roles, method, clients, reason, workload, token
    FROM ROWS FROM (jsonb_to_recordset(%(events)s) AS (
        happened_at timestamptz, kind text, principal text, roles text[], method text, clients text[],
        reason text, workload text, token text
    )) WITH ORDINALITY
    ORDER BY ordinality
    RETURNING number
    """,
    {},
    frozenset({"events"}),
)
_PRINCIPAL: Final = bindparam("principal", type_=Text)
_CLIENT: Final = bindparam("client_id", type_=Text)
_KIND: Final = bindparam("kind", type_=Text)
_START, _END = (bindparam(name, type_=DateTime(timezone=True)) for name in ("start", "end"))
_BEFORE: Final = bindparam("before", type_=BigInteger)
_LIST: Final = compiled(
    select(audit_event)
    .where(
        or_(_PRINCIPAL.is_(None), audit_event.c.principal == _PRINCIPAL),
        or_(_CLIENT.is_(None), any_(audit_event.c.clients) == _CLIENT),
        or_(_KIND.is_(None), audit_event.c.kind == _KIND),
        or_(_START.is_(None), audit_event.c.happened_at >= _START),
        or_(_END.is_(None), audit_event.c.happened_at < _END),
        or_(_BEFORE.is_(None), audit_event.c.number < _BEFORE),
    )
    .order_by(audit_event.c.number.desc())
    .limit(bindparam("size", type_=Integer))
)


class PostgresAuditTrail:
    """See `AuditTrail`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events, all or none; a batch that meets a broken connection is sent again, and may then be there twice."""
        if events:
            await self._database.house_rows(_APPEND, events=Jsonb([_document(event) for event in events]))

    async def list_events(self, chosen: AuditFilter, page: Page) -> Sequence[StoredAuditEvent]:
        """Return events, newest first; the wall around the table lets nobody see any but the whole house."""
        rows = await self._database.rows(
            _LIST,
            principal=chosen.principal,
            client_id=chosen.client_id,
            kind=None if chosen.kind is None else chosen.kind.value,
            start=chosen.start,
            end=chosen.end,
            before=None if page.after is None else int(page.after),
            size=page.size,
        )
        return [StoredAuditEvent(row["number"], _event(row)) for row in rows]


def _document(event: AuditEvent) -> dict[str, object]:
    return {
        "happened_at": event.at.isoformat(),
        "kind": event.kind.value,
        "principal": event.principal,
        "roles": sorted(role.value for role in event.roles),
        "method": event.method,
        "clients": list(event.clients),
        "reason": event.reason,
        "workload": event.workload,
        "token": event.token,
    }


def _event(row: Row) -> AuditEvent:
    return AuditEvent(
        at=row["happened_at"],
        kind=AuditKind(row["kind"]),
        principal=row["principal"],
        roles=frozenset(map(Role, row["roles"])),
        method=row["method"],
        clients=tuple(row["clients"]),
        reason=row["reason"],
        workload=row["workload"],
        token=row["token"],
    )
