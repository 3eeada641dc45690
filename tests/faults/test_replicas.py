"""Replicas are known for what they are, also when whoever started or killed one was stopped half-way."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

import pytest

from tests.faults.replicas import Replica


async def half_way(work, *, after_s):
    """Begin something, and stop whoever began it."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=after_s)
    assert not task.done(), "it was done before it was stopped"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def is_alive(admin_address):
    with urlopen(f"http://{admin_address}/livez") as answer:
        return answer.read() == b"ok\n"


@pytest.fixture
async def replica(database_url, tmp_path):
    one = Replica("replica-1", tmp_path, database_url, flags=("--no-monitor",))
    await one.start()
    yield one
    await one.kill()


async def test_one_that_is_coming_up_is_waited_for_and_found_where_it_is(replica):
    before = replica.admin_address
    await replica.kill()
    await half_way(replica.start(), after_s=0.05)
    assert (replica.is_running, replica.serves) == (True, False)
    process = replica.process
    await replica.start()
    assert replica.process is process
    assert replica.admin_address != before
    assert await asyncio.to_thread(is_alive, replica.admin_address)


async def test_one_that_is_being_killed_does_not_end_by_itself(replica):
    await half_way(replica.kill(), after_s=0)
    assert not replica.serves
    assert (replica.note_own_death(), replica.own_deaths) == (False, [])
    await replica.start()
    assert replica.serves
    replica.process.kill()
    replica.process.wait()
    assert (replica.note_own_death(), replica.own_deaths) == (True, [-9])
