"""What the database refuses whoever asks, our own code included."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.contract.storage import CORE, a_request, postgres_storage, sql, sql_row_counts

ENTRY = "INSERT INTO entry VALUES ('alpha', 'core', %s, 'trade', now(), '', '\\x00', '\\x00')"
POSTING = "INSERT INTO posting VALUES "
LEG = "('alpha', 'core', %s, %s, %s, 'desk', %s, %s, %s)"
POSITION = "INSERT INTO position VALUES ('alpha', 'core', 'other', 'USD', %s, %s)"


@pytest.fixture(scope="module")
async def url(module_database_url):
    """A database with one account and one balanced entry; every test here fails to change it."""
    async with postgres_storage(module_database_url) as storage:
        await storage.open_accounts(CORE)
        await storage.book(a_request("k1", CORE), CORE, 100)
    return module_database_url


@pytest.fixture(autouse=True)
def unchanged(url):
    before = sql_row_counts(url)
    yield
    assert sql_row_counts(url) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e20"])
@pytest.mark.parametrize("column", ["quantity", "cost"])
def test_numbers_that_are_no_amounts(url, number, column):
    values = {"quantity": "0", "cost": "0"} | {column: number}
    with pytest.raises((errors.CheckViolation, errors.NumericValueOutOfRange)):
        sql(url, POSITION, values["quantity"], values["cost"])


@pytest.mark.parametrize(
    "legs",
    [
        [("core", "USD", 5, 0)],
        [("core", "USD", 5, 0), ("street", "USD", "-5.000000000000000001", 0)],
        [("core", "USD", 5, 0), ("street", "EUR", -5, 0)],
        [("core", "USD", 5, 7), ("street", "USD", -5, -6)],
    ],
    ids=["one leg", "off by the last digit", "across instruments", "cost"],
)
def test_an_unbalanced_entry(url, legs):
    values = [value for number, leg in enumerate(legs) for value in (2, number, *leg)]
    with psycopg.connect(url) as connection:
        connection.execute(ENTRY, [2])
        with pytest.raises(errors.CheckViolation, match="sum to zero"):
            connection.execute(POSTING + ", ".join([LEG] * len(legs)), values)


def test_a_leg_added_to_a_balanced_entry(url):
    with pytest.raises(errors.CheckViolation, match="sum to zero"):
        sql(url, POSTING + LEG, 1, 3, "core", "USD", 1, 0)


@pytest.mark.parametrize("table", ["entry", "posting"])
@pytest.mark.parametrize("change", ["UPDATE {} SET sequence = 9", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_a_change_of_the_ledger(url, table, change):
    with pytest.raises(errors.RestrictViolation, match="append-only"):
        sql(url, change.format(table))


def test_an_entry_numbered_twice(url):
    with pytest.raises(errors.UniqueViolation):
        sql(url, ENTRY, 1)


def test_an_account_of_nobody(url):
    with pytest.raises(errors.ForeignKeyViolation):
        sql(url, "INSERT INTO account VALUES ('nobody', 'core', 'Core', 'cross', NULL)")
