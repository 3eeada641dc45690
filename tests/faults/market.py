"""A market that moves while everything breaks: a snapshot that was acknowledged is there, and exactly one monitor leads in the end."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import timedelta
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from crossmargin_client import Busy, CrossmarginError, DeadlineExceeded, Unavailable
from tests.faults.injectors import Injector
from tests.faults.rig import Rig
from tests.faults.workload import EXECUTED, TIMEOUT_S

_EVERY_S: Final = 0.2
_READ_BACK_EVERY: Final = 5
_ELECTED_WITHIN_S: Final = 60.0
_LEADER: Final = "crossmargin_monitor_leader"
_MONITORS: Final = """
SELECT a.pid, a.state, a.wait_event, now() - a.state_change, left(a.query, 60), pg_blocking_pids(a.pid),
    EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted)
FROM pg_stat_activity AS a WHERE a.application_name = 'crossmargin monitor' AND a.datname = current_database()
"""


def moving_market() -> Injector:
    """Return an injector that publishes snapshots until it is stopped, and reads acknowledged ones back from another replica."""

    async def inject(rig: Rig) -> None:
        acknowledged: list[str] = []
        for number in itertools.count(1):
            await asyncio.sleep(_EVERY_S)
            began = time.monotonic()
            try:
                acknowledged.append(await _publish(rig, number))
                if number % _READ_BACK_EVERY == 0:
                    await _client(rig).get_snapshot(rig.chance.choice(acknowledged))
            except (Unavailable, Busy, DeadlineExceeded):
                continue
            except CrossmarginError as error:
                rig.findings.append(f"a market that is published and read back: {error}")
                return
            finally:
                rig.history.note_duration("market", time.monotonic() - began, timeout_s=2 * TIMEOUT_S)

    return inject


async def check_one_leader(rig: Rig) -> None:
    """Note a finding unless exactly one replica says soon that its monitor leads."""
    deadline = time.monotonic() + _ELECTED_WITHIN_S
    while (leaders := await asyncio.to_thread(_leaders, rig)) != 1:
        if time.monotonic() > deadline:
            rig.findings.append(
                f"{leaders:.0f} monitors lead {_ELECTED_WITHIN_S:.0f} s after everything was repaired; expected 1. {_who_leads(rig)}"
            )
            return
        await asyncio.sleep(_EVERY_S)


async def _publish(rig: Rig, number: int) -> str:
    return await _client(rig).publish_snapshot(EXECUTED + timedelta(seconds=number), {"spot:BTC": 50_000 + number})


def _client(rig: Rig):
    return rig.clients[rig.chance.choice(sorted(rig.clients))]


def _leaders(rig: Rig) -> float:
    return sum(leads(replica.admin_address) for replica in rig.replicas)


def _who_leads(rig: Rig) -> str:
    """Say what keeps the replicas from electing one: what each says itself, and what the database says of their monitors."""
    said = ", ".join(f"{one.name} {leads(one.admin_address) if one.is_running else 'does not run'}" for one in rig.replicas)
    with psycopg.connect(rig.url) as connection:
        monitors = connection.execute(_MONITORS).fetchall()
        lead = connection.execute("SELECT epoch, now() - led_since FROM monitor_lead").fetchall()
    return f"{said}; sessions of monitors: {monitors or 'none'}; number and age of the lead: {lead}"


def leads(admin_address: str) -> float:
    """Return 1 when the replica of this address says that its monitor leads, 0 otherwise."""
    try:
        with urlopen(f"http://{admin_address}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
    except URLError:
        return 0.0
    return sum(sample.value for family in families for sample in family.samples if sample.name == _LEADER)
