"""What the audit trail promises."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.role import Role
from tests.builders import AS_OF
from tests.contract.storage import sql

DENIED = AuditEvent(
    AS_OF, AuditKind.DENIED, "", frozenset(), "MarginService/GetMargin", reason="the token is over", workload="spiffe://a/b"
)
LOOKED = AuditEvent(
    AS_OF + timedelta(microseconds=1),
    AuditKind.PRIVILEGED_CALL,
    "alice",
    frozenset({Role.AUDITOR, Role.RISK}),
    "MarginService/GetMargin",
    ("alpha", "beta"),
    token="0f" * 16,
)


async def test_events_are_kept_whole_and_in_the_order_they_came(storage):
    assert list(await storage.audit.list_events(after=0, limit=9)) == []
    await storage.audit.append([DENIED, LOOKED])
    await storage.audit.append([])
    await storage.audit.append([DENIED])
    stored = await storage.audit.list_events(after=0, limit=9)
    assert [one.event for one in stored] == [DENIED, LOOKED, DENIED]
    assert sorted({one.number for one in stored}) == [one.number for one in stored]
    assert [one.event for one in await storage.audit.list_events(after=stored[0].number, limit=1)] == [LOOKED]


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET principal = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"])
async def test_the_database_lets_nobody_change_the_trail(database_url, statement):
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(database_url, statement)
