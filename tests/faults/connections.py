"""Thousands of connections that do nothing, to a service whose shell allows it few open files: callers must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from statistics import quantiles
from typing import Final

from tests.faults.injectors import Injector
from tests.faults.rig import Rig

COUNT: Final = 4000
USUAL_SOFT_LIMIT: Final = 1024
"""Open files that a Linux shell allows a process unless it asks for more."""
WRAPPER: Final = ("prlimit", f"--nofile={USUAL_SOFT_LIMIT}:{2 * COUNT}")
LARGEST_GROWTH_BYTES: Final = 300 * 1024 * 1024
_AT_ONCE: Final = 100
_CALLS: Final = 300
# What a gRPC client says first: the preface of HTTP/2 and an empty frame of settings.
_HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_ANSWER_LIMIT_S: Final = 30.0


def many_connections(count: int = COUNT) -> Injector:
    """Return an injector that keeps `count` idle connections open to the first replica while callers call it."""

    async def inject(rig: Rig) -> None:
        replica = rig.replicas[0]
        _allow_files(2 * count)
        before = replica.resident_bytes()
        began = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            answered = 0
            for first in range(0, count, _AT_ONCE):
                opened = await asyncio.gather(*(_connect(replica.address) for _ in range(first, min(first + _AT_ONCE, count))))
                answered += sum(streams is not None for streams in opened)
                for reader, writer in filter(None, opened):
                    stack.callback(_abort, reader, writer)
            took_s = time.monotonic() - began
            if answered < count:
                rig.findings.append(f"{count - answered} of {count} connections were not answered")
            first_answer = len(rig.history.answers)
            await rig.history.progress(_CALLS)
            grown = replica.resident_bytes() - before
            if grown > LARGEST_GROWTH_BYTES:
                rig.findings.append(f"{count} idle connections take {grown / 2**20:.0f} MiB")
        cuts = quantiles([answer.replied_at - answer.invoked_at for answer in rig.history.answers[first_answer:]], n=100)
        figures = f"{answered} connections in {took_s:.1f} s, {grown / 2**20:.0f} MiB"
        rig.remarks.append(f"{figures}; writes beside them p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms")
        # And all of them gone at once.
        await rig.history.progress(_CALLS)

    return inject


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Return an open connection on which the service has said hello; None if it did not. A stream that nobody holds is closed."""
    host, port = address.split(":")
    try:
        async with asyncio.timeout(_ANSWER_LIMIT_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(_HELLO)
            await reader.readexactly(len(_HELLO) - 24)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    return reader, writer


def _abort(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
