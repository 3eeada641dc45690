"""An empty server: a grpc.aio service that answers every call with the same bytes, as many as it was told.

`python -m ... FILE BYTES [URL]`: with the address of a database it asks that for a 1 before it answers, by a pool of the driver's own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import grpc
from psycopg_pool import AsyncConnectionPool

METHOD: Final = "/bench.Echo/Call"


async def _main(ready_file: Path, reply_bytes: int, url: str | None) -> None:
    if url is None:
        await _serve(ready_file, reply_bytes, _nothing)
        return
    async with AsyncConnectionPool(url, kwargs={"autocommit": True}, open=False) as pool:

        async def ask() -> None:
            async with pool.connection() as connection:
                await (await connection.execute("SELECT 1")).fetchone()

        await _serve(ready_file, reply_bytes, ask)


async def _nothing() -> None:
    return


async def _serve(ready_file: Path, reply_bytes: int, before: Callable[[], Awaitable[None]]) -> None:
    reply = bytes(reply_bytes)

    async def answer(_request: bytes, _context: object) -> bytes:
        await before()
        return reply

    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("bench.Echo", {"Call": grpc.unary_unary_rpc_method_handler(answer)})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    written = ready_file.with_suffix(".new")
    written.write_text(str(port))
    written.replace(ready_file)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
