"""No column of the ledger can be changed unseen: which there are is asked of the database, so that a new one has to be covered too."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql

from crossmargin.domain.account import GENESIS_HASH, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, NewEntry, append_to_chain
from crossmargin.domain.entry_details import EntryDetails
from crossmargin.domain.ledger_audit import AccountAudit, FindingKind, StoredEntry, StoredLeg
from tests.builders import AS_OF
from tests.contract.storage import CORE, a_deposit, postgres_storage
from tests.ledger_rig import a_history, a_trade, book, some_requests, verify

LEDGER = ("entry", "posting", "entry_details", "reservation", "position", "unsettled_trade", "account_head", "anchor")
BESIDE_THE_LEDGER = {"account_head": {"mode", "status", "positions_epoch"}}
"""What an account is and may do, which is no part of its books; and whether its positions were made anew, which follow from them."""
NOT_OF_THE_LEDGER = {"statement_account", "margin_history", "margin_call", "call_notice", "liquidation", "liquidation_step"}
"""What somebody else said that an account holds, what its margin was, what was called for and what was to be closed, each with the entry up
to which it goes."""
# The last row, so that of postings it is the last leg; of details the one that names an event and the one that takes back.
WHICH = {"position": "WHERE quantity <> 0 OR cost <> 0", "entry_details": "WHERE details LIKE {named}"}
NAMED = {"event": "%event%", "reverses": "%reverses%"}
CHANGED = {
    "date": "{column} + 1",
    "text": "coalesce({column}, '') || 'x'",
    "int2": "coalesce({column}, 0) + 1",
    "int8": "coalesce({column}, 0) + 1000",
    "ledger_decimal": "{column} + 1e-18",
    "bytea": "set_bit({column}, 9, 1 - get_bit({column}, 9))",
    "timestamptz": "{column} + interval '1 microsecond'",
    "bool": "NOT {column}",
    "jsonb": """{column} || '[["alpha", "core", 1, "00"]]'""",
}
"""Another value of the same type. A column of a type that is not here fails the test."""
COLUMNS = """
SELECT c.relname, a.attname, t.typname FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relkind = 'r' AND c.relname = ANY (%s) ORDER BY 1, a.attnum
"""
# Whatever is filed under an account and a number of its ledger.
FILED_BY_SEQUENCE = """
SELECT DISTINCT c.relname FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'account_id'
JOIN pg_attribute AS s ON s.attrelid = c.oid AND s.attname = 'sequence'
WHERE c.relkind = 'r'
"""
CHECKS = "SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"


@pytest.fixture(scope="module")
async def ledger(module_database_url):
    """A ledger with some of everything, held up by no constraint: whoever owns a database takes them away."""
    async with postgres_storage(module_database_url) as storage:
        await some_requests(storage)
        anchors = await a_history(storage)
        await book(storage, replace(a_trade(CORE, 2, cost=6), details=EntryDetails(settle_date=AS_OF.date())))
        await book(storage, replace(a_trade(CORE, 3, cost=9), details=EntryDetails(event="fixing X 2026-03-02", terms=(("price", "3"),))))
    with psycopg.connect(module_database_url) as connection:
        for table, name in connection.execute(CHECKS).fetchall():
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name)))
    assert (await verify(module_database_url, anchors)).findings == ()
    return module_database_url, anchors


async def test_a_change_of_any_column_is_found(ledger):
    url, anchors = ledger
    unseen = []
    with psycopg.connect(url) as connection:
        columns = connection.execute(COLUMNS, [list(LEDGER)]).fetchall()
    assert {table for table, _, _ in columns} == set(LEDGER)
    for table, column, kind in columns:
        if column in BESIDE_THE_LEDGER.get(table, ()):
            continue
        undo = change(url, table, column, kind)
        if (await verify(url, anchors)).is_clean:
            unseen.append(f"{table}.{column}")
        undo()
    assert unseen == []
    assert (await verify(url, anchors)).findings == (), "it was put back as it was"


def change(url, table, column, kind):
    """Change a column of one row, and return what puts it back."""
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column), "named": sql.Literal(NAMED.get(column, "%"))}
    which = sql.SQL(WHICH.get(table, "")).format(**names)
    value = sql.SQL(CHANGED[kind]).format(**names)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(sql.SQL("CREATE TABLE kept AS SELECT * FROM {table}").format(**names))
        (where,) = connection.execute(
            sql.SQL("SELECT ctid FROM {table} {which} ORDER BY ctid DESC LIMIT 1").format(which=which, **names)
        ).fetchone()
        connection.execute(
            sql.SQL("UPDATE {table} SET {column} = {value} WHERE ctid = {where}").format(value=value, where=sql.Literal(where), **names)
        )

    def undo():
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in ("DELETE FROM {table}", "INSERT INTO {table} SELECT * FROM kept", "DROP TABLE kept"):
                connection.execute(sql.SQL(statement).format(**names))

    return undo


def test_every_table_that_is_filed_by_the_ledgers_numbers_is_looked_at(ledger):
    with psycopg.connect(ledger[0]) as connection:
        assert {table for (table,) in connection.execute(FILED_BY_SEQUENCE)} <= {*LEDGER, *NOT_OF_THE_LEDGER}


async def test_details_of_no_entry_are_found(ledger):
    url, anchors = ledger
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("INSERT INTO entry_details VALUES ('alpha', 'core', 999, '', NULL, NULL)")
    verdict = await verify(url, anchors)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM entry_details WHERE sequence = 999")
    assert [finding.kind for finding in verdict.findings] == [FindingKind.DETAILS_WITHOUT_ENTRY]


# Chains that began before the time of recording was part of the hash


def stored(numbered, recorded_at):
    legs = tuple(
        StoredLeg(number, leg.ledger_account, leg.book_id, leg.instrument_id, leg.quantity, leg.cost)
        for number, leg in enumerate(numbered.entry.postings, start=1)
    )
    said = (numbered.entry.kind.value, numbered.entry.effective_at, numbered.entry.reference)
    return StoredEntry("alpha", "core", numbered.sequence, *said, numbered.previous_hash, numbered.chain_hash, recorded_at, legs)


def test_an_old_chain_goes_on_in_the_new_format_and_both_parts_verify():
    head = AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, 0, GENESIS_HASH)
    (old,) = append_to_chain(head, (a_deposit(CORE, 1),))
    after = replace(head, sequence=1, chain_hash=old.chain_hash, locked_at=AS_OF)
    (new,) = append_to_chain(after, (a_deposit(CORE, 2),))
    audit = AccountAudit(str(CORE), "core")
    assert [*audit.follow(stored(old, AS_OF)), *audit.follow(stored(new, AS_OF))] == []
    assert new.chain_hash != append_to_chain(replace(after, locked_at=None), (a_deposit(CORE, 2),))[0].chain_hash


def test_the_hash_of_before_is_still_the_one_it_was():
    """Written down when it was made, so that no later format can move it."""
    head = AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, 0, GENESIS_HASH)
    entry = NewEntry(CORE, EntryKind.DEPOSIT, AS_OF, "x", a_deposit(CORE, Decimal(1)).postings)
    assert append_to_chain(head, (entry,))[0].chain_hash.hex() == "a96d3bd9240ff834b5a035beee995a3dc4f025bfc8c8e1b2e554397722dc4fa5"
