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
_RENEW: Final = b"UPDATE account_head SET positions_epoch = gen_random_uuid() WHERE client_id = %s AND account_id = %s"
_LOCK_HEAD: Final = b"SELECT sequence FROM account_head WHERE client_id = %s AND account_id = %s FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Projection:
    """A table that follows from the ledger.

    Attributes:
        name: Of the table.
        keys: Columns that name a row within its account.
        values: Columns that the ledger says; a row is replaced as a whole, so there are no others.
        due: SQL of what should be stored, columns client_id, account_id, keys and values, for the accounts in the relation `wanted`.
        moments: Those of the values that are times; as text in a difference, because somebody may have written one that is never.
        counts: SQL condition on a stored row; one that says nothing, such as a closed position, need not be there.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    due: str
    moments: tuple[str, ...] = ()
    counts: str = "true"

    @property
    def columns(self) -> str:
        """All columns, in order."""
        return ", ".join(("client_id", "account_id", *self.keys, *self.values))

    def compare(self) -> bytes:
        """Return the statement that finds differences, all in one snapshot, so that writers raise no false alarm."""
        texts = {name: "::text" if name in self.moments else "" for name in self.values}
        both = ", ".join(f"{side}.{name}{text} AS {side}_{name}" for side in ("due", "stored") for name, text in texts.items())
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
# What does not read as an entry of its kind does is due as nothing that can be stored: the repair fails, and the entry is to be looked at.
RESERVATION: Final = Projection(
    name="reservation",
    keys=("sequence",),
    values=(
        *("book_id", "instrument_id", "settlement", "quantity", "price", "kind", "lifetime_s", "reference", "consideration", "paid_in"),
        *("filled", "reserved_by", "reserved_at", "expires_at", "state"),
    ),
    moments=("reserved_at", "expires_at"),
    due=r"""
        SELECT
            e.client_id, e.account_id, e.sequence, said[1] AS book_id, said[2] AS instrument_id, nullif(said[5], '-') AS settlement,
            said[3]::numeric AS quantity, said[4]::numeric AS price, said[6] AS kind, said[7]::bigint AS lifetime_s,
            said[11] AS reference, said[8]::numeric AS consideration, nullif(said[9], '-') AS paid_in,
            coalesce(fills.filled, 0) AS filled, said[10] AS reserved_by, e.effective_at AS reserved_at,
            e.effective_at + make_interval(secs => said[7]::bigint) AS expires_at,
            coalesce(ends.state, CASE WHEN fills.filled = said[3]::numeric THEN 'filled' ELSE 'active' END) AS state
        FROM entry AS e
        JOIN wanted AS w ON w.client_id = e.client_id AND w.account_id = e.account_id
        CROSS JOIN LATERAL regexp_match(
            e.reference,
            '^(\S+) (\S+) (-?\d+(?:\.\d+)?) (-?\d+(?:\.\d+)?) (\S+) (\S+) (\d{1,9}) (-?\d+(?:\.\d+)?) (\S+) (\S+) (.*)$'
        ) AS said
        LEFT JOIN (
            SELECT f.client_id, f.account_id, said[1]::bigint AS sequence, sum(said[2]::numeric) AS filled
            FROM entry AS f
            JOIN wanted AS w ON w.client_id = f.client_id AND w.account_id = f.account_id
            CROSS JOIN LATERAL regexp_match(f.reference, '^(\d{1,18}) filled (-?\d+(?:\.\d+)?) by \d+$') AS said
            WHERE f.kind = 'reservation fill'
            GROUP BY 1, 2, 3
        ) AS fills ON fills.client_id = e.client_id AND fills.account_id = e.account_id AND fills.sequence = e.sequence
        LEFT JOIN (
            SELECT DISTINCT ON (d.client_id, d.account_id, said[1]::bigint)
                d.client_id, d.account_id, said[1]::bigint AS sequence, said[2] AS state
            FROM entry AS d
            JOIN wanted AS w ON w.client_id = d.client_id AND w.account_id = d.account_id
            CROSS JOIN LATERAL regexp_match(d.reference, '^(\d{1,18}) (released|expired)$') AS said
            WHERE d.kind = 'reservation end'
            ORDER BY d.client_id, d.account_id, said[1]::bigint, d.sequence DESC
        ) AS ends ON ends.client_id = e.client_id AND ends.account_id = e.account_id AND ends.sequence = e.sequence
        WHERE e.kind = 'reservation'
    """,
)
# Read without taking the text for JSON, or its days for those of a calendar: somebody may have written what is neither.
UNSETTLED_TRADE: Final = Projection(
    name="unsettled_trade",
    keys=("sequence",),
    values=("settle_date",),
    moments=("settle_date",),
    due=r"""
        SELECT
            e.client_id, e.account_id, e.sequence,
            make_date(said[1]::integer, said[2]::integer, 1) + said[3]::integer - 1 AS settle_date
        FROM entry AS e
        JOIN wanted AS w ON w.client_id = e.client_id AND w.account_id = e.account_id
        JOIN entry_details AS d ON d.client_id = e.client_id AND d.account_id = e.account_id AND d.sequence = e.sequence
        CROSS JOIN LATERAL regexp_match(
            d.details, '"settle_date":"(?!0000)(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"'
        ) AS said
        LEFT JOIN (
            SELECT DISTINCT r.client_id, r.account_id, r.reverses AS sequence
            FROM entry_details AS r JOIN wanted AS w ON w.client_id = r.client_id AND w.account_id = r.account_id
        ) AS cancelled ON cancelled.client_id = e.client_id AND cancelled.account_id = e.account_id AND cancelled.sequence = e.sequence
        LEFT JOIN (
            SELECT DISTINCT s.client_id, s.account_id, said[1]::bigint AS sequence
            FROM entry_details AS s
            JOIN wanted AS w ON w.client_id = s.client_id AND w.account_id = s.account_id
            CROSS JOIN LATERAL regexp_match(s.event, '^settlement of entry (\d{1,18})(?: #\d+)?$') AS said
            LEFT JOIN entry_details AS b ON b.client_id = s.client_id AND b.account_id = s.account_id AND b.reverses = s.sequence
            WHERE b.sequence IS NULL
        ) AS settled ON settled.client_id = e.client_id AND settled.account_id = e.account_id AND settled.sequence = e.sequence
        WHERE e.kind = 'trade' AND said IS NOT NULL AND cancelled.sequence IS NULL AND settled.sequence IS NULL
    """,
)
PROJECTIONS: Final = {projection.name: projection for projection in (POSITION, RESERVATION, UNSETTLED_TRADE)}


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
                found += [difference_from_row(projection, row) for row in await cursor.fetchall()]
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
                # No entry tells those who keep the positions of the account that they are others now.
                await connection.execute(_RENEW, own)
        return [difference_from_row(projection, row) for row in found]


def _columns(accounts: Sequence[AccountRef]) -> tuple[list[str], list[str]]:
    return [ref.client_id for ref in accounts], [ref.account_id for ref in accounts]


def difference_from_row(projection: Projection, row: Row) -> ProjectionDifference:
    """Return the difference of a row of `Projection.compare`."""
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
