"""A line to PostgreSQL that breaks on purpose, before or after a COMMIT reached the server."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from pathlib import Path
from urllib.parse import quote


class Cut(Enum):
    """Where the line breaks."""

    BEFORE_COMMIT = "the server never sees it"
    AFTER_COMMIT = "the server commits, its answer is lost"


class CuttingProxy:
    """Listens where a client looks for a server, and passes everything on but what it was told to cut.

    Attributes:
        cuts: What to do with the next COMMITs, one each; then lines hold.
        goes_down: True to let nobody in again after the last cut, as long as it stays True.
    """

    def __init__(self, server_socket: Path, folder: Path, cuts: list[Cut]) -> None:
        self._server_socket = server_socket
        self._socket = folder / ".s.PGSQL.5432"
        self.cuts = cuts
        self.goes_down = False

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket.parent), safe='')}"

    @contextlib.asynccontextmanager
    async def running(self):
        lines = set()

        had_cuts = bool(self.cuts)

        async def serve(reader, writer):
            lines.add(asyncio.current_task())
            if self.goes_down and had_cuts and not self.cuts:
                writer.close()
                return
            with contextlib.suppress(ConnectionError):
                await self._pass_on(reader, writer)

        server = await asyncio.start_unix_server(serve, self._socket)
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*lines, return_exceptions=True)

    async def _pass_on(self, client_reader, client_writer):
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        is_cut = asyncio.Event()
        answers = asyncio.create_task(self._answers(server_reader, client_writer, is_cut))
        try:
            while (sent := await client_reader.read(65536)) and not is_cut.is_set():
                cut = self.cuts.pop(0) if b"COMMIT" in sent and self.cuts else None
                if cut is Cut.BEFORE_COMMIT:
                    break
                if cut is Cut.AFTER_COMMIT:
                    is_cut.set()
                server_writer.write(sent)
                await server_writer.drain()
        finally:
            if not is_cut.is_set():
                answers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answers
            for writer in (client_writer, server_writer):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _answers(self, server_reader, client_writer, is_cut):
        while answer := await server_reader.read(65536):
            if is_cut.is_set():
                # The server has answered, so it has committed; only now does the client lose the line.
                client_writer.close()
                return
            client_writer.write(answer)
            await client_writer.drain()
        client_writer.close()
