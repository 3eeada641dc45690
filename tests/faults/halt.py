"""The house is halted while callers ask: nothing that may be refused is approved after the halt was acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import psycopg

from crossmargin_client import AsyncClient, Busy, DeadlineExceeded, Unavailable
from tests.faults.rig import Rig
from tests.faults.two_persons import resume

_APPROVALS: Final = "SELECT count(*) FROM entry WHERE kind IN ('collateral policy', 'reservation', 'withdrawal', 'transfer')"
_REFUSALS: Final = 16
"""So many answers from callers who ask while the house is halted."""


def halts(count: int, *, between: tuple[int, int] = (20, 40)) -> Callable[[Rig], Awaitable[None]]:
    """Return a body that halts and resumes the house, each over another replica, and counts what was approved in between."""

    async def body(rig: Rig) -> None:
        for turn in range(count):
            await rig.history.progress(rig.chance.randint(*between))
            client = rig.clients[sorted(rig.clients)[turn % len(rig.clients)]]
            approved = await _approved_while_halted(rig, client)
            rig.tally.halts += 1
            if approved:
                rig.findings.append(f"approved while halted: {approved} requests after the halt was acknowledged")

    return body


async def _approved_while_halted(rig: Rig, client: AsyncClient) -> int:
    async with await psycopg.AsyncConnection.connect(rig.url, autocommit=True) as connection:
        await _until_done(lambda: client.halt("a test of the halt"))
        before = await (await connection.execute(_APPROVALS)).fetchone()
        await rig.history.refusals(_REFUSALS)
        after = await (await connection.execute(_APPROVALS)).fetchone()
        await resume(client, "the test is over", until_done=_until_done)
    return after[0] - before[0]


async def _until_done(call: Callable[[], Awaitable[object]]) -> object:
    while True:
        try:
            return await call()
        except (Busy, Unavailable, DeadlineExceeded):
            continue
