"""Answers in the order of what was asked, a bounded number of questions at a time, and nothing left running behind."""

from __future__ import annotations

import asyncio

import pytest

from crossmargin.adapters.grpc_server.conversation import Stopping, in_order
from crossmargin.domain.errors import DomainError, Reason

PATIENCE_S = 20


class Messages:
    """Messages that come when they are sent, and how many have been read."""

    def __init__(self):
        self.read = 0
        self._waiting = asyncio.Queue()

    def send(self, *messages):
        for message in messages:
            self._waiting.put_nowait(message)

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self._waiting.get()
        if message is None:
            raise StopAsyncIteration
        if isinstance(message, Exception):
            raise message
        self.read += 1
        return message


@pytest.fixture
async def stopping():
    return Stopping()


async def settled():
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_is_told_first_however_long_it_takes(stopping):
    messages, first_may_end, ended = Messages(), asyncio.Event(), []

    async def answer(message):
        if message == 1:
            await first_may_end.wait()
        ended.append(message)
        return -message

    messages.send(1, 2, 3, None)
    answers = in_order(messages, answer, stopping)
    waiting = asyncio.create_task(anext(answers))
    await settled()
    assert (ended, waiting.done()) == ([2, 3], False)
    first_may_end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert [await waiting, *[each async for each in answers]] == [-1, -2, -3]


async def test_no_more_are_read_than_are_waiting_for_answers_that_were_taken(stopping):
    messages = Messages()

    async def answer(message):
        return message

    messages.send(*range(10))
    answers = in_order(messages, answer, stopping, most_in_flight=3)
    for taken in range(5):
        assert await anext(answers) == taken
        await settled()
        # The answer that is out has not been written yet as far as anybody knows.
        assert messages.read == taken + 3
    await answers.aclose()


async def test_what_keeps_it_from_reading_ends_it_after_what_was_read(stopping):
    messages = Messages()

    async def answer(message):
        return message

    messages.send(1, 2, ValueError("no more"))
    answers = in_order(messages, answer, stopping)
    assert [await anext(answers), await anext(answers)] == [1, 2]
    with pytest.raises(ValueError, match="no more"):
        await anext(answers)


async def test_when_the_service_stops_what_was_read_is_answered_and_nothing_else_is(stopping):
    messages, may_end = Messages(), asyncio.Event()

    async def answer(message):
        await may_end.wait()
        return message

    messages.send(1, 2)
    answers = in_order(messages, answer, stopping)
    waiting = asyncio.create_task(anext(answers))
    await settled()
    stopping.stop()
    await settled()
    messages.send(3)
    may_end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert [await waiting, await anext(answers)] == [1, 2]
        with pytest.raises(DomainError) as stopped:
            await anext(answers)
    assert stopped.value.reason is Reason.SERVICE_STOPPING


async def test_whoever_hangs_up_leaves_nothing_running(stopping):
    messages, cancelled = Messages(), []

    async def answer(message):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(message)
            raise

    messages.send(1, 2, 3)
    before = asyncio.all_tasks()
    answers = in_order(messages, answer, stopping)
    waiting = asyncio.create_task(anext(answers))
    await settled()
    waiting.cancel()
    await settled()
    await answers.aclose()
    await settled()
    assert sorted(cancelled) == [1, 2, 3]
    assert asyncio.all_tasks() == before
