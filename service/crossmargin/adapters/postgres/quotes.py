"""The last word of every source, and how far each has come."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import psycopg
from sqlalchemy import Text, bindparam, select

from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import caller_error
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import latest_quote, quote_source
from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.quote import Quote, SourceProgress, subject_from_text
from crossmargin.usecases.ports.quote import QuoteBatch

_PROGRESS: Final = compiled(
    select(quote_source.c.last_sequence, quote_source.c.missed_count).where(quote_source.c.source == bindparam("source", type_=Text))
)
_LATEST: Final = compiled(
    select(latest_quote.c.subject, latest_quote.c.source, latest_quote.c.value, latest_quote.c.sequence, latest_quote.c.observed_at)
    # Names compare byte by byte in the table, as they do in Python.
    .order_by(latest_quote.c.subject, latest_quote.c.source)
)
_BEGIN_SOURCE: Final = b"INSERT INTO quote_source (source, last_sequence, missed_count) VALUES (%s, 0, 0) ON CONFLICT DO NOTHING"
_LOCK_SOURCE: Final = b"SELECT last_sequence, missed_count FROM quote_source WHERE source = %s FOR UPDATE"
_ADVANCE_SOURCE: Final = b"UPDATE quote_source SET last_sequence = %s, missed_count = %s WHERE source = %s"
_UPSERT: Final = b"""
INSERT INTO latest_quote (subject, source, value, sequence, observed_at)
SELECT subject, %s, value, sequence, observed_at
FROM unnest(%s::text[], %s::numeric[], %s::bigint[], %s::timestamptz[]) AS said (subject, value, sequence, observed_at)
ON CONFLICT (subject, source) DO UPDATE SET value = excluded.value, sequence = excluded.sequence, observed_at = excluded.observed_at
"""


class PostgresQuoteStore:
    """See `QuoteStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_quotes(self, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
        """Store what continues its source in one transaction, and return its progress before and after."""
        return await self._database.shielded(self._record(batch))

    async def progress_of(self, source: SourceId) -> SourceProgress:
        """Return how far a source has come."""
        row = await self._database.row(_PROGRESS, source=source)
        return SourceProgress(source) if row is None else _progress(source, row)

    async def latest_quotes(self) -> Sequence[Quote]:
        """Return the last quote of every source for every subject, in the order of subjects and sources."""
        return [_quote(row) for row in await self._database.rows(_LATEST)]

    async def _record(self, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
        try:
            async with self._database.connection() as connection, connection.transaction():
                return await _record_on(connection, batch)
        except psycopg.Error as error:
            raise caller_error(error) from error


async def _record_on(connection: Connection, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
    await connection.execute(_BEGIN_SOURCE, (batch.source,))
    row = await (await connection.execute(_LOCK_SOURCE, (batch.source,))).fetchone()
    if row is None:
        raise LookupError(f"the row of source {batch.source} that was there a moment ago is gone")
    before = _progress(batch.source, row)
    # One statement may not write one row twice, so of each subject only the last is sent.
    fresh = {str(quote.subject): quote for quote in batch.accepted if quote.sequence > before.last_sequence}
    if fresh:
        said = fresh.values()
        columns = ([each.value for each in said], [each.sequence for each in said], [each.observed_at for each in said])
        await connection.execute(_UPSERT, (batch.source, list(fresh), *columns))
    after = before.after(batch.sequences)
    await connection.execute(_ADVANCE_SOURCE, (after.last_sequence, after.missed_count, batch.source))
    return before, after


def _progress(source: SourceId, row: Row) -> SourceProgress:
    return SourceProgress(source, row["last_sequence"], row["missed_count"])


def _quote(row: Row) -> Quote:
    value = Decimal(row["value"])
    return Quote(SourceId(row["source"]), subject_from_text(row["subject"]), value, row["sequence"], row["observed_at"])
