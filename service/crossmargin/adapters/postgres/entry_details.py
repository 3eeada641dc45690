"""Writes what the entries of a decision say beyond their postings, inside its transaction."""

from __future__ import annotations

from typing import Final

import psycopg
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


async def check_not_taken_back(connection: Connection, entries: tuple[Entry, ...]) -> None:
    """Raise ALREADY_CANCELLED for an entry that takes back what another took back before; the accounts have to be locked."""
    for numbered in entries:
        ref, reverses = numbered.entry.account, numbered.entry.details.reverses
        if reverses is None:
            continue
        # The account is locked, so what is not there now will not be there at the commit either.
        values = _REVERSED_BY.values({"client_id": ref.client_id, "account_id": ref.account_id, "reverses": reverses})
        if found := await (await connection.execute(_REVERSED_BY.sql, values)).fetchone():
            raise already_cancelled(ref, reverses, found["sequence"])


async def store_details(connection: Connection, entries: tuple[Entry, ...]) -> None:
    """Store the details of those entries that have any; call it after the entries are written, and see `raise_if_booked_before`."""
    for numbered in entries:
        ref, details = numbered.entry.account, numbered.entry.details
        if details.text():
            row = {
                "client_id": ref.client_id,
                "account_id": ref.account_id,
                "sequence": numbered.sequence,
                "details": details.text(),
                "reverses": details.reverses,
                "event": details.event or None,
            }
            await connection.execute(_INSERT.sql, _INSERT.values(row))


def raise_if_booked_before(error: psycopg.DatabaseError, entries: tuple[Entry, ...]) -> None:
    """Raise ValueError when a failure means that an account has booked an event of the entries before."""
    if isinstance(error, errors.UniqueViolation) and error.diag.table_name == entry_details.name:
        events = ", ".join(f"{one.entry.details.event} of {one.entry.account}" for one in entries if one.entry.details.event)
        raise ValueError(f"event {events} was booked before") from None
