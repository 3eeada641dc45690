"""What becomes of a write when the line or the server fails in the middle of it, and which databases are refused."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import date, timedelta
from decimal import Decimal

import psycopg
import pytest

from crossmargin.adapters.postgres import driver_errors
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.ledger_checks import PostgresLedgerChecks
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.adapters.runtime import embedded_postgres
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory, FactorId
from tests.conftest import url_of
from tests.contract.cutting_proxy import Cut, CuttingProxy
from tests.contract.storage import CORE, a_deposit, a_request, decide_deposits, decide_entries, postgres_storage, sql, sql_row_counts


@pytest.fixture
async def storage(database_url):
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE)
        yield storage


async def held(storage):
    return [position.quantity for position in (await storage.books.account_state(CORE)).positions]


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is another process's, which sets no event of ours
            await asyncio.sleep(0.01)


def backend_in_transaction(url):
    rows = sql(
        url,
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' "
        "AND application_name = 'crossmargin'",
    )
    return [pid for (pid,) in rows]


# What becomes of a write when something breaks


async def test_a_connection_killed_while_deciding_is_survived_and_books_once(storage, database_url):
    killed = []

    async def decide(heads):
        if not killed:
            killed.extend(backend_in_transaction(database_url))
            sql(database_url, "SELECT pg_terminate_backend(%s, 5000)", killed[0])
        return await decide_deposits(CORE, 100)(heads)

    outcome = await storage.writer.write(a_request("k1", CORE), decide)
    assert (len(killed), outcome.replayed, outcome.response) == (1, False, b"after 0")
    assert storage.writer._database.pool_statistics()["writes_retried_lost"] == 1
    assert await held(storage) == [100]
    assert (await storage.book(a_request("k1", CORE), CORE, 100)).replayed


async def test_connections_all_killed_while_idle_are_survived(storage, database_url):
    for attempt in range(2):
        sql(
            database_url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'crossmargin' AND datname = current_database()",
        )
        assert not (await storage.book(a_request(f"k{attempt}", CORE), CORE, 1)).replayed
    assert await held(storage) == [2]


async def test_a_commit_that_never_arrived_is_done_again(postgres_server, database_url, tmp_path):
    await with_cuts(postgres_server, database_url, tmp_path, [Cut.BEFORE_COMMIT, Cut.BEFORE_COMMIT], was_committed=False)


async def test_a_commit_whose_answer_was_lost_is_found_and_not_done_again(postgres_server, database_url, tmp_path):
    await with_cuts(postgres_server, database_url, tmp_path, [Cut.AFTER_COMMIT], was_committed=True)


async def with_cuts(postgres_server, database_url, tmp_path, cuts, *, was_committed):
    async with postgres_storage(database_url) as direct:
        await direct.open_accounts(CORE)
        proxy = a_proxy(postgres_server, tmp_path, cuts)
        async with proxy.running(), postgres_storage(proxy.url(name_of(database_url))) as storage:
            outcome = await storage.book(a_request("k1", CORE), CORE, 100)
        assert proxy.cuts == []
        assert (outcome.replayed, outcome.response) == (was_committed, b"after 0")
        assert await held(direct) == [100]


async def test_an_unknown_outcome_is_not_called_busy_because_no_connection_is_free_afterwards(postgres_server, database_url, tmp_path):
    async with postgres_storage(database_url) as direct:
        await direct.open_accounts(CORE)
        proxy = a_proxy(postgres_server, tmp_path, [Cut.AFTER_COMMIT])
        proxy.goes_down = True
        async with proxy.running(), postgres_storage(proxy.url(name_of(database_url)), pool_size=1) as storage:
            impatient = PostgresWriter(storage.database, deadline_s=0.1)
            with pytest.raises(DomainError) as refused:
                await impatient.write(a_request("k1", CORE), decide_deposits(CORE, 100))
            assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
            proxy.goes_down = False
        assert await held(direct) == [100]


async def test_a_long_read_whose_line_breaks_is_storage_that_did_not_answer(postgres_server, database_url, tmp_path):
    """Not an error of the driver's: the leader's check of the ledger would end the process by it."""
    proxy = a_proxy(postgres_server, tmp_path, [Cut.AFTER_COMMIT])
    async with proxy.running(), postgres_storage(proxy.url(name_of(database_url))) as storage:
        with pytest.raises(DomainError) as refused:
            await PostgresLedgerChecks(storage.database).unbalanced_entries({CORE: 0})
        assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
        assert proxy.cuts == []
        assert await PostgresLedgerChecks(storage.database).unbalanced_entries({CORE: 0}) == []


async def test_a_server_that_comes_back_is_asked_again(postgres_server, database_url, tmp_path):
    async with postgres_storage(database_url) as direct:
        await direct.open_accounts(CORE)
        proxy = a_proxy(postgres_server, tmp_path, [Cut.AFTER_COMMIT])
        proxy.goes_down = True
        async with proxy.running(), postgres_storage(proxy.url(name_of(database_url)), pool_size=1) as storage:
            writing = asyncio.create_task(storage.book(a_request("k1", CORE), CORE, 100))
            pool = storage.database._pool
            await until(lambda: pool.get_stats().get("requests_errors", 0) >= 1)
            proxy.goes_down = False
            assert (await writing).replayed
        assert await held(direct) == [100]


def a_proxy(postgres_server, tmp_path, cuts):
    return CuttingProxy(postgres_server.socket_folder / ".s.PGSQL.5432", tmp_path, list(cuts))


def name_of(url):
    return url.split("/")[3].split("?")[0]


async def test_a_server_that_freezes_costs_bounded_time_and_books_once(database_url):
    async with postgres_storage(database_url, line_limit_s=0.3) as storage:
        await storage.open_accounts(CORE)
        frozen = []

        async def decide(heads):
            if not frozen:
                frozen.extend(backend_in_transaction(database_url))
                os.kill(frozen[0], signal.SIGSTOP)
            return await decide_deposits(CORE, 100)(heads)

        writing = asyncio.create_task(storage.writer.write(a_request("k1", CORE), decide))
        try:
            # The frozen server process still holds the key; the second attempt, on another connection, is seen to wait for it.
            waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            await until(lambda: sql(database_url, waiting))
        finally:
            os.kill(frozen[0], signal.SIGCONT)
        outcome = await writing
        # What was sent before the line was given up is done when the server wakes, so the second attempt finds the answer of the first.
        assert (outcome.replayed, outcome.response) == (True, b"after 0")
        assert await held(storage) == [100]


async def test_an_outcome_that_cannot_be_learned_says_retry_with_the_same_id(database_url):
    async with postgres_storage(database_url, line_limit_s=0.2) as storage:
        await storage.open_accounts(CORE)
        impatient = PostgresWriter(storage.database, deadline_s=0.5)
        frozen = []

        async def decide(heads):
            frozen.extend(backend_in_transaction(database_url))
            os.kill(frozen[-1], signal.SIGSTOP)
            return await decide_deposits(CORE, 100)(heads)

        try:
            with pytest.raises(DomainError, match="same request id") as refused:
                await impatient.write(a_request("k1", CORE), decide)
        finally:
            for pid in set(frozen):
                os.kill(pid, signal.SIGCONT)
        assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
        await until(lambda: not backend_in_transaction(database_url))
        await storage.book(a_request("k1", CORE), CORE, 100)
        assert await held(storage) == [100]


async def test_a_full_pool_says_busy_and_nothing_happened(database_url):
    async with postgres_storage(database_url, pool_size=1) as storage:
        await storage.open_accounts(CORE)
        entered, may_go_on = asyncio.Event(), asyncio.Event()

        async def wait(heads):
            entered.set()
            await may_go_on.wait()
            return await decide_deposits(CORE, 1)(heads)

        first = asyncio.create_task(storage.writer.write(a_request("k1", CORE), wait))
        await entered.wait()
        with pytest.raises(DomainError) as refused:
            await storage.book(a_request("k2", CORE), CORE, 1)
        may_go_on.set()
        await first
        assert refused.value.reason is Reason.SERVICE_BUSY
        assert await held(storage) == [1]
        assert sql(database_url, "SELECT key FROM idempotency WHERE key LIKE 'k%%'") == [("k1",)]


async def test_a_decision_that_takes_too_long_is_given_up_and_books_nothing(storage, database_url, monkeypatch):
    monkeypatch.setattr("crossmargin.adapters.postgres.last_message.DECIDE_LIMIT_S", 0.05)
    before = sql_row_counts(database_url)

    async def never(heads):
        await asyncio.Event().wait()

    with pytest.raises(DomainError) as refused:
        await storage.writer.write(a_request("k1", CORE), never)
    assert refused.value.reason is Reason.SERVICE_BUSY
    assert sql_row_counts(database_url) == before


async def test_an_account_locked_by_somebody_else_says_busy_and_nothing_happened(storage, database_url):
    before = sql_row_counts(database_url)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT 1 FROM account_head FOR UPDATE")
        with pytest.raises(DomainError) as refused:
            await storage.book(a_request("k1", CORE), CORE, 1)
    assert refused.value.reason is Reason.SERVICE_BUSY
    assert sql_row_counts(database_url) == before


async def test_requests_wait_for_a_halt_under_way_and_then_respect_it(storage, database_url):
    with psycopg.connect(database_url) as operator:
        operator.execute("UPDATE control SET is_halted = true")
        asking = asyncio.create_task(storage.book(a_request("k1", CORE, is_fact=False), CORE, 1))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await until(lambda: sql(database_url, waiting))
        await storage.book(a_request("k2", CORE), CORE, 2)  # a fact does not wait
        operator.commit()
    with pytest.raises(DomainError) as refused:
        await asking
    assert refused.value.reason is Reason.HALTED
    assert await held(storage) == [2]


async def test_a_refused_statement_says_nothing_of_the_drivers(storage, database_url):
    sql(database_url, "ALTER TABLE entry ADD CONSTRAINT no_more CHECK (sequence < 1) NOT VALID")
    with pytest.raises(driver_errors.StorageDefectError) as refused:
        await storage.writer.write(a_request("k1", CORE), decide_entries(a_deposit(CORE, 1)))
    assert str(refused.value) == "the storage refused a statement (SQLSTATE 23514)"
    assert await held(storage) == []


# What a database must promise before it is used


async def test_a_database_that_may_lose_commits_is_refused(database_url):
    sql(database_url, f"ALTER DATABASE {name_of(database_url)} SET synchronous_commit = off")
    with pytest.raises(DatabaseRefusedError, match="synchronous_commit is off"):
        await Database(database_url).open()


async def test_a_server_that_may_lose_its_disk_is_refused(tmp_path, monkeypatch):
    for setting in ("fsync", "full_page_writes"):
        with monkeypatch.context() as patched:
            patched.setitem(embedded_postgres._SETTINGS, setting, "off")
            with EmbeddedPostgres(tmp_path) as server, pytest.raises(DatabaseRefusedError, match=f"{setting} is off"):
                await Database(server.url).open()
    (tmp_path / "postgres" / "standby.signal").touch()
    with EmbeddedPostgres(tmp_path) as server, pytest.raises(DatabaseRefusedError, match="standby"):
        await Database(server.url).open()


async def test_a_database_without_our_schema_is_refused(empty_database_url):
    with pytest.raises(DatabaseRefusedError, match=r"schema is empty.*crossmargin migrate"):
        await Database(empty_database_url).open()


async def test_a_database_with_another_schema_is_refused(database_url):
    sql(database_url, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(DatabaseRefusedError, match=r"at revision 0001.*crossmargin migrate"):
        await Database(database_url).open()


async def test_a_later_schema_that_still_serves_this_release_is_accepted(database_url):
    sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    database = Database(database_url)
    await database.open()
    await database.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE schema_compatibility SET minimum_revision = '9000'",
        "DELETE FROM schema_compatibility",
        "DROP TABLE schema_compatibility",
    ],
    ids=["needs a later release", "does not say", "knows nothing of it"],
)
async def test_a_later_schema_that_does_not_serve_this_release_is_refused(database_url, change):
    sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    sql(database_url, change)
    with pytest.raises(DatabaseRefusedError, match=r"at revision 9999.*run a later release"):
        await Database(database_url).open()


async def test_an_older_schema_is_refused_whatever_it_serves(database_url):
    sql(database_url, "UPDATE alembic_version SET version_num = '0005'")
    sql(database_url, "UPDATE schema_compatibility SET minimum_revision = '0001'")
    with pytest.raises(DatabaseRefusedError, match=r"at revision 0005.*crossmargin migrate"):
        await Database(database_url).open()


async def test_a_database_that_is_not_there_is_refused(postgres_server):
    with pytest.raises(DatabaseRefusedError, match="CROSSMARGIN_DATABASE_URL"):
        await Database(url_of(postgres_server, "nowhere")).open()


# The election


async def test_a_leader_whose_connection_dies_has_lost(storage, database_url):
    first, second = storage.new_leadership(), storage.new_leadership()
    assert await first.try_lead()
    sql(
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'crossmargin monitor' AND datname = current_database()",
    )
    assert await second.try_lead()
    assert not await first.try_lead()
    assert not await first.try_lead()
    await second.close()
    assert await first.try_lead()
    await first.close()


async def test_a_large_history_goes_in_and_out_whole(storage):
    dates = tuple(date(2016, 1, 1) + timedelta(days=day) for day in range(3653))
    columns = {FactorId("spot", f"F{n}"): tuple(Decimal(n * 10_000 + day + 1) / 100 for day in range(3653)) for n in range(40)}
    history = FactorHistory(dates, columns)
    assert await storage.market.import_history(history) == 40 * 3653
    stored = await storage.market.load_history()
    assert (stored.dates, stored.levels) == (history.dates, history.levels)
