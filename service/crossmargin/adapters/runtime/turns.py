"""Turns of the event loop, handed out one by one: however many ask at once, the loop serves everybody else between two of them."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets one in with each turn of the loop, in the order in which they came; whoever comes alone does not wait."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False

    async def take(self) -> None:
        """Return in a turn of the loop in which nobody else is let in."""
        loop = asyncio.get_running_loop()
        if self._is_taken:
            mine = loop.create_future()
            self._waiting.append(mine)
            await mine
        else:
            self._is_taken = True
            loop.call_soon(self._pass_on, loop)

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():  # whoever waited has not given up
                first.set_result(None)
                loop.call_soon(self._pass_on, loop)
                return
        self._is_taken = False
