"""A line to PostgreSQL over TCP that reads the protocol well enough to see a COMMIT, and breaks on purpose around it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter, deque
from collections.abc import Iterator
from enum import Enum, unique
from pathlib import Path
from typing import Final
from urllib.parse import quote

_CHUNK: Final = 65536
_LENGTH_BYTES: Final = 4


@unique
class Fate(Enum):
    """What happens to a COMMIT."""

    CUT_BEFORE = "the server never sees it"
    CUT_AFTER = "the server commits, and its answer is lost"
    BLACK_HOLE = "the server commits; from then on the line swallows every answer and stays open"
    DELAY = "it arrives late"


class FrontendMessages:
    """Splits what a client sends into messages, and tells which of them run a COMMIT.

    A driver sends COMMIT as text at first, and as the name of a prepared statement once it has sent it a few times; the name alone
    says nothing, so prepared statements and portals are remembered.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._has_started = False
        self._statements: dict[bytes, bool] = {}
        self._portals: dict[bytes, bool] = {}

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield (message, runs a COMMIT) for every message that is complete."""
        self._buffer += data
        while (size := self._size()) is not None and len(self._buffer) >= size:
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            yield message, self._runs_commit(message)

    def _size(self) -> int | None:
        # The first message of a connection has no type; a request for encryption looks like one and is followed by another.
        offset = 1 if self._has_started else 0
        if len(self._buffer) < offset + _LENGTH_BYTES:
            return None
        return offset + int.from_bytes(self._buffer[offset : offset + _LENGTH_BYTES], "big")

    def _runs_commit(self, message: bytes) -> bool:
        if not self._has_started:
            self._has_started = int.from_bytes(message[4:8], "big") >> 16 == 3
            return False
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return _is_commit(body)
        if kind == b"P":
            name, query, _ = body.split(b"\0", 2)
            self._statements[name] = _is_commit(query)
        elif kind == b"B":
            portal, name, _ = body.split(b"\0", 2)
            self._portals[portal] = self._statements.get(name, False)
        elif kind == b"E":
            return self._portals.get(body.split(b"\0", 1)[0], False)
        return False


def _is_commit(query: bytes) -> bool:
    return query.strip(b"\0; \n").upper() == b"COMMIT"


class CommitProxy:
    """Listens on a port of its own and passes everything on, but for what was armed.

    Attributes:
        commits: How many COMMITs came by.
        done: How many of each fate have happened.
        delay_s: How late a delayed COMMIT arrives.
    """

    def __init__(self, server_socket: Path, *, delay_s: float = 0.05) -> None:
        self._server_socket = server_socket
        self._armed: deque[Fate] = deque()
        self._flows = asyncio.Event()
        self._flows.set()
        self._lines: set[asyncio.Task[None]] = set()
        self.commits = 0
        self.done: Counter[Fate] = Counter()
        self.delay_s = delay_s
        self.port = 0

    def url(self, database: str, user: str) -> str:
        """Return where to connect."""
        return f"postgresql://{quote(user)}@127.0.0.1:{self.port}/{quote(database)}"

    def arm(self, *fates: Fate) -> None:
        """Give the next COMMITs, one each, a fate."""
        self._armed.extend(fates)

    def disarm(self) -> None:
        """Let COMMITs be again."""
        self._armed.clear()

    def hold(self) -> None:
        """Let nothing through in either direction; lines stay open."""
        self._flows.clear()

    def release(self) -> None:
        """Let everything flow again, what was held first."""
        self._flows.set()

    def cut_all(self) -> None:
        """Break every line at once."""
        for line in tuple(self._lines):
            line.cancel()

    @contextlib.asynccontextmanager
    async def running(self):
        """Yield this proxy while it listens."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut_all()
            await asyncio.gather(*self._lines, return_exceptions=True)

    async def _serve(self, client_reader, client_writer):
        task = asyncio.current_task()
        self._lines.add(task)
        server_writer = None
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
            await _Line(self, client_reader, client_writer, server_reader, server_writer).run()
        except (OSError, asyncio.CancelledError):
            pass  # the server is down, or a peer is gone: either way this line is over
        finally:
            self._lines.discard(task)
            for writer in (client_writer, server_writer):
                if writer is not None:
                    writer.transport.abort()

    def next_fate(self) -> Fate | None:
        """Return what is to happen to the COMMIT that has just come."""
        self.commits += 1
        return self._armed.popleft() if self._armed else None

    async def flowing(self) -> None:
        """Return when nothing is held."""
        await self._flows.wait()


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy, client_reader, client_writer, server_reader, server_writer) -> None:
        self._proxy = proxy
        self._client_reader, self._client_writer = client_reader, client_writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._fate: Fate | None = None

    async def run(self) -> None:
        """Pass messages on until either side ends or the line is cut."""
        _send_at_once(self._client_writer)
        directions = {asyncio.create_task(self._requests()), asyncio.create_task(self._answers())}
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _requests(self) -> None:
        messages = FrontendMessages()
        while sent := await self._client_reader.read(_CHUNK):
            await self._proxy.flowing()
            for message, runs_commit in messages.feed(sent):
                if runs_commit and not await self._may_commit():
                    return
                self._server_writer.write(message)
            await self._server_writer.drain()

    async def _may_commit(self) -> bool:
        fate = self._proxy.next_fate()
        if fate is Fate.DELAY:
            await asyncio.sleep(self._proxy.delay_s)
        elif fate is not None:
            self._fate = fate
        if fate in {Fate.CUT_BEFORE, Fate.DELAY}:
            self._proxy.done[fate] += 1
        return fate is not Fate.CUT_BEFORE

    async def _answers(self) -> None:
        last_words = b""
        while answer := await self._server_reader.read(_CHUNK):
            await self._proxy.flowing()
            if self._fate is None:
                self._client_writer.write(answer)
                await self._client_writer.drain()
                continue
            last_words += answer
            # The tag of the command that ended: the server has committed, and only now is its answer lost.
            if b"COMMIT\0" in last_words:
                self._proxy.done[self._fate] += 1
                if self._fate is Fate.CUT_AFTER:
                    return
                await self._swallow()
        # A server that ends ends the line, unless nobody is to notice.

    async def _swallow(self) -> None:
        while await self._server_reader.read(_CHUNK):
            pass
        await asyncio.Event().wait()


def _send_at_once(writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
