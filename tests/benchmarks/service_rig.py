"""A service as it runs in production, for a benchmark to call: a process of its own, the walls up, every commit durable.

The service is kept on one core, and whoever calls it or its opponents on the other one. PostgreSQL runs where it likes, for both sides.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

import grpc

from crossmargin_cli.service_process import dying_with_parent
from crossmargin_client import AsyncClient
from tests.access.authority import AUDIENCE, ISSUER, OMS, Files, Identity
from tests.benchmarks.furniture import Furniture, furnish
from tests.benchmarks.machine import pin, unpin
from tests.faults.faulty_postgres import FaultyPostgres
from tests.faults.replicas import ROOT
from tests.faults.rig import MIGRATED, standing_postgres
from tests.integration.command_line import environment

SERVER_CORE, CALLER_CORE = 0, 1
_START_S: Final = 300.0
_STOP_S: Final = 30.0
_POLL_S: Final = 0.02
_NO_BUDGET: Final = ("--calls-per-s", "1000000", "--urgent-calls-per-s", "1000000")
_ROLES: Final = ("trader", "operations")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Served:
    """A running service on a furnished database.

    Attributes:
        url: The database as its superuser. service_url: As the service, behind the walls.
        files: What callers prove themselves with, as `identity`; None without TLS and tokens.
    """

    address: str
    admin_address: str
    url: str
    service_url: str
    pid: int
    files: Files | None = None
    identity: Identity | None = None

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """Yield a connection of this process to the service."""
        if self.files is None or self.identity is None:
            opened = grpc.insecure_channel(self.address)
        else:
            opened = grpc.secure_channel(self.address, self.identity.channel_credentials(self.files.authority.pem))
        with opened as channel:
            yield channel

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what every call carries."""
        if self.files is None or self.identity is None:
            return ()
        token = self.files.issuer.token(self.identity, clients=["house", "bench"], roles=list(_ROLES))
        return (("authorization", f"Bearer {token}"),)


@cache
def bench_postgres() -> tuple[FaultyPostgres, Path]:
    """Return the server of all benchmarks of this process, and a folder beside it; both go when the process does."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossmargin-bench-", ignore_cleanup_errors=True)))
    unpin()
    return stack.enter_context(standing_postgres(folder / "postgres")), folder


@contextmanager
def serving(furniture: Furniture, *, secure: bool = False, monitor: bool = False) -> Iterator[Served]:
    """Yield a service on its own core; this process goes to the other one.

    `secure` asks for TLS, a certificate and a token with every call. Without a monitor it is a replica that does not lead: the leader runs
    the house elsewhere.
    """
    postgres, folder = bench_postgres()
    name = database_of(furniture)
    pin(CALLER_CORE)
    flags, files, identity = ["--insecure"], None, None
    if secure:
        home = folder / f"{name}-files"
        home.mkdir()
        files = Files(home)
        files.allow({OMS: (list(_ROLES), ["house", "bench"])})
        identity = files.authority.client(OMS)
        flags = [*_secure_flags(home), *_NO_BUDGET]
    try:
        with _process(folder, name, postgres.service_url_of(name), [*flags, *([] if monitor else ["--no-monitor"])]) as (pid, ready):
            urls = (postgres.url_of(name), postgres.service_url_of(name))
            yield Served(ready["grpc_address"], ready["admin_address"], *urls, pid, files, identity)
    finally:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def database_of(furniture: Furniture) -> str:
    """Return the name of a new database with the furniture in it."""
    postgres, _ = bench_postgres()
    template, name = _furnished(furniture.instrument_count, tuple(furniture.positions.items())), f"bench_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@cache
def _furnished(instrument_count: int, positions: tuple[tuple[str, int], ...]) -> str:
    postgres, folder = bench_postgres()
    name = f"furnished_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")

    async def fill(address: str) -> None:
        async with AsyncClient(address, timeout_s=10) as client:
            await furnish(client, Furniture(instrument_count, dict(positions)))

    with _process(folder, name, postgres.service_url_of(name), ["--insecure", "--no-monitor"]) as (_, ready):
        asyncio.run(fill(ready["grpc_address"]))
    postgres.execute("VACUUM ANALYZE", name)
    return name


@contextmanager
def _process(folder: Path, name: str, url: str, flags: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the process id and the addresses of a service, which is stopped afterwards."""
    ready_file, log = folder / f"{name}.ready.json", folder / f"{name}.log"
    command = [sys.executable, "-m", "crossmargin", "serve", "--grpc-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            dying_with_parent([*on_core(SERVER_CORE), *command, "--ready-file", str(ready_file), *flags]),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=ROOT,
            env={**environment(), "CROSSMARGIN_DATABASE_URL": url},
            process_group=0,
        )
    try:
        yield process.pid, _addresses(process, ready_file, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _addresses(process: subprocess.Popen[bytes], ready_file: Path, log: Path) -> Mapping[str, str]:
    deadline = time.monotonic() + _START_S
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the service did not come up: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(_POLL_S)
    found: Mapping[str, str] = json.loads(ready_file.read_text())
    return found


def on_core(core: int) -> list[str]:
    """Return the words before a command that keep it on one core, where the system has them."""
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def _secure_flags(home: Path) -> list[str]:
    files = {
        "--tls-cert-file": "server.pem",
        "--tls-key-file": "server-key.pem",
        "--tls-client-ca-file": "ca.pem",
        "--allow-list-file": "allow-list.toml",
        "--token-keys-file": "token-keys.json",
    }
    flags = [word for flag, name in files.items() for word in (flag, str(home / name))]
    return [*flags, "--token-issuer", ISSUER, "--token-audience", AUDIENCE]
