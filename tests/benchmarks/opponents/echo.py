"""An empty server: a grpc.aio service that answers every call with the same bytes, as many as it was told. `python -m ... FILE BYTES`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import grpc

METHOD: Final = "/bench.Echo/Call"


async def _serve(ready_file: Path, reply_bytes: int) -> None:
    reply = bytes(reply_bytes)

    async def answer(_request: bytes, _context: object) -> bytes:
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
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
