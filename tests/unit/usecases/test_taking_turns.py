"""A long loop on the event loop lets others go on, and leaves nothing out."""

from __future__ import annotations

import asyncio

from crossmargin.usecases.taking_turns import TURN_ITEMS, taking_turns


async def test_others_have_their_turn_after_every_so_many_items():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    seen = [item async for item in taking_turns(range(3 * TURN_ITEMS + 1))]
    beside.cancel()
    assert seen == list(range(3 * TURN_ITEMS + 1))
    assert turns == 3
