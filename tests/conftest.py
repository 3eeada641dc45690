"""One PostgreSQL server for the whole session, and a freshly migrated database for whoever asks."""

from __future__ import annotations

import itertools
import os

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.postgres import migrate
from crossmargin.adapters.postgres.walls import make_login
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
from tests.scratch import scratch_folder

# No deadline and no complaint about slow drawing, because no test judges by the clock; and what is needed to run a failure again.
_KIND = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
# The same examples in every run, so that a change is judged by what it changes; `--explore N` looks for others.
settings.register_profile("crossmargin", derandomize=True, **_KIND)
settings.register_profile("explore", derandomize=False, **_KIND)
settings.load_profile("crossmargin")


def pytest_addoption(parser):
    parser.addoption(
        "--explore",
        type=int,
        metavar="N",
        help="laws on N times as many examples, new ones in every run: pytest tests/properties --explore 10",
    )


def pytest_configure(config):
    if config.getoption("explore"):
        settings.load_profile("explore")


def pytest_collection_modifyitems(config, items):
    more = config.getoption("explore")
    for test in {item.obj for item in items if more and getattr(item.obj, "is_hypothesis_test", False)}:
        kept = test._hypothesis_internal_use_settings
        test._hypothesis_internal_use_settings = settings(kept, max_examples=kept.max_examples * more)


SERVICE = "crossmargin_service"
"""What the code under test works as; tests themselves look and break things as the server's superuser."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A running server; CROSSMARGIN_PG_BIN chooses another PostgreSQL than the bundled one."""
    with (
        scratch_folder(otherwise=tmp_path_factory.mktemp("pg")) as folder,
        EmbeddedPostgres(folder, os.environ.get("CROSSMARGIN_PG_BIN")) as server,
    ):
        _run(server, "ALTER SYSTEM SET max_wal_size = '256MB'")
        _run(server, "SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server):
    """The name of a database to copy: migrated once, so that a fresh one costs a copy only."""
    _run(postgres_server, "CREATE DATABASE migrated")
    migrate.upgrade(url_of(postgres_server, "migrated"))
    make_login(postgres_server.url, SERVICE)
    return "migrated"


@pytest.fixture
def empty_database_url(postgres_server):
    """The URL of a new database without a schema."""
    yield from _new_database(postgres_server, "template1")


@pytest.fixture
def database_url(postgres_server, migrated_template):
    """The URL of a new database with the current schema."""
    yield from _new_database(postgres_server, migrated_template)


@pytest.fixture(scope="module")
def module_database_url(postgres_server, migrated_template):
    """The URL of a new database with the current schema, shared by the tests of one module."""
    yield from _new_database(postgres_server, migrated_template)


def url_of(server, database):
    return server.url.replace("/postgres?", f"/{database}?")


def as_service(url):
    """The same database for the service, which owns nothing in it."""
    return make_conninfo(url, user=SERVICE)


def _new_database(server, template):
    name = f"test_{next(_numbers)}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(server, name)
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


def _run(server, statement):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statement)
