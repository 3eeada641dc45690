"""The leader is killed in the middle of issuing calls, again and again: another one goes on at once, no call is lost or issued twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg

from crossmargin_client import AsyncClient, trade
from tests.faults.injectors import Injector
from tests.faults.leader import TAKEOVER_S, MovingMarket, leader_of
from tests.faults.orders import PERPETUAL
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

EACH: Final = 4
"""Accounts that fall short together before each kill: one more in a minute, and a breaker would pause all calls."""
_LOOK_EVERY_S: Final = 0.002
_WAIT_LIMIT_S: Final = 60.0
_NOW: Final = "SELECT clock_timestamp(), (SELECT epoch FROM monitor_lead)"
_CALLED: Final = "SELECT count(*) FROM margin_call"
_SUCCESSOR: Final = """
SELECT l.led_since, min(r.recorded_at) FROM monitor_lead AS l JOIN house_run AS r USING (epoch)
WHERE l.epoch > %s GROUP BY l.led_since
"""
# By the raw tables alone: who is held to be in margin call, or past the line, and owes an answer to nobody.
_LOST: Final = """
SELECT b.client_id, b.account_id FROM account_band AS b JOIN account AS a USING (client_id, account_id)
WHERE b.band IN ('margin call', 'liquidation') AND a.mode = 'cross' AND NOT EXISTS (
    SELECT FROM margin_call AS c WHERE (c.client_id, c.account_id) = (b.client_id, b.account_id) AND c.closed_at IS NULL
)
"""
_TWICE: Final = """
SELECT client_id, account_id, count(*) FROM call_notice WHERE kind = 'issued' GROUP BY client_id, account_id HAVING count(*) > 1
UNION ALL
SELECT client_id, account_id, count(*) FROM call_notice GROUP BY client_id, account_id, call_number, kind, amount, met, state
HAVING count(*) > 1
"""
_OUT_OF_TURN: Final = """
SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (ORDER BY run) AS highest FROM house_run) AS runs WHERE epoch < highest
"""
_BAND_TWICE: Final = """
SELECT count(*) FROM (
    SELECT band, band_before, lag(band) OVER (PARTITION BY client_id, account_id ORDER BY run) AS earlier FROM margin_history
) AS points WHERE earlier IS NOT NULL AND band_before IS DISTINCT FROM earlier
"""


@dataclass(frozen=True, slots=True)
class Takeover:
    """How long after a kill another one led, and had stored a run; how many calls there were at the kill, of how many."""

    led_s: float
    stored_s: float
    called: int


def leader_kills(count: int) -> Injector:
    """Return an injector that kills the leader so many times: before the first call of its run, and after ever more of them."""

    async def inject(rig: Rig) -> None:
        taken: list[Takeover] = []
        async with MovingMarket(rig) as market, await psycopg.AsyncConnection.connect(rig.url, autocommit=True) as connection:
            for place in range(count):
                rig.stage = f"kill {place + 1} of {count}"
                accounts = rig.workload.limited[place * EACH : (place + 1) * EACH]
                taken.append(await _one(rig, market, connection, accounts, after=place * EACH // count))
        _judge(rig, taken)
        for words, statement in (("a call was lost", _LOST), ("something was issued twice", _TWICE)):
            rig.findings.extend(f"{words}: {row}" for row in await _rows(connection_url=rig.url, statement=statement))
        for words, statement in (("runs were stored out of turn", _OUT_OF_TURN), ("points do not follow from those before", _BAND_TWICE)):
            ((number,),) = await _rows(connection_url=rig.url, statement=statement)
            rig.findings.extend([f"{number} {words}"] if number else [])

    return inject


async def _one(rig: Rig, market: MovingMarket, connection: psycopg.AsyncConnection, accounts: Sequence[str], *, after: int) -> Takeover:
    leader = await leader_of(rig)
    survivor = next(replica for replica in rig.replicas if replica is not leader)
    market.only_through(survivor)
    before = await _called(connection)
    falling = asyncio.create_task(_fall_short(rig.clients[survivor.name], accounts))
    await _until_called(connection, before + after, falling)
    died, epoch = await _now(connection)
    await leader.kill()
    rig.tally.kills += 1
    called = await _called(connection) - before
    await falling
    led, stored = await _successor(connection, epoch)
    await _until_called(connection, before + len(accounts), falling)
    await leader.start()
    await _hand_back(connection, survivor)
    return Takeover((led - died).total_seconds(), (stored - died).total_seconds(), called)


async def _hand_back(connection: psycopg.AsyncConnection, leader: Replica) -> None:
    """Let the other one lead: who begins to lead counts nobody who fell short before, so that no breaker adds up what two kills did."""
    _, epoch = await _now(connection)
    await leader.stop()
    await leader.start()
    await _successor(connection, epoch)


def _judge(rig: Rig, taken: Sequence[Takeover]) -> None:
    stored, led = ([getattr(one, name) for one in taken] for name in ("stored_s", "led_s"))
    called = ", ".join(str(one.called) for one in taken)
    rig.remarks.append(f"of {EACH} calls that were due {called} had been issued when the leader was killed")
    rig.remarks.append(f"another one led {_range(led)} and had stored a run {_range(stored)} after the kill")
    for one in taken:
        if one.stored_s > TAKEOVER_S + rig.lag_s:
            rig.findings.append(f"another leader's first run was stored {one.stored_s:.1f} s after the kill; expected {TAKEOVER_S:.0f} s")


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f} s (median {sorted(values)[len(values) // 2]:.2f} s)"


async def _fall_short(client: AsyncClient, accounts: Sequence[str]) -> None:
    """Let accounts buy more than they can bear, all at once, so that one run finds them together."""

    async def buy(account: str) -> None:
        deal = trade(PERPETUAL, 1_000, 50_000, executed_at=datetime.now(UTC))
        await client.record_trades(account, [deal], request_id=f"fall-short-{account}")

    await asyncio.gather(*map(buy, accounts))


async def _until_called(connection: psycopg.AsyncConnection, wanted: int, falling: asyncio.Task[None]) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while await _called(connection) < wanted:
        if falling.done():
            falling.result()
        if time.monotonic() > deadline:
            raise AssertionError(f"{await _called(connection)} calls were issued; expected {wanted}")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _called(connection: psycopg.AsyncConnection) -> int:
    return (await (await connection.execute(_CALLED)).fetchone())[0]


async def _now(connection: psycopg.AsyncConnection) -> tuple[datetime, int]:
    return await (await connection.execute(_NOW)).fetchone()


async def _successor(connection: psycopg.AsyncConnection, epoch: int) -> tuple[datetime, datetime]:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while (found := await (await connection.execute(_SUCCESSOR, (epoch,))).fetchone()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"nobody stored a run within {_WAIT_LIMIT_S:.0f} s of the kill")
        await asyncio.sleep(_LOOK_EVERY_S)
    return found


async def _rows(*, connection_url: str, statement: str):
    async with await psycopg.AsyncConnection.connect(connection_url, autocommit=True) as connection:
        return await (await connection.execute(statement)).fetchall()
