"""The second wall, asked of the database itself: what the service's role can see, write and call, table by table of the catalogue."""

from __future__ import annotations

import re
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from crossmargin.adapters.postgres.row_scope import SET_CALLER, clients_setting
from crossmargin.adapters.postgres.tables import metadata
from crossmargin.adapters.postgres.walls import APP, OF_ALL, OF_HOUSE, READER, WALLS, make_login, wall_gaps
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.page import Page
from tests.conftest import SERVICE, as_service
from tests.contract.storage import CORE, OTHER, a_request, decide_deposits, postgres_storage, sql

HISTORY = {
    *(
        "entry",
        "entry_details",
        "posting",
        "client",
        "statement",
        "statement_account",
        "comparison",
        "break_note",
        "call_notice",
        "liquidation_step",
    ),
    *(
        "anchor",
        "audit_event",
        "house_view",
        "instrument",
        "market_snapshot",
        "factor_level",
        "scenario_set",
        "schema_compatibility",
        "alembic_version",
    ),
}
"""What can be added to, and neither changed nor taken away."""
# A value of each type; names and scopes are given.
VALUES = {
    "text": "'x'",
    "text[]": "'{}'",
    "bigint": "1",
    "smallint": "1",
    "boolean": "false",
    "bytea": r"'\x00'",
    "jsonb": "'{}'",
    "date": "'2026-01-01'",
    "timestamp with time zone": "now()",
    "time without time zone": "'12:00'",
    "ledger_decimal": "0",
    "numeric": "0",
    "uuid": "'00000000-0000-0000-0000-000000000007'",
    "character varying(32)": "'x'",
}
READS = {
    "begin_write": "SELECT * FROM begin_write('p', 'm', 'k', '\\x', true, '{beta}', '{core}')",
    "begin_decision": "SELECT * FROM begin_decision('p', 'm', 'k', '\\x', true, '{beta}', '{core}', '{1}')",
    "begin_margined_decision": "SELECT * FROM begin_margined_decision('p', 'm', 'k', '\\x', true, '{beta}', '{core}', '{1}')",
    "read_books": "SELECT * FROM read_books('{beta}', '{core}', '{1}', false, now())",
    "read_margined_books": "SELECT * FROM read_margined_books('{beta}', '{core}', '{1}', false, now())",
    "begin_decision_beyond": (
        "SELECT * FROM begin_decision_beyond('p', 'm', 'k', '\\x', true, '{beta}', '{core}', '{1}', '{}', '{}', '{}', '{}', '{}')"
    ),
    "read_books_beyond": "SELECT * FROM read_books_beyond('{beta}', '{core}', '{1}', false, now(), '{}', '{}', '{}', '{}', '{}')",
    "begin_decision_for": (
        "SELECT * FROM begin_decision_for(current_setting('crossmargin.clients'), 'p', 'm', 'k', '\\x', true, '{1}', '{beta}', '{core}', "
        "'{null}', '{null}', '{null}')"
    ),
    "read_books_for": (
        "SELECT * FROM read_books_for(current_setting('crossmargin.clients'), '{beta}', '{core}', '{null}', '{null}', '{null}')"
    ),
    "read_reservations": "SELECT 1 WHERE read_reservations('beta', 'core', '{1}', now()) <> '[]'",
}
WRITES = {"finish_write", "finish_decision", "finish_entry", "finish_facts"}
FACTS = {"begin_facts": "SELECT * FROM begin_facts('p', '{M}', '{new}', '{hash}', '{beta}', '{core}')"}
"""Says of every fact that was asked for what it is; of one on an account that cannot be seen, that nothing is known of it."""


@pytest.fixture
def filled(database_url):
    """A database with a row of each of two clients in every table that has clients, and one in every other."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        # Rows that need not mean anything: what is looked at is who sees them.
        connection.execute("SET session_replication_role = replica")
        for table, name in connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        ).fetchall():
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for table, columns in tables_of(connection).items():
            for client in ("alpha", "beta") if "client_id" in columns or table in {"control", "idempotency"} else ("",):
                own = dict.fromkeys(("client_id", "principal", "pending_id"), f"'{client}'")
                given = {**own, "account_id": "'core'", "scope": f"'clients/{client}'"}
                values = [given.get(name) or VALUES[kind] for name, kind in columns.items()]
                row = f"({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({', '.join(values)})"
                connection.execute(f"INSERT INTO {table} {row} ON CONFLICT DO NOTHING")
    return database_url


def tables_of(connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY c.relname, a.attnum
        """
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


@contextmanager
def working_for(url, clients, principal="alpha"):
    """A connection as the service, inside a transaction for some clients; None for one that says nothing of clients."""
    with psycopg.connect(as_service(url), autocommit=True) as connection:
        connection.execute("BEGIN")
        if clients is not None:
            connection.execute(
                "SELECT set_config('crossmargin.clients', %s, true), set_config('crossmargin.principal', %s, true)", (clients, principal)
            )
        yield connection
        connection.execute("ROLLBACK")


def counts(connection, tables, condition="true"):
    return {table: connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0] for table in tables}  # noqa: S608


# The catalogue


def test_every_table_has_its_wall_and_the_walls_are_of_tables(database_url):
    assert set(WALLS) == {*metadata.tables, "alembic_version"}
    bare = sql(
        database_url,
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)
        """,
    )
    assert bare == []


def test_every_table_with_clients_is_walled_by_them(database_url):
    with psycopg.connect(database_url) as connection:
        tables = tables_of(connection)
    assert [table for table, columns in tables.items() if "client_id" in columns and "client_id = ANY" not in WALLS[table].rows] == []
    # What has no client's name in a column of its own has to be the house's, or nobody's.
    others = {table: WALLS[table].rows for table, columns in tables.items() if "client_id" not in columns}
    assert {table for table, rows in others.items() if rows not in {OF_HOUSE, OF_ALL}} == {"control", "idempotency"}


def test_nothing_looks_past_the_walls(database_url):
    """Views and functions that run as their owner would."""
    assert (
        sql(database_url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'f')") == []
    )
    assert sql(database_url, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef") == []
    open_to_all = """
        SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')
    """
    assert sql(database_url, open_to_all) == []
    assert (
        sql(database_url, "SELECT grantee FROM information_schema.table_privileges WHERE grantee = 'PUBLIC' AND table_schema = 'public'")
        == []
    )


def test_the_roles_own_nothing_and_are_nobody_else(database_url):
    roles = sql(
        database_url,
        """
        SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles
        WHERE rolname IN (%s, %s) ORDER BY rolname
        """,
        *(APP, READER),
    )
    assert roles == [(APP, *[False] * 5), (READER, *[False] * 5)]
    assert sql(database_url, "SELECT * FROM pg_class WHERE relowner IN (%s::regrole, %s::regrole)", APP, READER) == []
    assert sql(database_url, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", SERVICE) == [(APP,)]
    assert sql(database_url, "SELECT has_schema_privilege(%s, 'public', 'CREATE')", SERVICE) == [(False,)]


def test_only_what_is_no_history_can_be_changed_and_nothing_be_taken_away(database_url):
    held = sql(
        database_url,
        """
        SELECT c.relname, p.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS p
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND p.grantee = %s::regrole
        """,
        APP,
    )
    assert {privilege for _, privilege in held} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    # What margin was at past runs is thinned out: the ledger and the stamps can tell it again. What is settled is unsettled no more.
    assert {table for table, privilege in held if privilege == "DELETE"} == {"house_run", "margin_history", "unsettled_trade"}
    changed = {table for table, privilege in held if privilege == "UPDATE"}
    columns = {
        (table, column)
        for table, column in sql(
            database_url,
            "SELECT table_name::text, column_name::text FROM information_schema.column_privileges "
            "WHERE grantee = %s AND privilege_type = 'UPDATE'",
            APP,
        )
        if table not in changed
    }
    pending = {("pending_request", name) for name in ("state", "ended_by", "ended_at")}
    # Who agreed to what is history; how far it has got is not.
    going_on = {("liquidation", name) for name in ("state", "ended_at", "last_step", "document")}
    assert columns == {("account", "methodology"), ("idempotency", "response"), ("house_run", "is_thinned"), *pending, *going_on}
    assert changed & HISTORY == set()
    assert changed | HISTORY | {table for table, _ in columns} | {"margin_history", "unsettled_trade"} == set(WALLS)


# What the service sees


def test_of_every_table_it_sees_the_clients_it_works_for_and_no_other(filled):
    with psycopg.connect(filled) as connection:
        tables = tables_of(connection)
        with_clients = [table for table, columns in tables.items() if "client_id" in columns]
        assert set(counts(connection, with_clients, "client_id = 'beta'").values()) == {1}
    with working_for(filled, "alpha") as connection:
        assert set(counts(connection, with_clients, "client_id = 'alpha'").values()) == {1}
        assert counts(connection, with_clients, "client_id IS DISTINCT FROM 'alpha'") == dict.fromkeys(with_clients, 0)
        assert connection.execute("SELECT scope FROM control ORDER BY 1").fetchall() == [("clients/alpha",), ("house",)]
        assert connection.execute("SELECT principal FROM idempotency").fetchall() == [("alpha",)]
    with working_for(filled, "alpha,beta") as connection:
        assert set(counts(connection, with_clients).values()) == {2}
    with working_for(filled, "*", principal="beta") as connection:
        assert set(counts(connection, with_clients).values()) == {2}
        assert connection.execute("SELECT principal FROM idempotency").fetchall() == [("beta",)]


@pytest.mark.parametrize("clients", [None, "", "gamma", "alph", "alphaa", "%"])
def test_who_works_for_nobody_sees_nothing_that_is_somebodys(filled, clients):
    with working_for(filled, clients, principal="nobody") as connection:
        seen = {table for table, count in counts(connection, tables_of(connection)).items() if count}
    assert seen == {table for table, wall in WALLS.items() if wall.rows == OF_ALL} | {"control"}


def test_what_names_all_clients_is_the_houses(filled):
    house = [table for table, wall in WALLS.items() if wall.rows == OF_HOUSE]
    with working_for(filled, "alpha,beta") as connection:
        assert set(counts(connection, house).values()) == {0}
    with working_for(filled, "*") as connection:
        assert 0 not in counts(connection, house).values()


def test_no_function_tells_of_another_client(filled):
    named = sql(
        filled,
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND array_to_string(proargnames, ' ') ~ 'client_id'",
    )
    assert {name for (name,) in named} == {*READS, *WRITES, *FACTS}
    for call in READS.values():
        with working_for(filled, "alpha", principal="p") as connection:
            assert connection.execute(call).fetchall() == [], call
        with working_for(filled, "beta", principal="p") as connection:
            assert len(connection.execute(call).fetchall()) == 1, call


def test_of_a_fact_on_an_account_of_another_client_nothing_is_told(filled):
    told = {}
    # An account that facts can be written to together with others.
    sql(filled, "UPDATE account_head SET status = 'open'")
    sql(filled, "DELETE FROM exposure_limits")
    for client in ("alpha", "beta"):
        with working_for(filled, client, principal="p") as connection:
            cursor = connection.execute(FACTS["begin_facts"])
            told[client] = dict(zip((column.name for column in cursor.description), *cursor.fetchall(), strict=True))
    asked = {"outcome", "client_id", "account_id", "decided_at", *(name for name in told["alpha"] if name.endswith("_version"))}
    assert told["alpha"]["outcome"] == "alone"
    assert {name for name, value in told["alpha"].items() if value is not None} - asked - {"snapshot_id"} == set()
    assert told["beta"]["outcome"] == "reserved"
    assert told["beta"]["chain_hash"] is not None


def test_nothing_of_another_client_is_written_nor_moved_to(filled):
    moved = {table: wall for table, wall in WALLS.items() if "client_id = ANY" in wall.rows and "UPDATE" in wall.grants}
    for table in moved:
        with working_for(filled, "alpha") as connection:
            assert connection.execute(f"UPDATE {table} SET client_id = client_id WHERE client_id = 'beta'").rowcount == 0  # noqa: S608
            with pytest.raises(InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET client_id = 'gamma'")  # noqa: S608
    with psycopg.connect(filled) as connection:
        tables = tables_of(connection)
    for table in (table for table, wall in WALLS.items() if "client_id = ANY" in wall.rows):
        columns = tables[table]
        values = [{"client_id": "'beta'"}.get(name) or VALUES[kind] for name, kind in columns.items()]
        with working_for(filled, "alpha") as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)})")  # noqa: S608


def test_the_house_is_halted_by_nobody_who_works_for_a_client(filled):
    with working_for(filled, "alpha") as connection:
        connection.execute("UPDATE control SET is_halted = true WHERE scope = 'clients/alpha'")
        for scope in ("house", "clients/beta"):
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute(
                    "INSERT INTO control (scope, is_halted) VALUES (%s, true) ON CONFLICT (scope) DO UPDATE SET is_halted = true", (scope,)
                )


@pytest.mark.parametrize("table", sorted(HISTORY))
def test_history_is_neither_changed_nor_taken_away(filled, table):
    with psycopg.connect(filled) as connection:
        column = list(tables_of(connection)[table])[-1]
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):  # noqa: S608
        with working_for(filled, "*") as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE posting DISABLE ROW LEVEL SECURITY",
        "DROP POLICY posting_app ON posting",
        "ALTER TABLE posting DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine ()",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "COPY posting TO PROGRAM 'cat'",
        "SET row_security = off; SELECT * FROM posting",
    ],
)
def test_the_walls_are_not_the_services_to_take_down(filled, statement):
    with working_for(filled, "*") as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_the_reader_sees_the_house_and_writes_nothing(filled):
    make_login(filled, "auditor_of_tests", group=READER)
    with psycopg.connect(psycopg.conninfo.make_conninfo(filled, user="auditor_of_tests"), autocommit=True) as connection:
        assert 0 not in counts(connection, WALLS).values()
        for table, columns in tables_of(connection).items():
            column = list(columns)[-1]
            for written in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES"):  # noqa: S608
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(written)


# The setting


def test_nothing_of_a_scope_is_left_on_the_connection(filled):
    with psycopg.connect(as_service(filled), autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(SET_CALLER, (clients_setting(ClientScope(frozenset({ClientId("alpha")}))), "it's \\ me"))
        assert connection.execute("SELECT count(*) FROM posting").fetchone() == (1,)
        said = connection.execute("SELECT current_setting('crossmargin.clients'), current_setting('crossmargin.principal')").fetchone()
        assert said == ("alpha", "it's \\ me")
        connection.execute("COMMIT")
        assert connection.execute("SELECT count(*) FROM posting").fetchone() == (0,)


def test_a_statement_asks_for_its_scope_once_and_uses_its_index(filled):
    with working_for(filled, "alpha") as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                "EXPLAIN SELECT * FROM posting WHERE client_id = 'alpha' AND account_id = 'core' AND sequence > 5"
            )
        )
    assert len(re.findall(r"^ +InitPlan", plan, re.MULTILINE)) == 2
    assert "Index Cond: ((client_id = 'alpha'::text) AND (account_id = 'core'::text) AND (sequence > 5))" in plan
    assert "current_setting" not in re.search(r"Filter:.*", plan)[0]


# Through the adapters


async def test_a_foreign_account_answers_as_one_that_nobody_has(database_url):
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE, OTHER)
        await storage.book(a_request("d", OTHER), OTHER, 5)
        await storage.create(ExposureLimits(OTHER.client_id, None))
        nobody = AccountRef(ClientId("gamma"), AccountId("core"))
        token = ADMITTED.set(Caller("p", scope=ClientScope(frozenset({CORE.client_id}))))
        try:
            assert (await storage.books.account_state(CORE)).account.ref == CORE
            assert [client.client_id for client in await storage.books.list_clients(Page(9))] == [CORE.client_id]
            assert [account.ref for account in await storage.books.list_accounts(None, Page(9))] == [CORE]
            for read in (
                storage.books.get_account,
                storage.books.account_state,
                storage.books.read_books,
                storage.books.account_sequence,
                lambda ref: storage.books.get_client(ref.client_id),
                lambda ref: storage.books.list_entries(ref, after_sequence=0, limit=9),
                lambda ref: storage.books.list_reservations(ref, after_sequence=0, limit=9),
                lambda ref: storage.writer.write(a_request("w", ref), decide_deposits(ref, 1)),
                lambda ref: storage.writer.decide(a_request("w", ref), decide_deposits(ref, 1)),
            ):
                told = []
                for ref in (OTHER, nobody):
                    with pytest.raises(DomainError) as refused:
                        await read(ref)
                    assert refused.value.reason in {Reason.UNKNOWN_ACCOUNT, Reason.UNKNOWN_CLIENT}
                    told.append(refused.value.message.replace(ref.client_id, "CLIENT"))
                assert told[0] == told[1]
        finally:
            ADMITTED.reset(token)


async def test_two_callers_with_one_connection_between_them_see_their_own(database_url):
    async with postgres_storage(database_url, pool_size=1) as storage:
        await storage.open_accounts(CORE, OTHER)
        for ref in (CORE, OTHER, CORE):
            token = ADMITTED.set(Caller("p", scope=ClientScope(frozenset({ref.client_id}))))
            assert [account.ref for account in await storage.books.list_accounts(None, Page(9))] == [ref]
            ADMITTED.reset(token)
        assert len(await storage.books.list_accounts(None, Page(9))) == 2


# Before the service starts


def test_the_gaps_are_said_in_words(database_url, empty_database_url):
    assert wall_gaps(as_service(database_url)) == ()
    (gap,) = wall_gaps(database_url)
    assert "is a superuser or bypasses row-level security; connect as a member of crossmargin_app" in gap
    sql(database_url, "ALTER TABLE posting NO FORCE ROW LEVEL SECURITY")
    (gap,) = wall_gaps(as_service(database_url))
    assert gap == "no wall as this release wants it around posting; run crossmargin migrate"
    make_login(database_url, "stranger_of_tests", group=READER)
    gaps = wall_gaps(psycopg.conninfo.make_conninfo(database_url, user="stranger_of_tests"))
    assert gaps[0].endswith("is no member of crossmargin_app; let an administrator run GRANT crossmargin_app TO stranger_of_tests")
    make_login(database_url, "owner_of_tests")
    sql(database_url, "ALTER TABLE posting OWNER TO owner_of_tests")
    gaps = wall_gaps(psycopg.conninfo.make_conninfo(database_url, user="owner_of_tests"))
    assert "owner_of_tests owns 1 tables" in gaps[0]
    sql(database_url, "ALTER TABLE posting OWNER TO postgres")
