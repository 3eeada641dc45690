"""Small work is done one piece after the other, and everything else of the process comes between."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.turns import Turns


@pytest.fixture
def pool():
    pool = ThreadComputePool()
    yield pool
    pool.close()


async def test_who_comes_alone_does_not_wait(pool):
    """Nothing else gets a turn: not even what was ready before."""
    others = []
    for number in range(3):
        asyncio.get_running_loop().call_soon(others.append, number)
        assert await pool.run_small(lambda: len(others)) == number
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_everybody_else_is_served_between_two_pieces(pool):
    """Whatever asks for the loop again and again gets it at least once between two pieces, which are done in order."""
    seen: list[str] = []
    pieces = [asyncio.create_task(pool.run_small(lambda number=number: seen.append(f"piece {number}"))) for number in range(4)]
    while not all(piece.done() for piece in pieces):
        await asyncio.sleep(0)
        seen.append("another")
    done = [place for place, what in enumerate(seen) if what != "another"]
    assert [seen[place] for place in done] == [f"piece {number}" for number in range(4)]
    assert all(later - earlier > 1 for earlier, later in pairwise(done)), seen


async def test_who_gives_up_takes_nobodys_turn():
    turns, taken = Turns(), []

    async def take(name):
        await turns.take()
        taken.append(name)

    first, second, third = (asyncio.create_task(take(name)) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
    second.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(first, third)
    assert taken == ["first", "third"]
    async with asyncio.timeout(10):
        await turns.take()


async def test_what_fails_leaves_the_next_its_turn(pool):
    def fail():
        raise ValueError("no level")

    failed, done = await asyncio.gather(pool.run_small(fail), pool.run_small(lambda: 42), return_exceptions=True)
    assert (type(failed), done) == (ValueError, 42)


async def test_a_closed_pool_does_no_small_work_either():
    pool = ThreadComputePool()
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run_small(lambda: 42)
