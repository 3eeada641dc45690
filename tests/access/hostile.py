"""Malformed and hostile requests, thousands to each RPC of a real secure service: each is refused, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
from google.protobuf.descriptor import MethodDescriptor
from psycopg import sql

from crossmargin.adapters.grpc_server.server import SERVICES
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
from tests.access.calls import HUNG_UP
from tests.access.plausible import request_of
from tests.faults.fuzz import Fuzzer, _mutilated

PROPER = {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
AUDIT = "audit_event"
"""Grows with every denial, and should."""
AT_ONCE = 32
MOST_GROWTH = 0.10
"""Of resident memory between the first tenth of the calls, when everything has been used once, and the last."""
_WARM = 0.1


@dataclass
class Service:
    """A secure service process, and how to look behind it."""

    process: subprocess.Popen
    address: str
    folder: Path
    database: str

    def channel(self, name: str = "house") -> grpc.aio.Channel:
        ca, key, certificate = (self.folder / part for part in ("ca.pem", f"{name}-key.pem", f"{name}.pem"))
        credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), certificate.read_bytes())
        return grpc.aio.secure_channel(self.address, credentials, options=[("grpc.max_send_message_length", 8 * 1024 * 1024)])

    def token(self, name: str = "house") -> str:
        return (self.folder / f"{name}.token").read_text()

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def row_counts(self) -> dict[str, int]:
        with psycopg.connect(self.database) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            count = sql.SQL("SELECT count(*) FROM {}")
            return {table: connection.execute(count.format(sql.Identifier(table))).fetchone()[0] for (table,) in tables if table != AUDIT}


@contextmanager
def secure_service() -> Iterator[Service]:
    """A service on dev certificates and an embedded database of its own, without a monitor."""
    with tempfile.TemporaryDirectory(prefix="crossmargin-hostile-") as name, EmbeddedPostgres(Path(name) / "data", None) as postgres:
        folder = Path(name) / "certs"
        python = [sys.executable, "-m", "crossmargin"]
        made = subprocess.run([*python, "dev-certs", "--out", str(folder)], check=True, capture_output=True, text=True)
        environment = {**os.environ, **json.loads(made.stdout), "CROSSMARGIN_DATABASE_URL": postgres.url}
        subprocess.run([*python, "migrate"], check=True, env=environment, capture_output=True)
        ready, log = Path(name) / "ready.json", Path(name) / "service.log"
        options = ["--no-monitor", "--grpc-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--ready-file", str(ready)]
        limits = ["--calls-per-s", "1000000", "--urgent-calls-per-s", "1000000"]
        with log.open("wb") as output:
            process = subprocess.Popen([*python, "serve", *options, *limits], env=environment, stdout=output, stderr=output)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError(log.read_text()[-2000:])
                time.sleep(0.05)
            yield Service(process, json.loads(ready.read_text())["grpc_address"], folder, postgres.url)
        finally:
            process.terminate()
            process.wait(60)


@dataclass
class Hostility:
    """What was sent, and what came of it."""

    service: Service
    channel: grpc.aio.Channel
    chance: random.Random
    codes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fuzzer = Fuzzer(None, None, self.chance)
        self._token = self.service.token()

    async def call(self, method: MethodDescriptor, count: int) -> None:
        """Make so many calls of a method that must all be refused."""
        requests = itertools.islice(self._requests(method), count)
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(raw: bytes, metadata) -> None:
            async with slots:
                code, details = await self._answer(method, raw, metadata)
                while details == HUNG_UP:
                    code, details = await self._answer(method, raw, metadata)
            self.codes[code] += 1
            if code not in PROPER:
                self.findings.append(f"{method.name} answered {code} ({details[:120]}) to {raw[:120]!r}")

        pending = set()
        for raw, metadata in requests:
            pending.add(asyncio.create_task(one(raw, metadata)))
            if len(pending) >= 4 * AT_ONCE:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending)

    def _requests(self, method: MethodDescriptor) -> Iterator[tuple[bytes, tuple[tuple[str, str], ...]]]:
        """Yield requests that break the form or the rules, from somebody known, and any at all from nobody."""
        right = (("authorization", f"Bearer {self._token}"),)
        fields = [request.SerializeToString() for base in self._fuzzer._bases(method) for request in self._fuzzer._with_nasty_values(base)]
        good = request_of(method, (), "").SerializeToString()
        yield b"\xfa\x3f\x80\x80\x50" + bytes(1_310_720), right
        broken = iter([raw for raw in fields if self._fuzzer._is_broken(method, raw)])
        while True:
            raw = next(broken, None)
            if raw is None:
                raw = _mutilated(self.chance.choice(fields or [good]), self.chance)
                if not self._fuzzer._is_broken(method, raw):
                    continue
            yield raw, right
            if self.chance.random() < 0.2:
                yield good, self._wrong_metadata()

    def _wrong_metadata(self) -> tuple[tuple[str, str], ...]:
        token = self._token
        at = self.chance.randrange(len(token))
        forged = token[:at] + self.chance.choice("AZaz09-_.") + token[at + 1 :]
        wrong = (
            (),
            (("authorization", "Bearer "),),
            (("authorization", token),),
            (("authorization", f"Bearer {forged if forged != token else token[:-2]}x"),),
            (("authorization", f"Bearer {self.service.token('trader')}"),),
            (("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")),
            (("authorization", f"Bearer {token}"), ("x-large", "x" * 9_000)),
            (("x-crossmargin-principal", "root"), ("x-crossmargin-roles", "risk")),
        )
        return self.chance.choice(wrong)

    async def _answer(self, method: MethodDescriptor, raw: bytes, metadata) -> tuple[str, str]:
        path = f"/{method.containing_service.full_name}/{method.name}"
        options = {"metadata": metadata, "timeout": 30.0}
        try:
            if method.client_streaming and method.server_streaming:
                return await self._conversation(self.channel.stream_stream(path)(**options), raw)
            if method.client_streaming:
                call = self.channel.stream_unary(path)(**options)
                await self._say(call, raw)
                await call
            elif method.server_streaming:
                async for _ in self.channel.unary_stream(path)(raw, **options):
                    break
            else:
                await self.channel.unary_unary(path)(raw, **options)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    async def _say(self, call, raw: bytes) -> None:
        with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            await call.write(raw)
            await call.done_writing()

    async def _conversation(self, call, raw: bytes) -> tuple[str, str]:
        await self._say(call, raw)
        if await call.read() is not grpc.aio.EOF:
            call.cancel()
            return "OK", ""
        return (await call.code()).name, await call.details() or ""


async def be_hostile(count: int, seed: int, only: str = "") -> int:
    """Call every RPC `count` times, print what came of it, and return the number of findings."""
    methods = [method for service in SERVICES for method in service.methods if only in method.name]
    with secure_service() as service:
        return await _be_hostile(service, methods, count, seed)


async def _be_hostile(service: Service, methods: list[MethodDescriptor], count: int, seed: int) -> int:
    first = max(1, int(count * _WARM))
    async with service.channel() as channel:
        hostility = Hostility(service, channel, random.Random(seed))  # noqa: S311 - reproducible, not secret
        rows, began = service.row_counts(), time.perf_counter()
        for method in methods:
            await hostility.call(method, first)
        warm = service.resident_bytes()
        for method in methods:
            await hostility.call(method, count - first)
        seconds, grown = time.perf_counter() - began, service.resident_bytes() / warm - 1.0
        after = service.row_counts()
    changed = {table: (rows.get(table), number) for table, number in after.items() if rows.get(table) != number}
    if changed:
        hostility.findings.append(f"rows changed: {changed}")
    if grown > MOST_GROWTH:
        hostility.findings.append(f"memory grew by {grown:.1%}")
    answers = ", ".join(f"{number:,} {code}" for code, number in hostility.codes.most_common())
    print(f"seed {seed}: {len(methods)} RPCs, {count:,} requests each in {seconds:.0f} s: {answers}")
    print(f"resident memory {warm / 2**20:.0f} MB after a tenth, {grown:+.1%} at the end; {len(rows)} tables, unchanged: {not changed}")
    for finding in hostility.findings[:20]:
        print(f"FOUND {finding}")
    return len(hostility.findings)
