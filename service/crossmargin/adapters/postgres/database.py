"""One pool of connections for all reads and writes: a bounded wait for a place, and a bounded time on the line."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from crossmargin.adapters.postgres.driver_errors import Fault, caller_error, fault_of
from crossmargin.adapters.postgres.hang_up import hang_up
from crossmargin.adapters.postgres.kept_packed import KeptPacked
from crossmargin.adapters.postgres.kept_positions import KeptPositions
from crossmargin.adapters.postgres.row_scope import SET_CLIENTS, clients_setting
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError, check_schema, prepare_session
from crossmargin.adapters.postgres.statements import Question, Statement
from crossmargin.domain.client_scope import WHOLE_HOUSE

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = AsyncConnection[Row]

SLOT_LIMIT_S: Final = 0.5
LINE_LIMIT_S: Final = 2.5
"""Without a limit a frozen server takes every connection of the pool, one by one, and never gives one back."""
BULK_LIMIT_S: Final = 60.0
_READ_DEADLINE_S: Final = 5.0
_RECONNECT_LIMIT_S: Final = 2.0
_OPEN_LIMIT_S: Final = 10.0
_CONNECT: Final[Mapping[str, Any]] = {"autocommit": True, "row_factory": dict_row, "connect_timeout": 3, "application_name": "crossmargin"}


class Database:
    """A PostgreSQL database with the schema of this release.

    Args:
        url: libpq URL or conninfo.
        pool_size: Most connections used at a time.
        line_limit_s: How long one transaction or read may hold a connection before it is cut.
        turn: Makes a context around every turn at the database, from asking for a connection to giving it back.

    Attributes:
        retried: How often writes were tried again, by what had gone wrong.
        positions: What was read of accounts, so that a question about their books need not be answered with it again.
        packed: The same for questions about a whole house.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        line_limit_s: float = LINE_LIMIT_S,
        turn: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._url = url
        self._turn = turn
        self._line_limit_s = line_limit_s
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[Row],
            kwargs=dict(_CONNECT),
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=SLOT_LIMIT_S,
            # The pool waits twice as long after each failed attempt; starting over keeps the wait short when the server is back.
            reconnect_timeout=_RECONNECT_LIMIT_S,
            configure=prepare_session,
            open=False,
        )
        self._running: set[asyncio.Task[Any]] = set()
        self.retried: Counter[Fault] = Counter()
        self.positions = KeptPositions()
        self.packed = KeptPacked()
        self._together: Counter[int] = Counter()
        self._alone: Counter[str] = Counter()

    async def open(self) -> None:
        """Check the server and its schema, and open the pool.

        Raises:
            DatabaseRefusedError: The database cannot be reached, is not safe for books, or has another schema.
        """
        try:
            # A connection of its own, because the pool would retry and then hide the reason behind a timeout.
            async with await AsyncConnection[Row].connect(self._url, **_CONNECT) as connection:
                await prepare_session(connection)
                await check_schema(connection)
        except psycopg.OperationalError as error:
            raise DatabaseRefusedError(
                "the database cannot be reached; check CROSSMARGIN_DATABASE_URL and that the server runs and lets this user in"
            ) from error
        try:
            await self._pool.open(wait=True, timeout=_OPEN_LIMIT_S)
        except psycopg.OperationalError as error:
            await self._pool.close()
            raise DatabaseRefusedError(f"the database did not let the pool connect within {_OPEN_LIMIT_S:.0f} s") from error

    async def close(self) -> None:
        """Let what is under way end, then close every connection."""
        if self._running:
            await asyncio.wait(self._running)
        await self._pool.close()

    async def check_schema(self) -> None:
        """Return if this release can work on the schema as it is now: a migration may have changed it since `open`.

        Raises:
            DatabaseRefusedError: It cannot; the message says what it needs.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE.
        """
        await self.shielded(self._check_schema())

    def pool_statistics(self) -> dict[str, int]:
        """Return how the pool is used, under psycopg's names, and what was counted beside it.

        Writes tried again are `writes_retried_` and the fault; transactions of facts are `facts_together_` and how many were in one; facts
        that were taken out of one and written alone after all are `facts_alone_` and why.
        Figures that were never above zero may be missing. Does not block.
        """
        retried = {f"writes_retried_{fault.name.lower()}": count for fault, count in self.retried.items()}
        together = {f"facts_together_{size}": count for size, count in self._together.items()}
        alone = {f"facts_alone_{cause}": count for cause, count in self._alone.items()}
        return {**self._pool.get_stats(), **retried, **together, **alone}

    def count_together(self, size: int) -> None:
        """Note that so many facts are written in one transaction."""
        self._together[size] += 1

    def count_alone(self, cause: str, number: int) -> None:
        """Note that so many facts that were to be written in one transaction with others are written alone after all."""
        self._alone[cause] += number

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return the rows of a read; one that meets a broken connection is sent again.

        Raises:
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE.
        """
        return await self._rows(clients_setting(), statement, values)

    async def house_rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return the rows of a read that the service makes for itself, whoever it works for: what it returns is told to no caller."""
        return await self._rows(clients_setting(WHOLE_HOUSE), statement, values)

    async def answer(self, question: Question, values: Sequence[object], /) -> list[Row]:
        """Return the rows that answer a question, which is sent again when it meets a broken connection; errors as `rows`."""
        asked = (clients_setting(), *values)

        async def ask(connection: Connection) -> list[Row]:
            cursor = connection.cursor(row_factory=question.rows)
            return await (await cursor.execute(question.sql, asked)).fetchall()

        return await self.shielded(self._read(ask))

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """Return the first row of a read, or None."""
        found = await self.rows(statement, **values)
        return found[0] if found else None

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. If the caller is cancelled meanwhile, the work still goes on to its own end.

        A statement that is cut off half-way costs the pool a connection, and a write could not tell what became of it.
        """
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    @contextlib.asynccontextmanager
    async def connection(self, *, limit_s: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection, for at most `limit_s`; a transaction left open is rolled back.

        Raises:
            psycopg_pool.PoolTimeout: No connection was free in time; nothing happened.
        """
        with self._turn():
            connection = await self._pool.getconn()
            watchdog = asyncio.get_running_loop().call_later(limit_s or self._line_limit_s, hang_up, connection)
            try:
                yield connection
            finally:
                if connection.info.transaction_status is not TransactionStatus.IDLE:
                    with contextlib.suppress(psycopg.Error):
                        await connection.rollback()
                watchdog.cancel()
                await self._pool.putconn(connection)

    @contextlib.asynccontextmanager
    async def bulk(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction that may take long, committed at the end.

        Raises:
            DomainError: SERVICE_BUSY, STORAGE_UNAVAILABLE, or what else a failed statement means to a caller. It is not made again.
        """
        try:
            async with self.connection(limit_s=BULK_LIMIT_S) as connection, connection.transaction():
                for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                    await connection.execute(f"SET LOCAL {limit} = '{BULK_LIMIT_S:.0f}s'".encode())
                await connection.execute(SET_CLIENTS, (clients_setting(),))
                yield connection
        except psycopg.Error as error:
            raise caller_error(error) from error

    async def _rows(self, clients: str, statement: Statement, values: Mapping[str, object]) -> list[Row]:
        sent = statement.values(values)

        async def ask(connection: Connection) -> list[Row]:
            # Both in one message and so in one transaction, which ends with it.
            async with connection.pipeline():
                await connection.execute(SET_CLIENTS, (clients,))
                cursor = await connection.execute(statement.sql, sent)
            return await cursor.fetchall()

        return await self.shielded(self._read(ask))

    async def _read(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READ_DEADLINE_S
        while True:
            try:
                async with self.connection() as connection:
                    return await ask(connection)
            except psycopg.Error as error:
                if fault_of(error) is not Fault.LOST or loop.time() > deadline:
                    raise caller_error(error) from error

    async def _check_schema(self) -> None:
        try:
            async with self.connection() as connection:
                await check_schema(connection)
        except psycopg.Error as error:
            raise caller_error(error) from error

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains when the caller who would have seen it is gone
