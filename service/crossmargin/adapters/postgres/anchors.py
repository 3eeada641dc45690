"""Anchors in the database, and the heads they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Boolean, DateTime, Integer, LargeBinary, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import account_head, anchor
from crossmargin.domain.audit_anchor import Anchor, AnchoredHead, heads_from_document, heads_to_document
from crossmargin.usecases.ports.ledger_audit import HeadsRead

_HEADS: Final = compiled(
    # The clock is read in the same statement, so it is that of its own snapshot or later.
    select(
        account_head.c.client_id,
        account_head.c.account_id,
        account_head.c.sequence,
        account_head.c.chain_hash,
        func.clock_timestamp().label("taken_at"),
    ).order_by(account_head.c.client_id, account_head.c.account_id)
)
_NOW: Final = compiled(select(func.clock_timestamp().label("taken_at")))
ANCHOR_COLUMNS: Final = (
    anchor.c.number,
    anchor.c.taken_at,
    anchor.c.account_count,
    anchor.c.entry_count,
    anchor.c.root,
    anchor.c.previous_hash,
    anchor.c.is_checkpoint,
    anchor.c.changed,
    anchor.c.key_id,
    anchor.c.signature,
)
_LATEST_CHECKPOINT: Final = (
    select(func.max(anchor.c.number))
    .where(anchor.c.is_checkpoint, anchor.c.taken_at <= bindparam("before", type_=DateTime(timezone=True)))
    .scalar_subquery()
)
_FROM_CHECKPOINT: Final = compiled(
    select(*ANCHOR_COLUMNS)
    .where(anchor.c.number >= _LATEST_CHECKPOINT, anchor.c.taken_at <= bindparam("before", type_=DateTime(timezone=True)))
    .order_by(anchor.c.number)
)
_AFTER: Final = compiled(
    select(*ANCHOR_COLUMNS)
    .where(anchor.c.number > bindparam("after", type_=BigInteger))
    .order_by(anchor.c.number)
    .limit(bindparam("size", type_=Integer))
)
_APPEND: Final = compiled(
    insert(anchor)
    .values(
        number=bindparam("number", type_=BigInteger),
        taken_at=bindparam("taken_at", type_=DateTime(timezone=True)),
        account_count=bindparam("account_count", type_=BigInteger),
        entry_count=bindparam("entry_count", type_=BigInteger),
        root=bindparam("root", type_=LargeBinary),
        previous_hash=bindparam("previous_hash", type_=LargeBinary),
        is_checkpoint=bindparam("is_checkpoint", type_=Boolean),
        changed=bindparam("changed", type_=JSONB),
        key_id=bindparam("key_id", type_=Text),
        signature=bindparam("signature", type_=LargeBinary),
    )
    .on_conflict_do_nothing(index_elements=[anchor.c.number])
    .returning(anchor.c.number)
)


class PostgresAnchorStore:
    """See `AnchorStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_heads(self) -> HeadsRead:
        """Return where every account's chain stands."""
        rows = await self._database.rows(_HEADS)
        clock = max(row["taken_at"] for row in rows) if rows else (await self._database.rows(_NOW))[0]["taken_at"]
        return HeadsRead(clock, heads_from_rows(rows))

    async def anchors_from_checkpoint(self, before: datetime | None = None) -> Sequence[Anchor]:
        """Return the latest checkpoint and what follows it, by number."""
        moment = before if before is not None else datetime.max.replace(tzinfo=UTC)
        return [anchor_from_row(row) for row in await self._database.rows(_FROM_CHECKPOINT, before=moment)]

    async def anchors_after(self, number: int, *, limit: int) -> Sequence[Anchor]:
        """Return anchors by number, those after `number`."""
        return [anchor_from_row(row) for row in await self._database.rows(_AFTER, after=number, size=limit)]

    async def append_anchor(self, anchor: Anchor) -> bool:
        """Return True when the anchor is stored; False when its number is taken."""
        stored = await self._database.rows(
            _APPEND,
            number=anchor.number,
            taken_at=anchor.taken_at,
            account_count=anchor.account_count,
            entry_count=anchor.entry_count,
            root=anchor.root,
            previous_hash=anchor.previous_hash,
            is_checkpoint=anchor.is_checkpoint,
            changed=Jsonb(heads_to_document(anchor.changed)),
            key_id=anchor.key_id,
            signature=anchor.signature,
        )
        if stored:
            return True
        # A broken connection makes the statement run again, and then the number is taken by ourselves.
        kept = await self.anchors_after(anchor.number - 1, limit=1)
        return bool(kept) and kept[0] == anchor


def heads_from_rows(rows: Iterable[Row]) -> tuple[AnchoredHead, ...]:
    """Return the heads that rows of `account_head` hold."""
    return tuple(AnchoredHead(row["client_id"], row["account_id"], row["sequence"], bytes(row["chain_hash"])) for row in rows)


def anchor_from_row(row: Row) -> Anchor:
    """Return the anchor that a row of `anchor` holds; ValueError when its heads cannot be read."""
    return Anchor(
        number=row["number"],
        taken_at=row["taken_at"],
        account_count=row["account_count"],
        entry_count=row["entry_count"],
        root=bytes(row["root"]),
        previous_hash=bytes(row["previous_hash"]),
        is_checkpoint=row["is_checkpoint"],
        changed=heads_from_document(row["changed"]),
        key_id=row["key_id"],
        signature=bytes(row["signature"]),
    )
