"""Brings a database to the schema that this release expects."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import crossmargin

HAS_REVISION: Final = "SELECT to_regclass('alembic_version') IS NOT NULL AS has_revision"
REVISION: Final = "SELECT version_num FROM alembic_version"
HAS_MINIMUM: Final = "SELECT to_regclass('schema_compatibility') IS NOT NULL AS has_minimum"
MINIMUM_REVISION: Final = "SELECT minimum_revision FROM schema_compatibility"


def upgrade(url: str) -> None:
    """Migrate the database at `url` (a libpq URL or conninfo) to the newest revision, waiting for others who migrate it.

    A database that a later release has migrated is left as it is: whether this release can work on it is checked when it is opened.
    """
    current = current_revision(url)
    if current is not None and current not in known_revisions():
        return
    command.upgrade(migration_config(url), "head")


def current_revision(url: str) -> str | None:
    """Return the revision of the database's schema; None when it was never migrated."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute(HAS_REVISION).fetchone() != (True,):
            return None
        row = connection.execute(REVISION).fetchone()
        return str(row[0]) if row else None


def expected_revision() -> str:
    """Return the newest revision among the migrations of this release."""
    head = ScriptDirectory(str(migrations_folder())).get_current_head()
    if head is None:
        raise RuntimeError(f"no migrations in {migrations_folder()}")
    return head


def known_revisions() -> frozenset[str]:
    """Return every revision among the migrations of this release."""
    return frozenset(script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions())


def migration_config(url: str | None = None) -> Config:
    """Return the settings alembic's commands take; the database is handed over beside them, never written down."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def migrations_folder() -> Path:
    """Return where the migrations are: inside the installed package, or at the top of a working copy."""
    package = Path(crossmargin.__file__).parent
    candidates = (package / "migrations", package.parents[1] / "migrations")
    for folder in candidates:
        if (folder / "env.py").is_file():
            return folder
    raise RuntimeError(f"the migrations are in neither {candidates[0]} nor {candidates[1]}; install the package again")
