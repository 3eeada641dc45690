"""The house is halted while callers ask: nothing that may be refused is approved after the halt was acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import psycopg

from tests.faults.rig import Rig

_APPROVALS = "SELECT count(*) FROM entry WHERE kind = 'collateral policy'"


def halts(count: int, *, between: tuple[int, int] = (20, 40)) -> Callable[[Rig], Awaitable[None]]:
    """Return a body that halts and resumes the house, and counts what was approved in between."""

    async def body(rig: Rig) -> None:
        for _ in range(count):
            await rig.history.progress(rig.chance.randint(*between))
            approved = await _approved_while_halted(rig)
            rig.tally.stops += 1
            if approved:
                rig.findings.append(f"approved while halted: {approved} requests after the halt was acknowledged")

    return body


async def _approved_while_halted(rig: Rig) -> int:
    async with await psycopg.AsyncConnection.connect(rig.url, autocommit=True) as connection:
        await connection.execute("UPDATE control SET is_halted = true WHERE scope = 'house'")
        try:
            before = await (await connection.execute(_APPROVALS)).fetchone()
            await rig.history.refusals(16)
            after = await (await connection.execute(_APPROVALS)).fetchone()
        finally:
            await connection.execute("UPDATE control SET is_halted = false WHERE scope = 'house'")
    return after[0] - before[0]
