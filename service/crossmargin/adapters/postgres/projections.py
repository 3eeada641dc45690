"""Projections of the ledger, compared with it and built from it anew.

A projection is one line of `PROJECTIONS`: its table, and the statement that says what should be in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.storage_errors import unknown_account

_ACCOUNTS_AT_ONCE: Final = 100
_LOCK_HEAD: Final = b"SELECT sequence FROM account_head WHERE client_id = %s AND account_id = %s FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Projection:
    """A table that follows from the ledger.

    Attributes:
        name: Of the table.
        keys: Columns that name a row within its account.
        values: Columns that the ledger says; a row is replaced as a whole, so there are no others.
        due: SQL of what should be stored, columns client_id, account_id, keys and values, for the accounts in the relation `wanted`.
        counts: SQL condition on a stored row; one that says nothing, such as a closed position, need not be there.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    due: str
    counts: str = "true"

    @property
    def columns(self) -> str:
        """All columns, in order."""
        return ", ".join(("client_id", "account_id", *self.keys, *self.values))

    def compare(self) -> bytes:
        """Return the statement that finds differences, all in one snapshot, so that writers raise no false alarm."""
        both = ", ".join(f"due.{name} AS due_{name}, stored.{name} AS stored_{name}" for name in self.values)
        sides = [f"({', '.join(f'{side}.{name}' for name in ('client_id', *self.values))})" for side in ("due", "stored")]
        names = ", ".join(("client_id", "account_id", *self.keys))
        # Names of our own tables and columns; everything else is a parameter.
        return f"""
            WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS w (client_id, account_id)),
            due AS ({self.due}),
            stored AS (
                SELECT {self.columns} FROM {self.name} JOIN wanted USING (client_id, account_id) WHERE {self.counts}
            )
            SELECT {names}, due.client_id IS NOT NULL AS is_due, stored.client_id IS NOT NULL AS is_stored, {both}
            FROM due FULL JOIN stored USING ({names})
            WHERE {sides[0]} IS DISTINCT FROM {sides[1]}
            ORDER BY {names}
        """.encode()  # noqa: S608

    def clear(self) -> bytes:
        """Return the statement that empties the projection of an account."""
        return f"DELETE FROM {self.name} WHERE client_id = %s AND account_id = %s".encode()  # noqa: S608

    def fill(self) -> bytes:
        """Return the statement that builds the projection of an account."""
        return f"""
            WITH wanted AS (SELECT %s::text AS client_id, %s::text AS account_id)
            INSERT INTO {self.name} ({self.columns})
            SELECT {self.columns} FROM ({self.due}) AS due
        """.encode()  # noqa: S608


POSITION: Final = Projection(
    name="position",
    keys=("book_id", "instrument_id"),
    values=("quantity", "cost"),
    due="""
        SELECT p.client_id, p.account_id, p.book_id, p.instrument_id, sum(p.quantity) AS quantity, sum(p.cost) AS cost
        FROM posting AS p JOIN wanted AS w ON w.client_id = p.client_id AND w.account_id = p.account_id
        WHERE p.ledger_account = p.account_id
        GROUP BY p.client_id, p.account_id, p.book_id, p.instrument_id
        HAVING sum(p.quantity) <> 0 OR sum(p.cost) <> 0
    """,
    counts="quantity <> 0 OR cost <> 0",
)
PROJECTIONS: Final = {projection.name: projection for projection in (POSITION,)}


class PostgresProjections:
    """See `Projections`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def names(self) -> tuple[str, ...]:
        """What there is."""
        return tuple(PROJECTIONS)

    async def differences(self, name: str, accounts: Sequence[AccountRef]) -> Sequence[ProjectionDifference]:
        """Return the rows of accounts that are not what the ledger says."""
        projection, found = PROJECTIONS[name], list[ProjectionDifference]()
        for start in range(0, len(accounts), _ACCOUNTS_AT_ONCE):
            some = accounts[start : start + _ACCOUNTS_AT_ONCE]
            async with self._database.bulk() as connection:
                cursor = await connection.execute(projection.compare(), _columns(some))
                found += [_difference(projection, row) for row in await cursor.fetchall()]
        return found

    async def rebuild(self, name: str, account: AccountRef) -> Sequence[ProjectionDifference]:
        """Replace what is stored for an account by what the ledger says, under its lock, and return what was different."""
        projection, own = PROJECTIONS[name], (account.client_id, account.account_id)
        async with self._database.bulk() as connection:
            if await (await connection.execute(_LOCK_HEAD, own)).fetchone() is None:
                raise unknown_account(account)
            found = await (await connection.execute(projection.compare(), _columns([account]))).fetchall()
            if found:
                await connection.execute(projection.clear(), own)
                await connection.execute(projection.fill(), own)
        return [_difference(projection, row) for row in found]


def _columns(accounts: Sequence[AccountRef]) -> tuple[list[str], list[str]]:
    return [ref.client_id for ref in accounts], [ref.account_id for ref in accounts]


def _difference(projection: Projection, row: Row) -> ProjectionDifference:
    return ProjectionDifference(
        projection=projection.name,
        account=AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"])),
        row=", ".join(f"{key.removesuffix('_id')} {row[key]}" for key in projection.keys),
        stored=_words(projection, row, "stored") if row["is_stored"] else None,
        due=_words(projection, row, "due") if row["is_due"] else None,
    )


def _words(projection: Projection, row: Row, side: str) -> str:
    return ", ".join(f"{name} {_text(row[f'{side}_{name}'])}" for name in projection.values)


def _text(value: object) -> str:
    return format_decimal(value) if isinstance(value, Decimal) else str(value)
