"""Whatever is booked verifies clean, and whatever single thing is then changed in what is stored is found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.domain.entry_details import EntryDetails
from tests.audit.test_tampering import owner
from tests.builders import AS_OF
from tests.contract.storage import CORE, OTHER, a_deposit, postgres_storage, sql
from tests.ledger_rig import (
    ACCOUNTS,
    FUND,
    KEY,
    MemoryJournal,
    TakeAnchor,
    a_trade,
    anchor_store,
    book,
    some_more_requests,
    some_requests,
    verify,
)

# Not here, because they say nothing of the ledger: what an account is and may do (mode and status of its head). That none is forgotten is
# asked of the database in test_every_column.
COLUMNS = {
    "entry": ("client_id", "account_id", "sequence", "kind", "effective_at", "reference", "previous_hash", "chain_hash", "recorded_at"),
    "entry_details": ("client_id", "account_id", "sequence", "details", "reverses", "event"),
    "posting": ("client_id", "account_id", "sequence", "leg", "ledger_account", "book_id", "instrument_id", "quantity", "cost"),
    "account_head": ("client_id", "account_id", "sequence", "chain_hash"),
    "position": ("client_id", "account_id", "book_id", "instrument_id", "quantity", "cost"),
    "reservation": (
        *("client_id", "account_id", "sequence", "book_id", "instrument_id", "settlement", "quantity", "price", "kind", "lifetime_s"),
        *("reference", "consideration", "paid_in", "filled", "reserved_by", "reserved_at", "expires_at", "state"),
    ),
    "unsettled_trade": ("client_id", "account_id", "sequence", "settle_date"),
    "anchor": (
        *("number", "taken_at", "account_count", "entry_count", "root", "previous_hash", "is_checkpoint", "changed", "key_id", "signature"),
    ),
}
# A closed position says nothing, whatever its name.
WHICH = {"position": "WHERE quantity <> 0 OR cost <> 0"}
NUMBERS = {"sequence", "leg", "reverses", "number", "account_count", "entry_count", "lifetime_s"}
AMOUNTS = {"quantity", "cost", "price", "consideration", "filled"}
BYTES = {"previous_hash", "chain_hash", "root", "signature"}
MOMENTS = {"effective_at", "recorded_at", "taken_at", "reserved_at", "expires_at"}


@dataclass
class Ledger:
    url: str
    storage: object
    take: TakeAnchor
    anchors: list
    requests: int = 0


@pytest.fixture(scope="module")
async def ledger(module_database_url):
    async with postgres_storage(module_database_url) as storage:
        await storage.open_accounts(*ACCOUNTS)
        await some_requests(storage)
        # Whoever owns the database is held up by no constraint.
        checks = "SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        owner(module_database_url, *(f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in sql(module_database_url, checks)))
        journal = MemoryJournal([])
        yield Ledger(module_database_url, storage, TakeAnchor(anchor_store(storage), KEY, journal), journal.anchors)


amounts = st.decimals(-1000, 1000, places=3)
refs = st.sampled_from((CORE, FUND, OTHER))
entries = st.one_of(
    st.builds(a_deposit, refs, amounts),
    st.builds(lambda ref, quantity, cost: a_trade(ref, quantity, cost=cost), refs, amounts, amounts),
    st.builds(lambda ref, quantity: replace(a_trade(ref, quantity), details=EntryDetails(settle_date=AS_OF.date())), refs, amounts),
)
steps = st.lists(st.one_of(st.lists(entries, min_size=1, max_size=4), st.sampled_from(["anchor", "requests"])), min_size=1, max_size=4)
places = st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in (*columns, "the row")])


def changed(column, number):  # noqa: PLR0911 - one for each kind of column
    """SQL for another value than the column's."""
    if column in NUMBERS:
        return f"coalesce({column}, 0) + {1000 + number}"
    if column in AMOUNTS:
        return f"{column} + {1 + number} * 1e-18"
    if column in BYTES:
        place = f"{number} %% (8 * octet_length({column}))"
        return f"set_bit({column}, {place}, 1 - get_bit({column}, {place}))"
    if column == "settle_date":
        return f"settle_date + {1 + number}"
    if column in MOMENTS:
        return f"{column} + interval '{1 + number} microseconds'"
    if column == "is_checkpoint":
        return "NOT is_checkpoint"
    if column == "changed":
        return 'changed || \'[["alpha", "core", 1, "00"]]\''
    return f"overlay(coalesce({column}, '') placing 'zz' from {number} %% (coalesce(length({column}), 0) + 1) + 1 for 1)"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps, places, st.integers(0, 10_000), st.integers(0, 511))
async def test_what_is_booked_is_clean_and_what_is_changed_is_found(ledger, steps, place, row, number):
    for step in steps:
        if step == "anchor":
            await ledger.take()
        elif step == "requests":
            ledger.requests += 1
            await some_more_requests(ledger.storage, ledger.requests)
        else:
            await book(ledger.storage, *step)
    await ledger.take()
    assert (await verify(ledger.url, ledger.anchors)).findings == ()
    table, column = place
    if not mutate(ledger.url, table, column, row, number):
        return
    try:
        assert not (await verify(ledger.url, ledger.anchors)).is_clean, (table, column)
    finally:
        # Whether it was put back as it was is seen at the beginning of the next example.
        restore(ledger.url, table)


def mutate(url, table, column, row, number):
    """Change a column of one row, or take the row away, keeping a copy of the table; False when there is no row to change."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"CREATE TABLE kept AS SELECT * FROM {table}")  # noqa: S608 - the names above
        found = connection.execute(f"SELECT ctid FROM {table} {WHICH.get(table, '')} ORDER BY ctid").fetchall()  # noqa: S608
        if not found:
            connection.rollback()
            return False
        (where,) = found[row % len(found)]
        if column == "the row":
            connection.execute(f"DELETE FROM {table} WHERE ctid = %s", (where,))  # noqa: S608
        else:
            connection.execute(f"UPDATE {table} SET {column} = {changed(column, number)} WHERE ctid = %s", (where,))  # noqa: S608
    return True


def restore(url, table):
    owner(url, f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM kept", "DROP TABLE kept")  # noqa: S608
