"""The leader of the monitors dies or is held up during a house run: another one leads at once, and the first one writes nothing more."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from datetime import UTC, datetime
from typing import Final

import psycopg

from crossmargin_client import AsyncClient, Busy, DeadlineExceeded, Unavailable, trade
from tests.faults.market import leads
from tests.faults.orders import PERPETUAL
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

TAKEOVER_S: Final = 5.0
_EVERY_S: Final = 0.1
_WAIT_LIMIT_S: Final = 60.0
_LAST_RUN: Final = "SELECT coalesce(max(epoch), 0), coalesce(max(run), 0) FROM house_run"
_CALLED: Final = "SELECT count(DISTINCT (client_id, account_id)) FROM margin_call WHERE closed_at IS NULL"
_ISSUED_AGAIN: Final = """
SELECT count(*), times FROM (
    SELECT count(*) AS times FROM call_notice WHERE kind = 'issued' GROUP BY client_id, account_id
) AS issued WHERE times > 1 GROUP BY times
"""
# The number of a run is given after its lead was looked at, so a later run never belongs to an earlier lead.
_OUT_OF_TURN: Final = """
SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (ORDER BY run) AS highest FROM house_run) AS runs WHERE epoch < highest
"""


async def killed_leader(rig: Rig) -> None:
    """Kill the leader while the market moves and calls are due: at some moment of the run that would issue them."""
    async with MovingMarket(rig) as market:
        leader = await leader_of(rig)
        market.only_through(next(replica for replica in rig.replicas if replica is not leader))
        before = await _last_run(rig)
        await _fall_short(rig, market.client)
        await asyncio.sleep(rig.chance.uniform(0.0, 0.5))
        await leader.kill()
        await _taken_over(rig, before[0], "was killed")
        await _until_called(rig)
    rig.findings.extend(f"{number} calls were issued {times} times" for number, times in await _rows(rig, _ISSUED_AGAIN))


async def held_up_leader(rig: Rig) -> None:
    """Stop the leader's process for as long as it takes another one to lead, and let it go on."""
    async with MovingMarket(rig) as market:
        leader = await leader_of(rig)
        market.only_through(next(replica for replica in rig.replicas if replica is not leader))
        before = await _last_run(rig)
        leader.process.send_signal(signal.SIGSTOP)
        try:
            await _taken_over(rig, before[0], "was held up")
        finally:
            leader.process.send_signal(signal.SIGCONT)
        after = await _last_run(rig)
        # Time for the one that comes back to end the run that it was in, and to be refused.
        await _until(rig, lambda last: last[1] >= after[1] + 5, "no more runs after the leader came back")
    rig.findings.extend(f"{number} runs were stored out of turn" for (number,) in await _rows(rig, _OUT_OF_TURN) if number)


async def _fall_short(rig: Rig, client: AsyncClient) -> None:
    """Let every account with money buy more than it can bear."""
    for account in rig.workload.limited:
        deal = trade(PERPETUAL, 1_000, 50_000, executed_at=datetime.now(UTC))
        await client.record_trades(account, [deal], request_id=f"fall-short-{account}")


async def _until_called(rig: Rig) -> None:
    wanted, deadline = len(rig.workload.limited), time.monotonic() + _WAIT_LIMIT_S
    while (called := (await _rows(rig, _CALLED))[0][0]) < wanted:
        if time.monotonic() > deadline:
            rig.findings.append(f"{called} accounts have a call; expected {wanted}")
            return
        await asyncio.sleep(_EVERY_S)


async def _taken_over(rig: Rig, epoch: int, what: str) -> None:
    began, lag_s = time.monotonic(), rig.lag_s
    await _until(rig, lambda last: last[0] > epoch, f"nobody took over from the leader that {what}")
    took_s = time.monotonic() - began
    rig.remarks.append(f"a run of another leader {took_s:.1f} s after the first one {what}")
    if took_s > TAKEOVER_S + max(rig.lag_s, lag_s):
        rig.findings.append(f"another leader's first run was stored {took_s:.1f} s after the first one {what}; expected {TAKEOVER_S:.0f} s")


async def leader_of(rig: Rig) -> Replica:
    """Return the leader, once it has stored a run."""
    await _until(rig, lambda last: last[1] > 0, "no run was ever stored")
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while time.monotonic() < deadline:
        for replica in rig.replicas:
            if await asyncio.to_thread(leads, replica.admin_address):
                return replica
        await asyncio.sleep(_EVERY_S)
    raise AssertionError("no replica says that it leads")


async def _until(rig: Rig, condition, complaint: str) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while not condition(await _last_run(rig)):
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        await asyncio.sleep(_EVERY_S)


async def _last_run(rig: Rig) -> tuple[int, int]:
    return (await _rows(rig, _LAST_RUN))[0]


async def _rows(rig: Rig, statement: str):
    async with await psycopg.AsyncConnection.connect(rig.url, autocommit=True) as connection:
        return await (await connection.execute(statement)).fetchall()


class MovingMarket:
    """Publishes a snapshot every tenth of a second, so that there always is a house run to be interrupted."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.client = next(iter(rig.clients.values()))
        self._task: asyncio.Task[None] | None = None

    def only_through(self, replica: Replica) -> None:
        self.client = self._rig.clients[replica.name]

    async def __aenter__(self):
        self._task = asyncio.create_task(self._move())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _move(self) -> None:
        for number in itertools.count(1):
            try:
                await self.client.publish_snapshot(datetime.now(UTC), {"spot:BTC": 50_000 + number})
            except (Unavailable, Busy, DeadlineExceeded):
                continue
            finally:
                await asyncio.sleep(_EVERY_S)
