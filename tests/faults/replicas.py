"""Replicas of the service: real processes that are killed, stopped, frozen and started again, each on a port of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crossmargin_cli.service_process import dying_with_parent
from tests.integration.command_line import environment

SERVE: Final = ("-m", "crossmargin")
ROOT: Final = Path(__file__).resolve().parents[2]
_START_LIMIT_S: Final = 300.0
_FAULT_SIGNS: Final = ('"rpc failed"', '"background task failed"', '"facts could not be written together"')
_STOP_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.02
_RETRY_S: Final = 0.2
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
"""Below the range from which the kernel takes ports for outgoing connections, so that a killed replica finds its port free again."""


class ReplicaError(Exception):
    """A replica could not be started, and says why in its log."""


@dataclass
class Replica:
    """One process of the service, started as often as it takes.

    Attributes:
        program: What the interpreter runs; the service itself unless a mutant is wanted.
        variables: More environment variables; `{folder}` and `{name}` in them are those of this replica.
        wrapper: Words before the command, of a program that changes something and then becomes it.
        starts: How often it came up.
        refused_starts: How often it ended while starting, as it does when the database is down.
        own_deaths: Exit codes of processes that ended without having been asked to.
    """

    name: str
    folder: Path
    database_url: str
    program: Sequence[str] = SERVE
    flags: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    port: int = 0
    starts: int = 0
    refused_starts: int = 0
    own_deaths: list[int] = field(default_factory=list)
    admin_address: str = ""
    process: subprocess.Popen[bytes] | None = None
    _has_served: bool = False

    def __post_init__(self) -> None:
        self.port = self.port or free_port()

    @property
    def address(self) -> str:
        """Where it serves, always the same."""
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """Its log, over all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def _ready_file(self) -> Path:
        return self.folder / f"{self.name}.ready.json"

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def serves(self) -> bool:
        """Whether its process lives and is known to have come up."""
        return self.is_running and self._has_served

    async def start(self) -> None:
        """Start it and return when it serves; one that ends while starting is started again, as a supervisor does.

        One that was coming up already, when whoever started it was stopped, is waited for.

        Raises:
            ReplicaError: It did not come up within five minutes.
        """
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            if not self.is_running:
                self._ready_file.unlink(missing_ok=True)
                self.process, self._has_served = self._spawn(self._ready_file), False
            while self.is_running and not self._ready_file.exists() and time.monotonic() < deadline:  # noqa: ASYNC110 - another process's file
                await asyncio.sleep(_POLL_S)
            if self._ready_file.exists():
                self.admin_address = json.loads(self._ready_file.read_text())["admin_address"]
                self.starts, self._has_served = self.starts + 1, True
                return
            self.refused_starts += 1
            await asyncio.sleep(_RETRY_S)
        raise ReplicaError(f"{self.name} did not come up: {self.last_words()}")

    async def kill(self) -> None:
        """End it outright, and return when it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask it to stop as an orchestrator does, and return its exit code."""
        return await self._end(signal.SIGTERM)

    def note_own_death(self) -> bool:
        """Return whether it ended without having been asked to, once it had served; each such end is noted once."""
        if self.process is None or self.process.poll() is None:
            return False
        code, self.process = self.process.returncode, None
        if self._has_served:
            self.own_deaths.append(code)
        return self._has_served

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        return " / ".join(lines[-3:])

    def incidents(self) -> list[str]:
        """Return what it logged as faults of its own."""
        if not self.log_path.exists():
            return []
        with self.log_path.open(errors="replace") as log:
            return [line.strip() for line in log if any(sign in line for sign in _FAULT_SIGNS)]

    def resident_bytes(self) -> int:
        """Return how much memory it occupies."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        # Asked to end: if whoever asked is stopped meanwhile, it has neither ended by itself nor come up again.
        self._has_served = False
        self._ready_file.unlink(missing_ok=True)
        self.process.send_signal(number)
        deadline = time.monotonic() + _STOP_LIMIT_S
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
            await asyncio.sleep(_POLL_S)
        code, self.process = self.process.returncode, None
        return code

    def _spawn(self, ready_file: Path) -> subprocess.Popen[bytes]:
        command = [
            *self.wrapper,
            *(sys.executable, *self.program, "serve", "--insecure"),
            *("--grpc-address", self.address),
            *("--admin-address", "127.0.0.1:0"),
            *("--ready-file", str(ready_file)),
            *self.flags,
        ]
        variables = {name: value.format(folder=self.folder, name=self.name) for name, value in self.variables.items()}
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                dying_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                # One person withdraws all day here; that it counts together is not what is being broken.
                env={
                    **environment(),
                    "CROSSMARGIN_WITHDRAWAL_ALONE_LIMIT": "1000000000000",
                    **variables,
                    "CROSSMARGIN_DATABASE_URL": self.database_url,
                },
                process_group=0,
            )


def free_port() -> int:
    """Return a port on which nobody listens now, and on which no outgoing connection can sit later."""
    for port in range(_FIRST_PORT + os.getpid() % 2000, _LAST_PORT):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise ReplicaError("no free port")


_given: set[int] = set()
