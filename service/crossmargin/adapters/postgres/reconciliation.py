"""Statements, what they were compared with, and breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from psycopg import errors
from sqlalchemy import bindparam, insert

from crossmargin.adapters.postgres.client_scope import scope_values
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.statements import Statement as Sql
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import break_note, comparison, statement, statement_account
from crossmargin.domain.client_scope import WHOLE_HOUSE
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.reconciliation import (
    Agreement,
    Break,
    BreakKind,
    BreakNote,
    BreakState,
    Comparison,
    HeldThen,
    HoldingName,
    ReconciledStatement,
    Statement,
    StatementLine,
)
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.reconciliation import BreakFilter
from crossmargin.usecases.storage_errors import already_exists, unknown_account, unknown_break


def _sql(text: str, *names: str) -> Sql:
    return Sql(text.encode(), {}, frozenset(names))


_WANTED: Final = "unnest(%(clients)s::text[], %(accounts)s::text[]) AS w (client_id, account_id)"
_HELD: Final = _sql(
    f"""
    SELECT h.client_id, h.account_id, last_entry.sequence, held.instrument_ids, held.quantities
    FROM {_WANTED}
    JOIN account_head AS h ON h.client_id = w.client_id AND h.account_id = w.account_id
    CROSS JOIN LATERAL (
        SELECT coalesce(max(e.sequence), 0) AS sequence FROM entry AS e
        WHERE e.client_id = h.client_id AND e.account_id = h.account_id AND e.effective_at <= %(moment)s
    ) AS last_entry
    CROSS JOIN LATERAL (
        SELECT array_agg(s.instrument_id) AS instrument_ids, array_agg(s.quantity) AS quantities
        FROM (
            SELECT p.instrument_id, sum(p.quantity) AS quantity
            FROM posting AS p
            JOIN entry AS e ON e.client_id = p.client_id AND e.account_id = p.account_id AND e.sequence = p.sequence
            WHERE p.client_id = h.client_id AND p.account_id = h.account_id AND p.ledger_account = p.account_id
                AND e.effective_at <= %(moment)s
            GROUP BY p.instrument_id
            HAVING sum(p.quantity) <> 0
        ) AS s
    ) AS held
    """,  # noqa: S608 - words of our own
    *("clients", "accounts", "moment"),
)
_AGREEMENTS: Final = _sql(
    """
    SELECT DISTINCT ON (c.client_id, c.account_id, c.instrument_id)
        c.client_id, c.account_id, c.instrument_id, s.as_of, a.sequence
    FROM unnest(%(clients)s::text[], %(accounts)s::text[], %(instruments)s::text[]) AS w (client_id, account_id, instrument_id)
    JOIN comparison AS c ON c.client_id = w.client_id AND c.account_id = w.account_id AND c.instrument_id = w.instrument_id
    JOIN statement AS s ON s.statement_id = c.statement_id
    JOIN statement_account AS a
        ON a.client_id = c.client_id AND a.account_id = c.account_id AND a.statement_id = c.statement_id
    WHERE c.kind IS NULL AND s.source = %(source)s AND s.as_of < %(before)s
    ORDER BY c.client_id, c.account_id, c.instrument_id, s.as_of DESC
    """,
    *("clients", "accounts", "instruments", "source", "before"),
)
_STATEMENT: Final = _sql(
    """
    SELECT statement_id, source, as_of, instruments, tolerance::numeric, reconciled_by FROM statement
    WHERE statement_id = %(statement_id)s
    """,
    "statement_id",
)
_ACCOUNTS: Final = _sql(
    """
    SELECT client_id, account_id, sequence FROM statement_account WHERE statement_id = %(statement_id)s ORDER BY client_id, account_id
    """,
    "statement_id",
)
_COMPARED: Final = """
    c.client_id, c.account_id, c.instrument_id, c.stated::numeric, c.held::numeric, c.kind, c.value::numeric, c.external_reference,
    c.agreed_as_of, c.agreed_sequence
"""
_COMPARISONS: Final = _sql(
    f"""
    SELECT {_COMPARED}
    FROM statement_account AS a
    JOIN comparison AS c ON c.client_id = a.client_id AND c.account_id = a.account_id AND c.statement_id = a.statement_id
    WHERE a.statement_id = %(statement_id)s
    ORDER BY c.client_id, c.account_id, c.instrument_id
    """,  # noqa: S608 - words of our own
    "statement_id",
)
_BREAKS: Final = _sql(
    f"""
    SELECT s.statement_id, s.source, s.as_of, a.sequence, {_COMPARED}, n.number, n.state, n.note, n.noted_by, n.noted_at
    FROM statement AS s
    JOIN statement_account AS a ON a.statement_id = s.statement_id
    JOIN comparison AS c ON c.client_id = a.client_id AND c.account_id = a.account_id AND c.statement_id = a.statement_id
    LEFT JOIN LATERAL (
        SELECT * FROM break_note AS b
        WHERE b.client_id = c.client_id AND b.account_id = c.account_id AND b.statement_id = c.statement_id
            AND b.instrument_id = c.instrument_id
        ORDER BY b.number DESC LIMIT 1
    ) AS n ON true
    WHERE c.kind IS NOT NULL
        AND (%(whole_house)s OR c.client_id = ANY(%(scope_clients)s::text[]))
        AND (%(source)s = '' OR s.source = %(source)s)
        AND (%(statement_id)s = '' OR s.statement_id = %(statement_id)s)
        AND (%(client)s = '' OR (c.client_id, c.account_id) = (%(client)s, %(account)s))
        AND (%(instrument)s = '' OR c.instrument_id = %(instrument)s)
        AND (%(state)s = '' OR coalesce(n.state, 'open') = %(state)s)
        AND (s.as_of, s.statement_id, c.client_id, c.account_id, c.instrument_id) > (
            %(after_as_of)s::timestamptz, %(after_statement)s, %(after_client)s, %(after_account)s, %(after_instrument)s
        )
    ORDER BY s.as_of, s.statement_id, c.client_id, c.account_id, c.instrument_id
    LIMIT %(size)s
    """,  # noqa: S608 - words of our own
    *("source", "statement_id", "client", "account", "instrument", "state", "size", "whole_house", "scope_clients"),
    *("after_as_of", "after_statement", "after_client", "after_account", "after_instrument"),
)
_ANY: Final = {"source": "", "statement_id": "", "client": "", "account": "", "instrument": "", "state": "", **scope_values(WHOLE_HOUSE)}
_FROM_THE_FIRST: Final = {
    "after_as_of": datetime(1, 1, 1, tzinfo=UTC),
    "after_statement": "",
    "after_client": "",
    "after_account": "",
    "after_instrument": "",
}


class PostgresReconciliationStore:
    """See `ReconciliationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def held_at(self, accounts: Sequence[AccountRef], moment: datetime) -> Mapping[AccountRef, HeldThen]:
        """Return what accounts held at a moment; UNKNOWN_ACCOUNT."""
        columns = {"clients": [ref.client_id for ref in accounts], "accounts": [ref.account_id for ref in accounts]}
        async with self._database.bulk() as connection:
            rows = await (await connection.execute(_HELD.sql, _HELD.values({**columns, "moment": moment}))).fetchall()
        held = {_ref(row): HeldThen(row["sequence"], _quantities(row)) for row in rows}
        for ref in accounts:
            if ref not in held:
                raise unknown_account(ref)
        return held

    async def last_agreements(self, source: str, before: datetime, names: Sequence[HoldingName]) -> Mapping[HoldingName, Agreement]:
        """Return when earlier statements of a source last agreed about holdings, of those that ever did."""
        rows = await self._database.rows(
            _AGREEMENTS,
            clients=[ref.client_id for ref, _ in names],
            accounts=[ref.account_id for ref, _ in names],
            instruments=[instrument for _, instrument in names],
            source=source,
            before=before,
        )
        return {(_ref(row), InstrumentId(row["instrument_id"])): Agreement(row["as_of"], row["sequence"]) for row in rows}

    async def find_statement(self, statement_id: str) -> ReconciledStatement | None:
        """Return a statement as it was reconciled; None when it was not."""
        row = await self._database.row(_STATEMENT, statement_id=statement_id)
        if row is None:
            return None
        sequences = {_ref(each): each["sequence"] for each in await self._database.rows(_ACCOUNTS, statement_id=statement_id)}
        comparisons = tuple(_comparison(each) for each in await self._database.rows(_COMPARISONS, statement_id=statement_id))
        lines = tuple(
            StatementLine(each.account, each.instrument_id, each.stated, each.value, each.external_reference)
            for each in comparisons
            if each.stated is not None
        )
        instruments = tuple(map(InstrumentId, row["instruments"]))
        stated = Statement(row["source"], row["as_of"], lines, tuple(sequences), instruments, row["tolerance"])
        return ReconciledStatement(stated, sequences, comparisons, row["reconciled_by"])

    async def list_breaks(self, chosen: BreakFilter, page: Page) -> Sequence[Break]:
        """Return breaks in the order of their keys."""
        wanted = {
            **_ANY,
            "source": chosen.source,
            "statement_id": chosen.statement_id,
            "client": chosen.account.client_id if chosen.account is not None else "",
            "account": chosen.account.account_id if chosen.account is not None else "",
            "state": chosen.state.value if chosen.state is not None else "",
            **scope_values(chosen.scope),
        }
        rows = await self._database.rows(_BREAKS, **wanted, **_after(page.after), size=page.size)
        return [_break(row) for row in rows]

    async def get_break(self, statement_id: str, account: AccountRef, instrument_id: InstrumentId) -> Break:
        """Return a break; UNKNOWN_BREAK."""
        wanted = {
            **_ANY,
            "statement_id": statement_id,
            "client": account.client_id,
            "account": account.account_id,
            "instrument": instrument_id,
        }
        row = await self._database.row(_BREAKS, **wanted, **_FROM_THE_FIRST, size=1)
        if row is None:
            raise unknown_break(statement_id, account, instrument_id)
        return _break(row)


_INSERT_STATEMENT: Final = compiled(
    insert(statement).values(
        {
            name: bindparam(name, type_=statement.c[name].type)
            for name in ("statement_id", "source", "as_of", "instruments", "tolerance", "reconciled_by")
        }
    )
)
_INSERT_ACCOUNT: Final = compiled(
    insert(statement_account).values({column.name: bindparam(column.name, type_=column.type) for column in statement_account.c})
)
_INSERT_COMPARISON: Final = compiled(
    insert(comparison).values({column.name: bindparam(column.name, type_=column.type) for column in comparison.c})
)
_INSERT_NOTE: Final = compiled(
    insert(break_note).values({column.name: bindparam(column.name, type_=column.type) for column in break_note.c})
)


async def store_statement(connection: Connection, new: ReconciledStatement) -> bool:
    """Store a reconciled statement; one that is there already is left as it is."""
    statement_id = new.statement.statement_id
    if await (await connection.execute(_STATEMENT.sql, {"statement_id": statement_id})).fetchone() is not None:
        return True
    values = {
        "statement_id": statement_id,
        "source": new.statement.source,
        "as_of": new.statement.as_of,
        "instruments": list(new.statement.instruments),
        "tolerance": new.statement.tolerance,
        "reconciled_by": new.reconciled_by,
    }
    try:
        await connection.execute(_INSERT_STATEMENT.sql, _INSERT_STATEMENT.values(values))
    except errors.UniqueViolation:
        raise already_exists(new) from None
    cursor = connection.cursor()
    accounts = [_account_values(statement_id, ref, sequence) for ref, sequence in new.sequences.items()]
    await cursor.executemany(_INSERT_ACCOUNT.sql, [_INSERT_ACCOUNT.values(each) for each in accounts])
    compared = [_comparison_values(statement_id, each) for each in new.comparisons]
    if compared:
        await cursor.executemany(_INSERT_COMPARISON.sql, [_INSERT_COMPARISON.values(each) for each in compared])
    return True


async def store_note(connection: Connection, new: BreakNote) -> bool:
    """Add a note; False when somebody else added one of this number meanwhile."""
    values = {
        "client_id": new.account.client_id,
        "account_id": new.account.account_id,
        "statement_id": new.statement_id,
        "instrument_id": new.instrument_id,
        "number": new.number,
        "state": new.state.value,
        "note": new.note,
        "noted_by": new.noted_by,
        "noted_at": new.noted_at,
    }
    try:
        await connection.execute(_INSERT_NOTE.sql, _INSERT_NOTE.values(values))
    except errors.UniqueViolation:
        return False
    return True


def _account_values(statement_id: str, ref: AccountRef, sequence: int) -> dict[str, object]:
    return {"client_id": ref.client_id, "account_id": ref.account_id, "statement_id": statement_id, "sequence": sequence}


def _comparison_values(statement_id: str, new: Comparison) -> dict[str, object]:
    return {
        "client_id": new.account.client_id,
        "account_id": new.account.account_id,
        "statement_id": statement_id,
        "instrument_id": new.instrument_id,
        "stated": new.stated,
        "held": new.held,
        "kind": new.kind.value if new.kind is not None else None,
        "value": new.value,
        "external_reference": new.external_reference,
        "agreed_as_of": new.last_agreed.as_of if new.last_agreed is not None else None,
        "agreed_sequence": new.last_agreed.sequence if new.last_agreed is not None else None,
    }


def _after(key: str | None) -> dict[str, object]:
    if key is None:
        return dict(_FROM_THE_FIRST)
    moment, statement_id, client_id, account_id, instrument_id = key.split(" ")
    return {
        "after_as_of": datetime.fromisoformat(moment),
        "after_statement": statement_id,
        "after_client": client_id,
        "after_account": account_id,
        "after_instrument": instrument_id,
    }


def _ref(row: Row) -> AccountRef:
    return AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"]))


def _quantities(row: Row) -> dict[InstrumentId, Decimal]:
    return {InstrumentId(name): quantity for name, quantity in zip(row["instrument_ids"] or (), row["quantities"] or (), strict=True)}


def _comparison(row: Row) -> Comparison:
    agreed = Agreement(row["agreed_as_of"], row["agreed_sequence"]) if row["agreed_as_of"] is not None else None
    kind = BreakKind(row["kind"]) if row["kind"] is not None else None
    return Comparison(
        _ref(row), InstrumentId(row["instrument_id"]), row["stated"], row["held"], kind, row["value"], row["external_reference"], agreed
    )


def _break(row: Row) -> Break:
    ref, instrument_id = _ref(row), InstrumentId(row["instrument_id"])
    note = None
    if row["number"] is not None:
        state = BreakState(row["state"])
        note = BreakNote(row["statement_id"], ref, instrument_id, row["number"], state, row["note"], row["noted_by"], row["noted_at"])
    return Break(row["statement_id"], row["source"], row["as_of"], _comparison(row), row["sequence"], note)
