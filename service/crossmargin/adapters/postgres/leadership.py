"""Election of one monitor over all processes, by an advisory lock held on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncConnection

from crossmargin.adapters.postgres.hang_up import hang_up

_MONITOR_LOCK: Final = 0x63726F73_6D6F6E69
"""Any number that nothing else in the database locks."""
_LEAD: Final = "SELECT pg_try_advisory_lock(%s)"
_STILL_HERE: Final = "SELECT true"
_STEP_DOWN: Final = "SELECT pg_advisory_unlock(%s)"
_ANSWER_LIMIT_S: Final = 2.5


class PostgresLeadership:
    """The lock is the connection's: whoever loses the connection has lost the lock, and says so before another process leads for long."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection[tuple[bool]] | None = None
        self._leads = False
        self._asking = asyncio.Lock()

    @property
    def leads(self) -> bool:
        """True when the last try succeeded."""
        return self._leads

    async def try_lead(self) -> bool:
        """Return True while this process leads, trying to become the leader if nobody is. A database that does not answer elects nobody."""
        async with self._asking:  # the loops of one monitor share one connection
            try:
                self._leads = await self._ask(self._connection or await self._connect())
            except psycopg.Error:
                await self.close()
            return self._leads

    async def close(self) -> None:
        """Stop leading, so that another process may at once."""
        connection, leads = self._connection, self._leads
        self._connection, self._leads = None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                if leads:
                    # Closing alone would free the lock only when the server notices.
                    await _asked(connection, _STEP_DOWN, _MONITOR_LOCK)
                await connection.close()

    async def _connect(self) -> AsyncConnection[tuple[bool]]:
        self._connection = await AsyncConnection[tuple[bool]].connect(
            self._url, autocommit=True, application_name="crossmargin monitor", connect_timeout=2
        )
        return self._connection

    async def _ask(self, connection: AsyncConnection[tuple[bool]]) -> bool:
        return await _asked(connection, _STILL_HERE) if self._leads else await _asked(connection, _LEAD, _MONITOR_LOCK)


async def _asked(connection: AsyncConnection[tuple[bool]], question: LiteralString, *values: int) -> bool:
    watchdog = asyncio.get_running_loop().call_later(_ANSWER_LIMIT_S, hang_up, connection)
    try:
        row = await (await connection.execute(question, values)).fetchone()
    finally:
        watchdog.cancel()
    return row is not None and row[0]
