"""A replica is ready while what it stands on answers and fits, and never again once it was told to stop."""

from __future__ import annotations

import asyncio

import pytest

from crossmargin.adapters.runtime import readiness as module
from crossmargin.adapters.runtime.readiness import Readiness
from crossmargin.domain.errors import DomainError, Reason


class NotFitError(Exception):
    """What an adapter says of a database that this release cannot work on."""


class Database:
    """Answers as it is told to, one question after the other."""

    def __init__(self):
        self.trouble = None
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self):
        self.asked.set()
        await self.may_answer.wait()
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def database():
    return Database()


@pytest.fixture
async def watched(database, monkeypatch):
    """A watched readiness, what it has told, and a wait for the next answer."""
    monkeypatch.setattr(module, "INTERVAL_S", 0)
    told, heard = [], asyncio.Event()

    def tell(serving):
        told.append(serving)
        heard.set()

    readiness = Readiness(database, tell, refusals=(NotFitError,))
    watching = asyncio.create_task(readiness.watch())

    async def next_answer():
        # The answer to a question that is asked after now.
        for _ in range(2):
            heard.clear()
            await asyncio.wait_for(heard.wait(), timeout=5)
        return readiness.why_not

    yield readiness, told, next_answer
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_before_the_first_answer_it_is_starting(database):
    assert Readiness(database, lambda _: None).why_not == "starting"


async def test_it_follows_what_the_database_says(watched, database):
    _, told, next_answer = watched
    assert await next_answer() is None
    assert told[-1] is True
    database.trouble = DomainError(Reason.STORAGE_UNAVAILABLE, "the database does not answer")
    assert await next_answer() == "the database does not answer"
    assert told[-1] is False
    database.trouble = NotFitError("the schema needs a later release")
    assert await next_answer() == "the schema needs a later release"
    assert told[-1] is False
    database.trouble = None
    assert await next_answer() is None
    assert told[-1] is True


async def test_an_answer_that_comes_after_it_was_told_to_stop_sends_it_no_calls(watched, database):
    readiness, told, next_answer = watched
    assert await next_answer() is None
    database.may_answer.clear()
    database.asked.clear()
    await asyncio.wait_for(database.asked.wait(), timeout=5)
    readiness.stop()
    assert (readiness.why_not, told[-1]) == ("stopping", False)
    database.may_answer.set()
    assert await next_answer() == "stopping"
    assert told[-1] is False


async def test_a_fault_of_our_own_ends_the_watch_instead_of_being_taken_for_a_database_that_is_down(database):
    database.trouble = KeyError("a bug")
    with pytest.raises(KeyError):
        await asyncio.wait_for(Readiness(database, lambda _: None).watch(), timeout=5)
