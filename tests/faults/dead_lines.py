"""Lines between callers and replicas that swallow everything and stay open, as those to a machine that vanished do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from tests.faults.bench import Bench
from tests.faults.rig import Result, Rig, Setup

RECOVERED_WITHIN_S: Final = 30.0
"""Twenty seconds until pings have found a line dead, and some for the call that opens another."""
_TIMES: Final = 2
_CHUNK: Final = 65536


class SwallowingProxy:
    """Passes bytes on between a caller and a replica, until its lines die: then it reads on and passes nothing."""

    def __init__(self, target: str) -> None:
        self._host, self._port = target.split(":")
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0
        self.address = ""

    def swallow(self) -> None:
        """Let every line that is open now die; new ones work."""
        self._epoch += 1

    @contextlib.asynccontextmanager
    async def running(self):
        """Yield this proxy while it listens."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        onward = None
        try:
            back, onward = await asyncio.open_connection(self._host, int(self._port))
            epoch = self._epoch
            await asyncio.gather(self._pass_on(reader, onward, epoch), self._pass_on(back, writer, epoch))
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone, so the other is let go
        finally:
            self._tasks.discard(task)
            for side in (writer, onward):
                if side is not None:
                    side.transport.abort()

    async def _pass_on(self, reader, writer, epoch: int) -> None:
        while data := await reader.read(_CHUNK):
            if epoch == self._epoch:
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError


async def run_dead_lines(bench: Bench) -> Result:
    """Return what became of callers all of whose lines die at once, twice."""
    async with contextlib.AsyncExitStack() as stack:
        proxies: list[SwallowingProxy] = []

        async def through_a_proxy(target: str) -> str:
            proxies.append(await stack.enter_async_context(SwallowingProxy(target).running()))
            return proxies[-1].address

        async def body(rig: Rig) -> None:
            for _ in range(_TIMES):
                await rig.history.progress(50)
                for proxy in proxies:
                    proxy.swallow()
                await rig.history.progress(50)
            _judge(rig)

        return await bench.run("dead-lines", body, Setup(reach=through_a_proxy, seed=bench.seed))


def _judge(rig: Rig) -> None:
    gap_s = rig.history.longest_gap_s
    rig.remarks.append(f"callers were heard again {gap_s:.1f} s after their lines had died")
    if gap_s > RECOVERED_WITHIN_S:
        rig.findings.append(
            f"callers were not heard for {gap_s:.1f} s after their lines had died; expected {RECOVERED_WITHIN_S:.0f} s at most"
        )
