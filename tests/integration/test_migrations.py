"""The migrations build what the tables say, there and back, and do not stand in anybody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

import crossmargin
from crossmargin.adapters.postgres import migrate
from crossmargin.adapters.postgres.tables import metadata
from crossmargin.domain.market import FactorId
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.domain.parameter_governance import BEGINNING, GovernanceChange, ParameterState, in_force, propose
from tests.builders import AS_OF, risk_parameters
from tests.contract.storage import CORE, postgres_storage

ROOT = Path(__file__).resolve().parents[2]
SQUAWK = Path(sys.executable).parent / "squawk"
# transaction-nesting: the printed script opens the very transactions that --assume-in-transaction tells squawk about.
# ban-create-domain-with-constraint: the constraint is why the type exists, and it will never change: NaN is never an amount.
# prefer-bigint-over-smallint: legs of an entry and places after the point are few by nature.
# prefer-text-field: the one varchar is alembic's own.
EXCLUDED = "transaction-nesting,ban-create-domain-with-constraint,prefer-bigint-over-smallint,prefer-text-field"
CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, l.collname,
            pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND c.relname <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname <> 'alembic_version_pkc' AND contype NOT IN ('t', 'n')
    """,
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
}
LED_BY_SOMETHING_ELSE = {
    # Some are about the house, and have no client. A name is the hash of who asked for what under which request id, so that it is taken
    # tells nobody anything.
    "pending_request_pk": "pending_id",
    # Not unique; the few that wait are listed in the order of time.
    "pending_request_in_order": "asked_at",
}
EVERYTHING = """
    SELECT 'relation', relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%'
    UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type', typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%alembic%'
"""


def query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return sorted(cursor.fetchall(), key=str) if cursor.description else []


def engine_of(url):
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)


def catalogue(url):
    return {name: query(url, statement) for name, statement in CATALOGUE.items()}


def test_an_empty_database_is_brought_to_the_expected_revision(empty_database_url):
    assert migrate.current_revision(empty_database_url) is None
    migrate.upgrade(empty_database_url)
    assert migrate.current_revision(empty_database_url) == migrate.expected_revision()
    migrate.upgrade(empty_database_url)
    assert migrate.current_revision(empty_database_url) == migrate.expected_revision()


def test_alembic_sees_no_difference_between_tables_and_migrations(database_url):
    with engine_of(database_url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_server_default": True}), metadata) == []


def test_tables_and_migrations_make_the_same_catalogue(database_url, empty_database_url):
    # What alembic does not compare: collations, checks, names of keys, order of indexes.
    with engine_of(empty_database_url).begin() as connection:
        metadata.create_all(connection)
    assert catalogue(empty_database_url) == catalogue(database_url)


def test_every_key_of_client_data_leads_with_the_client_and_compares_bytes(database_url):
    led = query(
        database_url,
        """
        SELECT c.relname, i.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = x.indkey[0])
        FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'client_id') AND c.relkind = 'r'
        """,
    )
    assert len(led) >= 7
    assert {index: first for _, index, first in led if first != "client_id"} == LED_BY_SOMETHING_ELSE
    collations = query(
        database_url,
        """
        SELECT DISTINCT l.collname FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
        JOIN pg_collation AS l ON l.oid = a.attcollation
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
        """,
    )
    assert collations == [("C",)]


def test_down_to_nothing_and_up_again_gives_the_same_schema(database_url):
    before = catalogue(database_url), query(database_url, EVERYTHING)
    command.downgrade(migrate.migration_config(database_url), "base")
    assert query(database_url, EVERYTHING) == []
    migrate.upgrade(database_url)
    assert (catalogue(database_url), query(database_url, EVERYTHING)) == before


def test_each_step_down_and_up_again_gives_the_same_schema(database_url):
    before = catalogue(database_url), query(database_url, EVERYTHING)
    for _ in range(int(migrate.expected_revision())):
        command.downgrade(migrate.migration_config(database_url), "-1")
        command.upgrade(migrate.migration_config(database_url), "+1")
        command.downgrade(migrate.migration_config(database_url), "-1")
    migrate.upgrade(database_url)
    assert (catalogue(database_url), query(database_url, EVERYTHING)) == before


def test_two_migrations_at_once_do_the_work_once(empty_database_url):
    errors = []

    def run():
        try:
            subprocess.run(
                [sys.executable, "-c", f"from crossmargin.adapters.postgres import migrate; migrate.upgrade({empty_database_url!r})"],
                check=True,
                capture_output=True,
            )
        except subprocess.CalledProcessError as error:
            errors.append(error.stderr)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.current_revision(empty_database_url) == migrate.expected_revision()


def test_a_migration_steps_aside_for_readers_and_tries_again(database_url):
    config = migrate.migration_config(database_url)
    command.downgrade(config, "0002")
    migrating = threading.Thread(target=migrate.upgrade, args=(database_url,))
    with psycopg.connect(database_url) as reader:
        # A reader that has the ledger open blocks the triggers that the next migration adds to it.
        reader.execute("LOCK TABLE entry IN ROW EXCLUSIVE MODE")
        migrating.start()
        refused = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        before = query(database_url, refused)
        deadline = time.monotonic() + 20
        while query(database_url, refused) == before:
            assert migrating.is_alive()
            assert time.monotonic() < deadline, "the migration waits for the reader instead of stepping aside"
    migrating.join()
    assert migrate.current_revision(database_url) == migrate.expected_revision()


def test_squawk_finds_nothing_that_would_stop_those_who_trade(tmp_path):
    config = migrate.migration_config()
    script = tmp_path / "upgrade.sql"
    with script.open("w") as config.output_buffer:
        command.upgrade(config, "head", sql=True)
    assert script.read_text().startswith("SET lock_timeout")
    checked = subprocess.run(
        [SQUAWK, "--assume-in-transaction", "--reporter", "gcc", "--exclude", EXCLUDED, script], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_alembic_command_finds_its_settings_and_sees_no_drift(database_url):
    alembic = Path(sys.executable).parent / "alembic"
    checked = subprocess.run(
        [alembic, "check"],
        cwd=ROOT,
        env={**os.environ, "CROSSMARGIN_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("place", ["installed", "working copy", "nowhere"])
def test_migrations_are_found_wherever_the_package_is(tmp_path, monkeypatch, place):
    package = tmp_path / "service" / "crossmargin"
    package.mkdir(parents=True)
    monkeypatch.setattr(crossmargin, "__file__", str(package / "__init__.py"))
    folder = {"installed": package / "migrations", "working copy": tmp_path / "migrations"}.get(place)
    if folder is None:
        with pytest.raises(RuntimeError, match="install the package again"):
            migrate.migrations_folder()
        return
    shutil.copytree(ROOT / "migrations", folder)
    assert migrate.migrations_folder() == folder
    assert migrate.expected_revision() == max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))


# What the release before this one did, in its own statements, on the schema before this one and on this one.
OLD_SET = "INSERT INTO risk_parameters (set_id, stored_order, content_hash, document) VALUES (%s, %s, %s, %s)"
OLD_IN_FORCE = "SELECT set_id FROM risk_parameters ORDER BY stored_order DESC LIMIT 1"
OLD_ADVANCE = "UPDATE counter SET value = value + 1 WHERE name = %s RETURNING value"
OLD_UPSERT = """
INSERT INTO factor_history (factor, date, level) VALUES (%s, %s, %s)
ON CONFLICT (factor, date) DO UPDATE SET level = excluded.level
"""


def store_set_as_before(url, parameters):
    with psycopg.connect(url) as connection:
        (order,) = connection.execute(OLD_ADVANCE, ("risk_parameters",)).fetchone()
        connection.execute(OLD_SET, (parameters.set_id, order, parameters.content_hash, parameters.document))


def import_as_before(url, level, factor="spot:BTC"):
    with psycopg.connect(url) as connection:
        (version,) = connection.execute(OLD_ADVANCE, ("history",)).fetchone()
        connection.execute(OLD_UPSERT, (factor, "2026-01-01", level))
    return version


async def level_at(url, version):
    async with postgres_storage(url) as storage:
        history = await storage.market.load_history(version=version)
    return history.levels.get(FactorId.parse("spot:BTC"))


async def test_sets_of_the_schema_before_stay_in_force_as_they_were(database_url):
    config = migrate.migration_config(database_url)
    command.downgrade(config, "0003")
    sets = [risk_parameters(set_id=name) for name in ("b", "a")]
    for parameters in sets:
        store_set_as_before(database_url, parameters)
    migrate.upgrade(database_url)
    async with postgres_storage(database_url) as storage:
        activations = await storage.parameters.activations()
        assert in_force(activations, AS_OF).set_id == in_force(activations, BEGINNING).set_id == "a"
        assert [one.set_id for one in activations] == ["b", "a"]
        standing = await storage.parameters.get_governance(sets[1].set_id)
        assert (standing.state, standing.proposed_by, standing.ramp_days) == (ParameterState.ACTIVE, "crossmargin", 0)
        assert (await storage.parameters.get_parameters(sets[1].set_id)).content_hash == sets[1].content_hash


async def test_history_of_the_schema_before_is_the_history_as_of_its_last_import(database_url):
    command.downgrade(migrate.migration_config(database_url), "0003")
    for level in (1, 2):
        version = import_as_before(database_url, level)
    migrate.upgrade(database_url)
    assert await level_at(database_url, version) == (2,)
    assert await level_at(database_url, version - 1) is None


async def test_imports_of_the_release_before_are_versioned_too(database_url):
    versions = [import_as_before(database_url, level) for level in (1, 2, 2)]
    assert [await level_at(database_url, version) for version in versions] == [(1,), (2,), (2,)]
    assert query(database_url, "SELECT count(*) FROM factor_level") == [(2,)]


async def test_the_release_before_sees_no_set_in_force_that_is_only_proposed(database_url):
    store_set_as_before(database_url, risk_parameters(set_id="first"))
    async with postgres_storage(database_url) as storage:
        assert in_force(await storage.parameters.activations(), AS_OF).set_id == "first"
        await storage.create(propose(risk_parameters(set_id="next"), "alice", AS_OF))
        assert query(database_url, OLD_IN_FORCE) == [("first",)]
        proposed = await storage.parameters.get_governance(risk_parameters(set_id="next").set_id)
        approved = proposed.approve("bob", AS_OF)
        await storage.create(GovernanceChange(proposed, approved, (), 1))
        assert query(database_url, OLD_IN_FORCE) == [("first",)]
        active = approved.activate("bob", AS_OF, active_from=AS_OF, ramp_days=0)
        await storage.create(GovernanceChange(approved, active, (), 1))
        assert query(database_url, OLD_IN_FORCE) == [("next",)]


async def test_going_back_is_refused_while_an_account_is_margined_by_what_the_release_before_does_not_know(database_url):
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE)
        await storage.create(AccountMethodology(CORE, Methodology.SPAN_GRID))
        with pytest.raises(DBAPIError, match="set every account back"):
            command.downgrade(migrate.migration_config(database_url), "0013")
        await storage.create(AccountMethodology(CORE, Methodology.EXPECTED_SHORTFALL))
    command.downgrade(migrate.migration_config(database_url), "0013")
    migrate.upgrade(database_url)


@pytest.mark.parametrize("statement", ["UPDATE factor_level SET level = 9", "DELETE FROM factor_level", "TRUNCATE scenario_set"])
def test_what_margin_was_computed_from_is_never_changed(database_url, statement):
    import_as_before(database_url, 1)
    with pytest.raises(psycopg.errors.RestrictViolation, match="never changed"):
        query(database_url, statement)


@pytest.mark.parametrize(
    "change",
    [
        "approved_by = proposed_by",
        "state = 'proposed'",
        "active_from = NULL",
        "ramp_days = 366",
        "state = 'wished for'",
    ],
)
def test_the_database_too_keeps_the_rules_of_parameters(database_url, change):
    store_set_as_before(database_url, risk_parameters())
    with pytest.raises(psycopg.errors.CheckViolation):
        query(database_url, f"UPDATE risk_parameters SET {change}")  # noqa: S608 - the words above


def test_this_schema_still_serves_the_release_before(database_url):
    assert query(database_url, "SELECT scope, minimum_revision FROM schema_compatibility") == [("schema", "0003")]
    with pytest.raises(psycopg.errors.CheckViolation):
        query(database_url, "INSERT INTO schema_compatibility VALUES ('another', '0001')")


def test_a_schema_of_a_later_release_is_left_as_it_is(database_url):
    query(database_url, "UPDATE alembic_version SET version_num = '9999'")
    before = catalogue(database_url)
    migrate.upgrade(database_url)
    assert (migrate.current_revision(database_url), catalogue(database_url)) == ("9999", before)
