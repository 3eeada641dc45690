"""The schema and the walls of the database."""

from __future__ import annotations

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.postgres.migrate import current_revision, upgrade
from crossmargin.adapters.postgres.walls import RolesMissingError, wall_gaps
from crossmargin.app.databases import EMBEDDED_LOGIN, owner_url, running_database_url
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings

log = structlog.get_logger()


def migrate(settings: Settings) -> str:
    """Bring the database to the schema this release needs, and return a sentence that says so.

    Raises:
        StartError: The database cannot be reached, or lacks roles that somebody else has to make.
    """
    with owner_url(settings) as url:
        try:
            upgrade(url)
        except RolesMissingError as error:
            raise StartError(str(error)) from error
        except psycopg.OperationalError as error:
            variable = "CROSSMARGIN_MIGRATION_URL" if settings.migration_url else "CROSSMARGIN_DATABASE_URL"
            raise StartError(f"the database cannot be reached; check {variable} and that it lets this user in") from error
        return f"the database is at schema revision {current_revision(url)}"


def database_gaps(settings: Settings) -> tuple[str, ...]:
    """Return why the second wall does not hold for the service as configured, in words; empty when it holds.

    Raises:
        StartError: The database cannot be reached.
    """
    with running_database_url(settings) as url:
        try:
            return wall_gaps(make_conninfo(url, user=EMBEDDED_LOGIN) if settings.embedded else url)
        except psycopg.OperationalError as error:
            raise StartError("the database cannot be reached; check CROSSMARGIN_DATABASE_URL and that it lets this user in") from error


def check_walls(settings: Settings, url: str) -> None:
    """Return if row-level security and privileges hold the service, or if it serves this machine alone, where they are only missed."""
    try:
        gaps = wall_gaps(url)
    except psycopg.Error:
        return  # whoever opens the database says why it cannot be
    if gaps and not settings.insecure:
        raise StartError("; ".join(gaps))
    for gap in gaps:
        log.warning("the database does not keep clients apart", why=gap)
