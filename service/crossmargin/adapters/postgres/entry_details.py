"""Writes what the entries of a decision say beyond their postings, inside its transaction."""

from __future__ import annotations

from typing import Final

from psycopg import errors
from sqlalchemy import BigInteger, Text, bindparam, insert, select

from crossmargin.adapters.postgres.database import Connection
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import entry_details
from crossmargin.domain.book import Entry
from crossmargin.usecases.storage_errors import already_cancelled

_COLUMNS: Final = ("client_id", "account_id", "sequence", "details", "reverses", "event")
_INSERT: Final = compiled(insert(entry_details).values({name: bindparam(name, type_=entry_details.c[name].type) for name in _COLUMNS}))
_REVERSED_BY: Final = compiled(
    select(entry_details.c.sequence).where(
        entry_details.c.client_id == bindparam("client_id", type_=Text),
        entry_details.c.account_id == bindparam("account_id", type_=Text),
        entry_details.c.reverses == bindparam("reverses", type_=BigInteger),
    )
)


async def store_details(connection: Connection, entries: tuple[Entry, ...]) -> None:
    """Store the details of those entries that have any; call it after the entries are written.

    Raises:
        DomainError: ALREADY_CANCELLED for an entry that takes back what another took back before.
        ValueError: An event that was booked before.
    """
    for numbered in entries:
        if numbered.entry.details.text():
            await _store(connection, numbered)


async def _store(connection: Connection, numbered: Entry) -> None:
    ref, details = numbered.entry.account, numbered.entry.details
    name = {"client_id": ref.client_id, "account_id": ref.account_id}
    if details.reverses is not None:
        # The account is locked, so what is not there now will not be there at the commit either.
        values = _REVERSED_BY.values({**name, "reverses": details.reverses})
        if found := await (await connection.execute(_REVERSED_BY.sql, values)).fetchone():
            raise already_cancelled(ref, details.reverses, found["sequence"])
    row = {
        **name,
        "sequence": numbered.sequence,
        "details": details.text(),
        "reverses": details.reverses,
        "event": details.event or None,
    }
    try:
        await connection.execute(_INSERT.sql, _INSERT.values(row))
    except errors.UniqueViolation:
        raise ValueError(f"event {details.event} of {ref} was booked before") from None
