"""What a database must promise before we promise anything: no acknowledged write may be lost."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from psycopg import AsyncConnection

from crossmargin.adapters.postgres.migrate import HAS_MINIMUM, HAS_REVISION, MINIMUM_REVISION, REVISION, expected_revision, known_revisions

# Session settings and checks travel together, so that a new connection costs one round trip.
_PREPARE: Final = b"""
SELECT
    set_config('TimeZone', 'UTC', false), set_config('lock_timeout', '1s', false), set_config('statement_timeout', '2s', false),
    set_config('idle_in_transaction_session_timeout', '3s', false),
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS is_in_recovery,
    current_setting('server_version_num')::int / 10000 AS version
"""
_SAFE: Final = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply"}}
_OLDEST_VERSION: Final = 15

# What this release knows does not change while it runs, and whether it still fits is asked every second.
_EXPECTED: Final = cache(expected_revision)
_KNOWN: Final = cache(known_revisions)


class DatabaseRefusedError(Exception):
    """The database is not fit to hold books; the message says what it lacks and what to do."""


async def prepare_session(connection: AsyncConnection[dict[str, Any]]) -> None:
    """Set the session's time zone and limits, and check that the server keeps what it acknowledges.

    Raises:
        DatabaseRefusedError: A setting that makes commits durable is off, the server is a standby, or it is too old.
    """
    row = await (await connection.execute(_PREPARE)).fetchone()
    if row is None:
        raise DatabaseRefusedError("the database did not describe itself")
    for setting, safe in _SAFE.items():
        if row[setting] not in safe:
            raise DatabaseRefusedError(
                f"{setting} is {row[setting]} on the database, so an acknowledged trade could be lost; set it to on and restart the server"
            )
    if row["is_in_recovery"]:
        raise DatabaseRefusedError("the database is a standby in recovery; point the service at the primary")
    if row["version"] < _OLDEST_VERSION:
        raise DatabaseRefusedError(f"the database is PostgreSQL {row['version']}; this service needs {_OLDEST_VERSION} or newer")


async def check_schema(connection: AsyncConnection[dict[str, Any]]) -> None:
    """Check that this release can work on the database's schema: its own, or a later one that says it still serves this release.

    Raises:
        DatabaseRefusedError: The schema is older, or later than this release can work on, or there is none.
    """
    expected, found = _EXPECTED(), await _revision(connection)
    if found == expected:
        return
    known = _KNOWN()
    if found is None or found in known:
        what = f"at revision {found}" if found else "empty"
        raise DatabaseRefusedError(f"the database schema is {what}; this release expects {expected}: run `crossmargin migrate`")
    minimum = await _minimum_revision(connection)
    if minimum not in known:
        raise DatabaseRefusedError(
            f"the database schema is at revision {found}, which needs a release that knows {minimum or found}; this one knows "
            f"{expected} at most: run a later release"
        )


async def _revision(connection: AsyncConnection[dict[str, Any]]) -> str | None:
    has = await (await connection.execute(HAS_REVISION)).fetchone()
    if has is None or not has["has_revision"]:
        return None
    row = await (await connection.execute(REVISION)).fetchone()
    return str(row["version_num"]) if row else None


async def _minimum_revision(connection: AsyncConnection[dict[str, Any]]) -> str | None:
    has = await (await connection.execute(HAS_MINIMUM)).fetchone()
    if has is None or not has["has_minimum"]:
        return None
    row = await (await connection.execute(MINIMUM_REVISION)).fetchone()
    return str(row["minimum_revision"]) if row else None
