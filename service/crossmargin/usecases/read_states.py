"""Read a whole house, packed, some accounts at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import BookReader, PackedState
from crossmargin.usecases.storage_errors import unknown_account

STATES_AT_ONCE: Final = 64
"""Read in one question: some 900 kB when all is new. The more the better where nothing has moved; a turn at the database ends in 2.5 s."""

_QUESTIONS_AT_ONCE: Final = 2
"""More would take connections away from calls, and there is no third one who works."""


@dataclass(frozen=True, slots=True)
class ReadStates:
    """Accounts as they were read, in the order in which they were asked for; and why others could not be."""

    states: dict[AccountRef, PackedState] = field(default_factory=dict)
    failed: dict[AccountRef, Reason] = field(default_factory=dict)

    def add(self, other: ReadStates) -> None:
        """Take in accounts that were read after these."""
        self.states.update(other.states)
        self.failed.update(other.failed)


async def read_states(books: BookReader, accounts: Iterable[AccountRef]) -> ReadStates:
    """Return accounts, each as of an entry of its own; when some cannot be read together, one by one, so that only what is wrong fails.

    While an answer is taken apart the storage works on the next one.
    """
    names, found = list(accounts), ReadStates()
    parts = [names[start : start + STATES_AT_ONCE] for start in range(0, len(names), STATES_AT_ONCE)]
    asked: deque[asyncio.Task[ReadStates]] = deque()
    try:
        for part in parts:
            asked.append(asyncio.create_task(_read_some(books, part)))
            if len(asked) == _QUESTIONS_AT_ONCE:
                found.add(await asked.popleft())
        while asked:
            found.add(await asked.popleft())
    finally:
        for question in asked:
            question.cancel()
    return found


async def _read_some(books: BookReader, names: Sequence[AccountRef]) -> ReadStates:
    found = ReadStates()
    try:
        together = {state.account.ref: state for state in await books.packed_states(names)}
    except DomainError:
        together = {}
    for name in names:
        try:
            found.states[name] = together.get(name) or await _read_one(books, name)
        except DomainError as error:
            found.failed[name] = error.reason
    return found


async def _read_one(books: BookReader, name: AccountRef) -> PackedState:
    for state in await books.packed_states([name]):
        return state
    raise unknown_account(name)
