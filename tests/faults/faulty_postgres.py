"""A PostgreSQL server of the harness's own, which it may crash, freeze and start again on the same data."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres

SERVICE: Final = "crossmargin_service"
"""The login that replicas use, as a service in production does: it owns nothing, and the walls hold for it."""
_POLL_S: Final = 0.02
_LIMIT_S: Final = 120.0
_CRASH_EXIT_LIMIT_S: Final = 20.0


class FaultyPostgres(EmbeddedPostgres):
    """The embedded server with handles to break it by. Everything that waits does so without holding up the event loop."""

    def __init__(self, data_dir: Path, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(data_dir, os.environ.get("CROSSMARGIN_PG_BIN"))
        self._more_settings = settings or {}

    @property
    def socket_path(self) -> Path:
        """The socket that the server listens on."""
        return self.socket_folder / ".s.PGSQL.5432"

    @property
    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._server is not None and self._server.poll() is None

    def url_of(self, database: str) -> str:
        """Return where to connect, past any proxy."""
        return self.url.replace("/postgres?", f"/{database}?")

    def service_url_of(self, database: str) -> str:
        """Return where the service connects, past any proxy: with a login that owns nothing and sees what the walls let it see."""
        return make_conninfo(self.url_of(database), user=SERVICE)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run one statement on a connection of its own."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    async def crash(self) -> None:
        """Stop every process of the server at once, as `pg_ctl stop -m immediate` does: no checkpoint, no goodbye."""
        self._server.send_signal(signal.SIGQUIT)
        await _until(lambda: self._server.poll() is not None, limit_s=_CRASH_EXIT_LIMIT_S)

    async def start_again(self) -> None:
        """Start the server on its data and return when it takes connections, having recovered."""
        while True:
            self._wait_for_predecessor()
            self._server = self._spawn_again(self._server.args)
            await self.answers()
            if self.is_running:
                return

    async def answers(self) -> None:
        """Return when the server takes connections, or is no more."""
        await _until_async(self._takes_connections)

    def kill_a_backend(self, choose: random.Random) -> bool:
        """Kill one session outright; the server then throws all others out and recovers in place. False when there is no session."""
        backends = [pid for pid in _descendants(self._server.pid) if _title(pid).startswith(b"postgres: postgres ")]
        if not backends:
            return False
        try:
            os.kill(choose.choice(sorted(backends)), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def freeze(self) -> None:
        """Stop every process of the server where it is."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every process of the server go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in (self._server.pid, *_descendants(self._server.pid)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _spawn_again(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            environment = {**os.environ, "LC_ALL": "C"}
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data_dir, env=environment, process_group=0
            )

    def _options(self) -> list[str]:
        more = [word for name, value in self._more_settings.items() for word in ("-c", f"{name}={value}")]
        return [*super()._options(), *more]

    async def _takes_connections(self) -> bool:
        if not self.is_running:
            return True
        try:
            async with asyncio.timeout(2):
                await (await psycopg.AsyncConnection.connect(self.url)).close()
        except (psycopg.OperationalError, TimeoutError):
            return False
        return True


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [int(child) for child in children]


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


async def _until(condition, *, limit_s: float = _LIMIT_S) -> None:
    async def holds() -> bool:
        return condition()

    await _until_async(holds, limit_s=limit_s)


async def _until_async(condition, *, limit_s: float = _LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:.0f} s in vain")
        await asyncio.sleep(_POLL_S)
