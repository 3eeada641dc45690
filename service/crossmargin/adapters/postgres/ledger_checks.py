"""Checks of the ledger that are cheap enough for every night: the database adds up what it holds, a few accounts at a time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.ledger_audit import Finding, FindingKind
from crossmargin.domain.money import format_decimal

_ACCOUNTS_AT_ONCE: Final = 100
_ACCOUNTS: Final = b"unnest(%s::text[], %s::text[], %s::bigint[]) AS w (client_id, account_id, after_sequence)"
_UNBALANCED: Final = (
    b"""
SELECT p.client_id, p.account_id, p.sequence, p.instrument_id, sum(p.quantity) AS quantity, sum(p.cost) AS cost
FROM """
    + _ACCOUNTS
    + b"""
JOIN posting AS p ON p.client_id = w.client_id AND p.account_id = w.account_id AND p.sequence > w.after_sequence
GROUP BY p.client_id, p.account_id, p.sequence, p.instrument_id
HAVING sum(p.quantity) <> 0 OR sum(p.cost) <> 0
ORDER BY p.client_id, p.account_id, p.sequence, p.instrument_id
"""
)
_HEADS: Final = (
    b"""
SELECT h.client_id, h.account_id, h.sequence, h.sequence = 0 OR e.chain_hash IS NOT NULL AS has_entry
FROM """
    + _ACCOUNTS
    + b"""
JOIN account_head AS h ON h.client_id = w.client_id AND h.account_id = w.account_id
LEFT JOIN entry AS e ON e.client_id = h.client_id AND e.account_id = h.account_id AND e.sequence = h.sequence
WHERE (h.sequence > 0 AND e.chain_hash IS DISTINCT FROM h.chain_hash)
    OR EXISTS (
        SELECT FROM entry AS later
        WHERE later.client_id = h.client_id AND later.account_id = h.account_id AND later.sequence > h.sequence
    )
ORDER BY h.client_id, h.account_id
"""
)


class PostgresLedgerChecks:
    """See `LedgerChecks`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unbalanced_entries(self, after: Mapping[AccountRef, int]) -> list[Finding]:
        """Return a finding for each entry, after the sequence given for its account, whose postings do not sum to zero."""
        return [
            Finding(
                FindingKind.ENTRY_UNBALANCED,
                f"postings of entry {row['sequence']} in {row['instrument_id']} sum to {format_decimal(row['quantity'])} "
                f"at cost {format_decimal(row['cost'])}; expected nothing",
                f"clients/{row['client_id']}/accounts/{row['account_id']}",
                row["sequence"],
            )
            for row in await self._rows(_UNBALANCED, after)
        ]

    async def heads_off_their_entries(self, accounts: Mapping[AccountRef, int]) -> list[Finding]:
        """Return a finding for each account whose head is not its last entry."""
        return [
            Finding(
                FindingKind.HEAD_DIFFERS,
                f"the head is at entry {row['sequence']}, which "
                f"{'is not the last, or has another hash' if row['has_entry'] else 'is gone'}",
                f"clients/{row['client_id']}/accounts/{row['account_id']}",
                row["sequence"],
            )
            for row in await self._rows(_HEADS, accounts)
        ]

    async def _rows(self, statement: bytes, accounts: Mapping[AccountRef, int]) -> list[Row]:
        found, left = list[Row](), iter(sorted(accounts.items()))
        while some := list(islice(left, _ACCOUNTS_AT_ONCE)):
            columns = ([ref.client_id for ref, _ in some], [ref.account_id for ref, _ in some], [sequence for _, sequence in some])
            async with self._database.bulk() as connection:
                found += await (await connection.execute(statement, columns)).fetchall()
        return found
