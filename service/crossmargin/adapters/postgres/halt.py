"""Halts as rows of the control table, and as the documents that the functions of the write path hand out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import control
from crossmargin.domain.halt import Halt, scope_of
from crossmargin.domain.identifiers import ClientId

HALT_OF: Final = compiled(
    select(control.c.scope, control.c.is_halted, control.c.reason, control.c.changed_by, control.c.changed_at).where(
        control.c.scope == bindparam("scope", type_=Text)
    )
)
HALTS_IN_FORCE: Final = compiled(
    select(control.c.scope, control.c.is_halted, control.c.reason, control.c.changed_by, control.c.changed_at).where(control.c.is_halted)
)
# Every request shares the switches until it commits, and that shares the table as well. A row that is shared without a break can never
# be updated, because those who share it do not queue behind those who wait to update it; locks of tables are handed out in turn. So a
# halt asks for the table first: it gets it as soon as the requests before it have ended, and those behind it wait.
ASK_IN_TURN: Final = b"LOCK TABLE control IN EXCLUSIVE MODE"
_COLUMNS: Final = ("scope", "is_halted", "reason", "changed_by")
_NEW: Final = insert(control).values(
    {**{name: bindparam(name, type_=control.c[name].type) for name in _COLUMNS}, "changed_at": func.clock_timestamp()}
)
REPLACE_HALT: Final = compiled(
    _NEW.on_conflict_do_update(constraint=control.primary_key, set_={name: _NEW.excluded[name] for name in (*_COLUMNS[1:], "changed_at")})
)


def halt_from_row(row: Mapping[str, Any]) -> Halt:
    """Return the halt of a row, or of a document with its time as text; only switches that are on come as documents."""
    client_id = None if row["scope"] == scope_of(None) else ClientId(row["scope"].removeprefix("clients/"))
    changed_at = row["changed_at"]
    return Halt(
        client_id=client_id,
        is_halted=row.get("is_halted", True),
        reason=row["reason"],
        changed_by=row["changed_by"],
        changed_at=datetime.fromisoformat(changed_at) if isinstance(changed_at, str) else changed_at,
    )
