"""How migrations run: one at a time over all processes, and never in the way of those who trade meanwhile.

`crossmargin migrate` hands the database in; the `alembic` command takes it from CROSSMARGIN_DATABASE_URL.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psycopg
from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from crossmargin.adapters.postgres.tables import metadata
from crossmargin.adapters.postgres.walls import raise_walls

MIGRATION_LOCK = 0x63726F73_6D696772  # "crosmigr": any number that nothing else in the database locks
# A statement that waits for a table's lock makes every later reader and writer wait behind it, so it gives up early and tries again.
LOCK_TIMEOUT = "100ms"
STATEMENT_TIMEOUT = "10min"
LOCK_TRIES = 300
PAUSE_S = 0.2


def run_offline() -> None:
    """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True, transaction_per_migration=True)
    context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    context.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")
    context.run_migrations()


def run_online() -> None:
    """Migrate the database, waiting first for whoever else is migrating it."""
    url = context.config.attributes.get("url") or os.environ["CROSSMARGIN_DATABASE_URL"]
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool, hide_parameters=True)
    with engine.connect() as connection:
        _take_turn(connection)
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        _when_tables_are_free(lambda: _migrate(connection))
        # On another connection, because this one holds the lock that keeps other migrations out.
        with psycopg.connect(url, autocommit=True, options=f"-c lock_timeout={LOCK_TIMEOUT}") as walls:
            # Walls are those of the newest schema: on the way down there may be no column yet that one of them names.
            if walls.execute("SELECT version_num FROM alembic_version").fetchall() == [(context.script.get_current_head(),)]:
                _when_tables_are_free(lambda: raise_walls(walls))


def _take_turn(connection: Connection) -> None:
    # Asked for again and again. Whoever waits inside a statement has a snapshot, and an index that is built meanwhile waits for that.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK}).scalar_one():
        connection.commit()
        time.sleep(PAUSE_S)


def _migrate(connection: Connection) -> None:
    try:
        # Every migration commits by itself, so that a new try goes on where the last one stopped.
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        context.run_migrations()
    except BaseException:
        connection.rollback()
        raise


def _when_tables_are_free(work: Callable[[], None]) -> None:
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            work()
        except (OperationalError, psycopg.errors.LockNotAvailable) as error:
            is_in_use = isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable)
            if not tries_left or not is_in_use:
                raise
            time.sleep(PAUSE_S)
        else:
            return


if context.is_offline_mode():
    run_offline()
else:
    run_online()
