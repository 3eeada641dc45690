"""What takes two persons, done by two: whoever a client acts for asks, and somebody else on the same replica confirms."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client import AsyncClient

_SECOND: Final = "second"


async def set_limits(client: AsyncClient, limits: account_service_pb2.ExposureLimits) -> None:
    """Set limits."""
    asked = await client.set_limits(limits)
    async with _second_person(client) as second:
        await second.set_limits(limits, confirms=asked.pending_request.pending_id)


async def resume(client: AsyncClient, reason: str, *, until_done: Callable[[Callable[[], Awaitable[object]]], Awaitable[object]]) -> None:
    """End the halt of the house, however often each call has to be made until it is answered: always under its own name."""
    asked_as, confirmed_as = str(uuid.uuid4()), str(uuid.uuid4())
    asked = await until_done(lambda: client.resume(reason, request_id=asked_as))
    assert isinstance(asked, account_service_pb2.ResumeResponse)
    async with _second_person(client) as second:
        pending_id = asked.pending_request.pending_id
        await until_done(lambda: second.resume(reason, confirms=pending_id, request_id=confirmed_as))


@asynccontextmanager
async def _second_person(client: AsyncClient) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(client.target, timeout_s=client.timeout_s, principal=_SECOND) as second:
        yield second
