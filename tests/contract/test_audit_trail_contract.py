"""What the audit trail promises."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.identifiers import ClientId
from crossmargin.domain.role import Role
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.audit_event import AuditFilter
from crossmargin.usecases.ports.page import Page
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


ALL = AuditFilter()


async def listed(storage, chosen=ALL, *, size=9, after=None):
    return await storage.audit.list_events(chosen, Page(size, after))


async def test_events_are_kept_whole_and_told_newest_first(storage):
    assert list(await listed(storage)) == []
    await storage.audit.append([DENIED, LOOKED])
    await storage.audit.append([])
    await storage.audit.append([DENIED])
    stored = await listed(storage)
    assert [one.event for one in stored] == [DENIED, LOOKED, DENIED]
    assert sorted({one.number for one in stored}, reverse=True) == [one.number for one in stored]
    assert [one.event for one in await listed(storage, size=1, after=str(stored[0].number))] == [LOOKED]
    assert list(await listed(storage, after=str(stored[-1].number))) == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (AuditFilter(principal="alice"), [LOOKED]),
        (AuditFilter(principal="bob"), []),
        (AuditFilter(client_id=ClientId("beta")), [LOOKED]),
        (AuditFilter(client_id=ClientId("gamma")), []),
        (AuditFilter(kind=AuditKind.DENIED), [DENIED]),
        (AuditFilter(start=LOOKED.at), [LOOKED]),
        (AuditFilter(end=LOOKED.at), [DENIED]),
        (AuditFilter(start=DENIED.at, end=LOOKED.at + timedelta(seconds=1)), [LOOKED, DENIED]),
        (AuditFilter(principal="alice", kind=AuditKind.DENIED), []),
    ],
)
async def test_events_are_chosen_by_who_and_whom_and_when(storage, chosen, expected):
    await storage.audit.append([DENIED, LOOKED])
    assert [one.event for one in await listed(storage, chosen)] == expected


async def test_only_who_is_let_in_to_the_whole_house_sees_any(storage):
    await storage.audit.append([DENIED, LOOKED])
    token = ADMITTED.set(Caller("alice", scope=ClientScope(frozenset({ClientId("alpha"), ClientId("beta")}))))
    try:
        assert list(await listed(storage)) == []
    finally:
        ADMITTED.reset(token)


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET principal = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"])
async def test_the_database_lets_nobody_change_the_trail(database_url, statement):
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(database_url, statement)
