"""Where the database is: the one that was named, or one beside the process, for the service and for its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, running_url
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings

if TYPE_CHECKING:
    from crossmargin.adapters.tracing.tracing import Tracing

EMBEDDED_LOGIN: Final = "crossmargin_service"
"""What the service works as in an embedded database, which it owns only while it migrates it."""


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Yield where the database is; the embedded server runs as long.

    Raises:
        StartError: The embedded server does not start.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    try:
        with EmbeddedPostgres(settings.data_dir, settings.pg_bin) as server:
            yield server.url
    except EmbeddedPostgresError as error:
        raise StartError(str(error)) from error


@contextmanager
def running_database_url(settings: Settings) -> Iterator[str]:
    """Yield where the database is: the embedded server that runs already, where one does."""
    running = running_url(settings.data_dir) if settings.embedded else None
    if running is not None:
        yield running
        return
    with database_url(settings) as url:
        yield url


@contextmanager
def owner_url(settings: Settings) -> Iterator[str]:
    """Yield where the database is for its owner."""
    if settings.migration_url is not None:
        yield settings.migration_url.get_secret_value()
        return
    with database_url(settings) as url:
        yield url


@asynccontextmanager
async def open_database(settings: Settings, url: str, tracing: Tracing | None = None) -> AsyncIterator[Database]:
    """Yield connections to the database.

    Raises:
        StartError: It cannot be reached, or its schema is not for this release.
    """
    turn = nullcontext if tracing is None else tracing.database_turn
    database = Database(url, pool_size=settings.connection_count, turn=turn)
    try:
        await database.open()
    except DatabaseRefusedError as error:
        raise StartError(str(error)) from error
    try:
        yield database
    finally:
        await database.close()
