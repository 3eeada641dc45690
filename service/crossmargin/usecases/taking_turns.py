"""Long loops on the event loop, in which calls get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

Item = TypeVar("Item")
TURN_ITEMS: Final = 100
"""Items after which others have their turn: about a millisecond of what is done to one account."""


async def taking_turns(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield items, and let the event loop go on after every `TURN_ITEMS` of them."""
    for place, item in enumerate(items, 1):
        yield item
        if not place % TURN_ITEMS:
            await asyncio.sleep(0)
