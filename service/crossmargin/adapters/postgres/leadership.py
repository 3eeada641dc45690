"""Election of one monitor over all processes, by an advisory lock held on a connection of its own, and a number for every lead.

The lock keeps two from leading at once as far as they know. A leader that was held up, by a pause of its machine or a long computation, may
not know that another one has taken over; so what only the leader may write is written in a transaction that looks at the number of the
lead, and whoever takes over changes that number first.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncConnection

from crossmargin.adapters.postgres.database import Connection
from crossmargin.adapters.postgres.hang_up import hang_up
from crossmargin.usecases.ports.leadership import LeadershipLostError

_MONITOR_LOCK: Final = 0x63726F73_6D6F6E69
"""Any number that nothing else in the database locks."""
_LEAD: Final = "SELECT pg_try_advisory_lock(%s)"
_STILL_HERE: Final = "SELECT true"
_STEP_DOWN: Final = "SELECT pg_advisory_unlock(%s)"
_NEW_EPOCH: Final = "UPDATE monitor_lead SET epoch = epoch + 1, led_since = now() RETURNING epoch"
# Shared until the commit: a lead that begins meanwhile waits for it, and one that began before is seen.
_EPOCH: Final = b"SELECT epoch FROM monitor_lead FOR SHARE"
_PREPARE: Final = "SELECT set_config('idle_session_timeout', %s, false) IS NOT NULL"
_ANSWER_LIMIT_S: Final = 2.5
_HEARTBEAT_S: Final = 0.5
LEASE_S: Final = 3.0
"""A leader that has said nothing for so long is let go by the server, with its lock: a pause costs no more than this."""


async def check_epoch(connection: Connection, epoch: int) -> None:
    """Return if no lead is later than `epoch`, and keep it so until the end of the transaction.

    Raises:
        LeadershipLostError: Another process has begun to lead.
    """
    row = await (await connection.execute(_EPOCH)).fetchone()
    latest = 0 if row is None else row["epoch"]
    if latest != epoch:
        raise LeadershipLostError(f"lead {epoch} is over: {latest} is the latest")


class PostgresLeadership:
    """The lock is the connection's: whoever loses the connection has lost the lock, and says so before another process leads for long."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection[tuple[int]] | None = None
        self._epoch = 0
        self._asking = asyncio.Lock()
        self._heartbeat: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """True when the last try succeeded."""
        return self._epoch > 0

    @property
    def epoch(self) -> int:
        """The number of this lead; 0 while this process does not lead."""
        return self._epoch

    async def try_lead(self) -> bool:
        """Return True while this process leads, trying to become the leader if nobody is. A database that does not answer elects nobody."""
        async with self._asking:  # the loops of one monitor share one connection
            await self._ask_or_let_go()
            return self.leads

    async def close(self) -> None:
        """Stop leading, so that another process may at once."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})
        await self._let_go()

    async def _ask_or_let_go(self) -> None:
        try:
            self._epoch = await self._ask(self._connection or await self._connect())
        except psycopg.Error:
            await self._let_go()

    async def _let_go(self) -> None:
        connection, leads = self._connection, self.leads
        self._connection, self._epoch = None, 0
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                if leads:
                    # Closing alone would free the lock only when the server notices.
                    await _asked(connection, _STEP_DOWN, _MONITOR_LOCK)
                await connection.close()

    async def _connect(self) -> AsyncConnection[tuple[int]]:
        self._connection = await AsyncConnection[tuple[int]].connect(
            self._url, autocommit=True, application_name="crossmargin monitor", connect_timeout=2
        )
        await _asked(self._connection, _PREPARE, f"{LEASE_S:.0f}s")
        return self._connection

    async def _ask(self, connection: AsyncConnection[tuple[int]]) -> int:
        if self.leads:
            return self._epoch if await _asked(connection, _STILL_HERE) else 0
        if not await _asked(connection, _LEAD, _MONITOR_LOCK):
            return 0
        epoch = await _number(connection, _NEW_EPOCH)
        if self._heartbeat is None:
            self._heartbeat = asyncio.create_task(self._stay_heard())
        return epoch

    async def _stay_heard(self) -> None:
        # Whoever leads may be busy for longer than the lease.
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            if self.leads:
                async with self._asking:
                    await self._ask_or_let_go()


async def _asked(connection: AsyncConnection[tuple[int]], question: LiteralString, *values: object) -> bool:
    return bool(await _number(connection, question, *values))


async def _number(connection: AsyncConnection[tuple[int]], question: LiteralString, *values: object) -> int:
    watchdog = asyncio.get_running_loop().call_later(_ANSWER_LIMIT_S, hang_up, connection)
    try:
        row = await (await connection.execute(question, values)).fetchone()
    finally:
        watchdog.cancel()
    return 0 if row is None else int(row[0])
