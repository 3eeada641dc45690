"""One consistent view of the whole ledger for an auditor, on a connection of its own and with cursors on the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from sqlalchemy import ColumnElement, Numeric, and_, case, cast, func, select, true, union
from sqlalchemy.dialects.postgresql import aggregate_order_by

from crossmargin.adapters.postgres.anchors import ANCHOR_COLUMNS, anchor_from_row, heads_from_rows
from crossmargin.adapters.postgres.database import Connection, Row
from crossmargin.adapters.postgres.projections import RESERVATION, UNSETTLED_TRADE, difference_from_row
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError, check_schema
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import account_head, anchor, entry, entry_details, position, posting, reservation, unsettled_trade
from crossmargin.domain.audit_anchor import Anchor, AnchoredHead
from crossmargin.domain.book import EntryKind
from crossmargin.domain.ledger_audit import RecordedEntry, StoredEntry, StoredLeg, StoredPosition, UnreadableAnchor
from crossmargin.domain.projection import ProjectionDifference

_BATCH: Final = 1000
_ACCOUNT_BATCH: Final = 100
_ANCHOR_BATCH: Final = 100
"""A checkpoint lists every account, so anchors are fewer at a time."""
_BEGIN: Final = (
    b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    b"SET LOCAL statement_timeout = 0",
    b"SET LOCAL idle_in_transaction_session_timeout = 0",
    b"SET LOCAL TimeZone = 'UTC'",
    b"SET LOCAL crossmargin.clients = '*'",
)
_YEARS: Final = (1, 9999)
"""Those of a moment that Python can hold. Nothing else is ever booked, but somebody may have written it."""


def _readable(moment: ColumnElement[datetime]) -> ColumnElement[datetime]:
    return case((func.isfinite(moment) & func.date_part("year", moment).between(*_YEARS), moment))


_HEADS: Final = compiled(
    select(account_head.c.client_id, account_head.c.account_id, account_head.c.sequence, account_head.c.chain_hash).order_by(
        account_head.c.client_id, account_head.c.account_id
    )
)
_LEGS: Final = (
    select(
        *(
            func.array_agg(aggregate_order_by(column, posting.c.leg)).label(name)
            for name, column in (
                ("numbers", posting.c.leg),
                ("ledger_accounts", posting.c.ledger_account),
                ("book_ids", posting.c.book_id),
                ("instrument_ids", posting.c.instrument_id),
                ("quantities", cast(posting.c.quantity, Numeric)),
                ("costs", cast(posting.c.cost, Numeric)),
            )
        )
    )
    .where(
        posting.c.client_id == entry.c.client_id,
        posting.c.account_id == entry.c.account_id,
        posting.c.sequence == entry.c.sequence,
    )
    .lateral("legs")
)
_ENTRIES: Final = compiled(
    select(
        entry.c.client_id,
        entry.c.account_id,
        entry.c.sequence,
        entry.c.kind,
        _readable(entry.c.effective_at).label("effective_at"),
        entry.c.reference,
        entry.c.previous_hash,
        entry.c.chain_hash,
        _readable(entry.c.recorded_at).label("recorded_at"),
        entry_details.c.details,
        entry_details.c.reverses,
        entry_details.c.event,
        _LEGS,
    )
    .join_from(entry, _LEGS, true())
    .outerjoin(
        entry_details,
        and_(
            entry_details.c.client_id == entry.c.client_id,
            entry_details.c.account_id == entry.c.account_id,
            entry_details.c.sequence == entry.c.sequence,
        ),
    )
    .order_by(entry.c.client_id, entry.c.account_id, entry.c.sequence)
)
_POSITIONS: Final = compiled(
    select(
        position.c.client_id,
        position.c.account_id,
        position.c.book_id,
        position.c.instrument_id,
        cast(position.c.quantity, Numeric).label("quantity"),
        cast(position.c.cost, Numeric).label("cost"),
    ).order_by(position.c.client_id, position.c.account_id, position.c.book_id, position.c.instrument_id)
)
_CONCERNED: Final = {
    RESERVATION: compiled(
        union(
            select(reservation.c.client_id, reservation.c.account_id),
            select(entry.c.client_id, entry.c.account_id).where(entry.c.kind == EntryKind.RESERVATION.value),
        ).order_by("client_id", "account_id")
    ),
    UNSETTLED_TRADE: compiled(
        union(
            select(unsettled_trade.c.client_id, unsettled_trade.c.account_id),
            select(entry_details.c.client_id, entry_details.c.account_id).where(entry_details.c.details.contains('"settle_date"')),
        ).order_by("client_id", "account_id")
    ),
}
"""Whom a projection concerns, by what is stored or what the ledger says; positions are added up from the entries that are read anyway."""
_ANCHORS: Final = compiled(select(*ANCHOR_COLUMNS).order_by(anchor.c.number))
_POSTING_COUNT: Final = b"SELECT count(*) AS row_count FROM posting"
_DETAILS_COUNT: Final = b"SELECT count(*) AS row_count FROM entry_details"
_RECORDED: Final = b"""
SELECT e.chain_hash, CASE WHEN isfinite(e.recorded_at) AND date_part('year', e.recorded_at) BETWEEN 1 AND 9999 THEN e.recorded_at END
    AS recorded_at
FROM unnest(%s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY AS wanted (client_id, account_id, sequence, place)
LEFT JOIN entry AS e
    ON e.client_id = wanted.client_id AND e.account_id = wanted.account_id AND e.sequence = wanted.sequence
ORDER BY wanted.place
"""


class PostgresLedgerView:
    """See `LedgerView`. Writers are not held up by it; the server keeps what they replace until it ends."""

    def __init__(self, connection: Connection, taken_at: datetime) -> None:
        self._connection = connection
        self._taken_at = taken_at
        self._numbers = count(1)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Yield a view of the database at `url`, as of now.

        Raises:
            DatabaseRefusedError: It cannot be reached, or has a schema that this release does not know.
        """
        try:
            connection = await AsyncConnection[Row].connect(
                url, autocommit=True, row_factory=dict_row, connect_timeout=3, application_name="crossmargin audit"
            )
        except psycopg.OperationalError as error:
            raise DatabaseRefusedError(
                "the database cannot be reached; check CROSSMARGIN_DATABASE_URL and that the server runs and lets this user in"
            ) from error
        async with connection:
            await check_schema(connection)
            for statement in _BEGIN:
                await connection.execute(statement)
            # The first statement makes the snapshot.
            row = await (await connection.execute(b"SELECT clock_timestamp() AS taken_at")).fetchone()
            if row is None:
                raise DatabaseRefusedError("the database did not say what time it is")
            yield cls(connection, row["taken_at"])

    @property
    def taken_at(self) -> datetime:
        """The moment of the view, by the clock of the database."""
        return self._taken_at

    async def heads(self) -> AsyncIterator[Sequence[AnchoredHead]]:
        """Yield the heads in the order of their names."""
        async for rows in self._rows(_HEADS):
            yield heads_from_rows(rows)

    async def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        """Yield the entries in the order of account and sequence, with their legs."""
        async for rows in self._rows(_ENTRIES):
            yield [_entry(row) for row in rows]

    async def positions(self) -> AsyncIterator[Sequence[StoredPosition]]:
        """Yield the positions in the order of account, book and instrument."""
        async for rows in self._rows(_POSITIONS):
            yield [StoredPosition(**row) for row in rows]

    async def projection_differences(self) -> AsyncIterator[Sequence[ProjectionDifference]]:
        """Yield the reservations and unsettled trades that are stored otherwise than the entries say."""
        for projection, concerned in _CONCERNED.items():
            compare = projection.compare()
            async for rows in self._rows(concerned, batch=_ACCOUNT_BATCH):
                names = ([row["client_id"] for row in rows], [row["account_id"] for row in rows])
                found = await (await self._connection.execute(compare, names)).fetchall()
                yield [difference_from_row(projection, row) for row in found]

    async def anchors(self) -> AsyncIterator[Sequence[Anchor | UnreadableAnchor]]:
        """Yield the anchors by number."""
        async for rows in self._rows(_ANCHORS, batch=_ANCHOR_BATCH):
            yield [_anchor(row) for row in rows]

    async def posting_count(self) -> int:
        """Return how many postings there are."""
        return await self._count(_POSTING_COUNT)

    async def details_count(self) -> int:
        """Return how many entries have details stored."""
        return await self._count(_DETAILS_COUNT)

    async def recorded(self, heads: Sequence[AnchoredHead]) -> Sequence[RecordedEntry | None]:
        """Return what is stored for the entry of each head."""
        columns = ([head.client_id for head in heads], [head.account_id for head in heads], [head.sequence for head in heads])
        rows = await (await self._connection.execute(_RECORDED, columns)).fetchall()
        return [None if row["chain_hash"] is None else RecordedEntry(bytes(row["chain_hash"]), row["recorded_at"]) for row in rows]

    async def _count(self, statement: bytes) -> int:
        row = await (await self._connection.execute(statement)).fetchone()
        return int(row["row_count"]) if row is not None else 0

    async def _rows(self, statement: Statement, *, batch: int | None = None) -> AsyncIterator[list[Row]]:
        async with self._connection.cursor(name=f"audit_{next(self._numbers)}") as cursor:
            await cursor.execute(statement.sql, statement.values({}))
            while rows := await cursor.fetchmany(batch or _BATCH):
                yield rows


def _entry(row: Row) -> StoredEntry:
    columns = (row[name] or () for name in ("numbers", "ledger_accounts", "book_ids", "instrument_ids", "quantities", "costs"))
    return StoredEntry(
        client_id=row["client_id"],
        account_id=row["account_id"],
        sequence=row["sequence"],
        kind=row["kind"],
        effective_at=row["effective_at"],
        reference=row["reference"],
        previous_hash=bytes(row["previous_hash"]),
        chain_hash=bytes(row["chain_hash"]),
        recorded_at=row["recorded_at"],
        legs=tuple(StoredLeg(*leg) for leg in zip(*columns, strict=True)),
        details=row["details"],
        reverses=row["reverses"],
        event=row["event"],
    )


def _anchor(row: Row) -> Anchor | UnreadableAnchor:
    try:
        return anchor_from_row(row)
    except ValueError as error:
        return UnreadableAnchor(row["number"], f"anchor {row['number']} cannot be read: {error}")
