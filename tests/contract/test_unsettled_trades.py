"""What is still to be settled is what the ledger says, whatever was settled, cancelled and taken back in whatever order."""

from __future__ import annotations

import random
from datetime import UTC, date, timedelta

import psycopg
import pytest
from alembic import command

from crossmargin.adapters.postgres import migrate
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.ledger import UNSETTLED
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.domain.book import EntryKind, entry_from_settlement, reversing_entry
from crossmargin.domain.ledger_audit import FindingKind
from crossmargin.domain.lifecycle_event import application_name, settlement_event
from tests.builders import AS_OF
from tests.contract.storage import CORE, OTHER, postgres_storage, sql
from tests.contract.test_ledger_contract import a_trade, entry, write

DAY = AS_OF.astimezone(UTC).date()
NAME = "unsettled_trade"


class Street:
    """Books trades, settles them, fails to deliver and cancels, and remembers in a list of its own what is still due."""

    def __init__(self, storage, seed: int) -> None:
        self.storage, self.chance = storage, random.Random(seed)  # noqa: S311
        self.sequence = 0
        self.due: dict[int, date] = {}
        self.booked: dict[int, date] = {}
        self.cancelled: set[int] = set()
        self.settlements: dict[int, tuple[int, int]] = {}  # trade: entry that settles it, how often it was settled
        self.count: dict[int, int] = {}

    async def step(self) -> None:
        """Do one thing of those that are possible now."""
        await self.chance.choice([self.trade, self.trade, self.settle, self.settle, self.fail, self.cancel])()

    async def trade(self) -> None:
        day = self.chance.choice([None, DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)])
        number = await self._book(a_trade(settle_date=day))
        if day is not None:
            self.booked[number] = self.due[number] = day

    async def settle(self) -> None:
        if self.due:
            trade = self.chance.choice(sorted(self.due))
            before = self.count.get(trade, 0)
            event = application_name(settlement_event(trade), before)
            number = await self._book(entry_from_settlement(await entry(self.storage, trade), event=event, effective_at=AS_OF))
            self.settlements[trade], self.count[trade] = (number, before + 1), before + 1
            del self.due[trade]

    async def fail(self) -> None:
        if self.settlements:
            trade = self.chance.choice(sorted(self.settlements))
            number, _ = self.settlements.pop(trade)
            await self._book(reversing_entry(await entry(self.storage, number), EntryKind.EVENT_CANCELLATION, reason="failed"))
            if trade not in self.cancelled:
                self.due[trade] = self.booked[trade]

    async def cancel(self) -> None:
        if open_ := sorted(self.booked.keys() - self.cancelled):
            trade = self.chance.choice(open_)
            await self._book(reversing_entry(await entry(self.storage, trade), EntryKind.TRADE_CANCELLATION, reason="bust"))
            self.cancelled.add(trade)
            self.due.pop(trade, None)

    async def _book(self, new) -> int:
        self.sequence += 1
        await write(self.storage, f"k{self.sequence}", new)
        return self.sequence


async def unsettled(storage, day=date.max):
    return [numbered.sequence for numbered in await storage.books.unsettled_trades(CORE, settle_date=day)]


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_what_the_ledger_says_after_every_step(storage, seed):
    await storage.open_accounts(CORE)
    street = Street(storage, seed)
    for _ in range(40):
        await street.step()
        assert await unsettled(storage) == sorted(street.due)
    assert await unsettled(storage, DAY + timedelta(days=1)) == sorted(n for n, day in street.due.items() if day <= DAY + timedelta(days=1))
    assert [one.sequence for one in await storage.books.unsettled_trades(CORE, settle_date=date.max, limit=2)] == sorted(street.due)[:2]
    assert street.settlements, "nothing was settled"
    assert street.cancelled, "nothing was cancelled"


# PostgreSQL keeps a table of it


@pytest.fixture
async def street(database_url):
    """What is due after some steps of each kind."""
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE, OTHER)
        street = Street(storage, 7)
        for _ in range(40):
            await street.step()
        assert street.due
        yield street


@pytest.fixture
async def projections(database_url):
    """As whoever owns the tables compares and repairs them."""
    database = Database(database_url)
    await database.open()
    yield PostgresProjections(database)
    await database.close()


async def test_the_table_is_what_the_ledger_says(street, projections):
    assert NAME in projections.names
    assert list(await projections.differences(NAME, [CORE, OTHER])) == []


async def test_trades_of_before_are_filled_in_when_the_table_comes(street, projections, database_url):
    config = migrate.migration_config(database_url)
    command.downgrade(config, "0023")
    assert sql(database_url, f"SELECT to_regclass('{NAME}')") == [(None,)]
    command.upgrade(config, "head")
    assert list(await projections.differences(NAME, [CORE, OTHER])) == []
    for happens in (street.trade, street.settle, street.fail, street.cancel):
        await happens()
        assert await unsettled(street.storage) == sorted(street.due)


async def test_what_is_booked_before_the_table_is_filled_is_kept_too(street, projections, database_url):
    """Replicas of the release before go on while it is filled."""
    config = migrate.migration_config(database_url)
    command.downgrade(config, "0023")
    command.upgrade(config, "0025")
    for happens in (street.trade, street.settle, street.fail, street.cancel, street.settle):
        await happens()
    command.upgrade(config, "head")
    assert await unsettled(street.storage) == sorted(street.due)
    assert list(await projections.differences(NAME, [CORE, OTHER])) == []


@pytest.mark.parametrize(
    ("spoil", "stored"),
    [
        ("DELETE FROM unsettled_trade WHERE sequence = %s", None),
        ("UPDATE unsettled_trade SET settle_date = 'infinity' WHERE sequence = %s", "settle_date infinity"),
    ],
)
async def test_what_differs_is_found_and_put_right(street, projections, database_url, spoil, stored):
    number = min(street.due)
    sql(database_url, spoil, number)
    (found,) = await projections.differences(NAME, [CORE, OTHER])
    assert (found.account, found.row, found.stored) == (CORE, f"sequence {number}", stored)
    assert found.due == f"settle_date {street.due[number]}"
    assert found.finding().kind is FindingKind.UNSETTLED_TRADE_DIFFERS
    assert list(await projections.rebuild(NAME, CORE)) == [found]
    assert await unsettled(street.storage) == sorted(street.due)
    assert list(await projections.differences(NAME, [CORE, OTHER])) == []


async def test_what_was_settled_long_ago_is_not_read_again(street, database_url):
    """Not even on a new or restored database, which knows nothing of its tables yet."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in LONG_AGO:
            connection.execute(statement)
    assert await unsettled(street.storage) == sorted(street.due)
    values = UNSETTLED.values({"client_id": CORE.client_id, "account_id": CORE.account_id, "settle_date": date.max, "size": None})
    with psycopg.connect(database_url) as connection:
        ((plan,),) = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + UNSETTLED.sql, values).fetchone()
    assert rows_read(plan["Plan"]) <= 20 * len(street.due)


LONG_AGO = (
    """
    INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash)
    SELECT 'alpha', 'core', n, CASE n % 2 WHEN 0 THEN 'trade' ELSE 'settlement' END, now(), 'long ago', sha256('x'), sha256('x')
    FROM generate_series(1000, 4999) AS n
    """,
    """
    INSERT INTO entry_details (client_id, account_id, sequence, details, event)
    SELECT 'alpha', 'core', n, CASE n % 2 WHEN 0 THEN '{"settle_date":"2020-01-02"}' ELSE event.said::text END, event.said ->> 'event'
    FROM generate_series(1000, 4999) AS n,
        LATERAL (SELECT CASE n % 2 WHEN 1 THEN jsonb_build_object('event', 'settlement of entry ' || (n - 1)) END AS said) AS event
    """,
)


def rows_read(node):
    """Rows that a node of a plan and those below it took from tables, whether they were wanted or not."""
    own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] if "Relation Name" in node else 0
    return own + sum(map(rows_read, node.get("Plans", ())))
