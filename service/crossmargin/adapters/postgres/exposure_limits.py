"""Exposure limits as rows, and as the documents that the functions of the write path hand out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from psycopg.types.json import Jsonb
from sqlalchemy import Numeric, Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import account_head, exposure_limits
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, ClientId, OffsetGroupId
from crossmargin.domain.money import format_decimal

_TABLE: Final = exposure_limits
_CLIENT: Final = bindparam("client_id", type_=Text)
LIMITS_OF: Final = compiled(
    select(
        _TABLE.c.client_id,
        _TABLE.c.account_id,
        *(cast(_TABLE.c[name], Numeric).label(name) for name in ("gross", "net", "order_notional")),
        _TABLE.c.group_limits.label("groups"),
        _TABLE.c.set_by,
        _TABLE.c.set_at,
    ).where(_TABLE.c.client_id == _CLIENT, _TABLE.c.account_id == bindparam("account_id", type_=Text))
)
LOCK_HEADS: Final = compiled(
    select(account_head.c.account_id).where(account_head.c.client_id == _CLIENT).order_by(account_head.c.account_id).with_for_update()
)
_COLUMNS: Final = ("client_id", "account_id", "gross", "net", "order_notional", "group_limits", "set_by")
_NEW: Final = insert(_TABLE).values({name: bindparam(name, type_=_TABLE.c[name].type) for name in _COLUMNS})
REPLACE_LIMITS: Final = compiled(
    _NEW.on_conflict_do_update(
        constraint=_TABLE.primary_key, set_={**{name: _NEW.excluded[name] for name in _COLUMNS[2:]}, "set_at": func.now()}
    )
)


def limits_from_row(row: Mapping[str, Any]) -> ExposureLimits:
    """Return the limits of a row, or of a document with amounts and times as text."""
    set_at = row["set_at"]
    return ExposureLimits(
        client_id=ClientId(row["client_id"]),
        account_id=AccountId(row["account_id"]) if row["account_id"] else None,
        gross=_amount(row["gross"]),
        net=_amount(row["net"]),
        order_notional=_amount(row["order_notional"]),
        groups={OffsetGroupId(name): Decimal(limit) for name, limit in sorted(row["groups"].items())},
        set_by=row["set_by"],
        set_at=set_at if isinstance(set_at, datetime) else datetime.fromisoformat(set_at),
    )


def limits_values(limits: ExposureLimits) -> dict[str, object]:
    """Return the columns of a row of limits."""
    return {
        "client_id": limits.client_id,
        "account_id": limits.account_id or "",
        "gross": limits.gross,
        "net": limits.net,
        "order_notional": limits.order_notional,
        "group_limits": Jsonb({str(name): format_decimal(limit) for name, limit in limits.groups.items()}),
        "set_by": limits.set_by,
    }


def _amount(value: Decimal | str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
