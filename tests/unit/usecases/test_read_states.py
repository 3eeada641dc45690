"""A house is read some accounts at a time, the next ones being asked for meanwhile, and comes in the order it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import PackedState
from crossmargin.usecases.read_states import STATES_AT_ONCE, read_states
from tests.unit.usecases.house_states import a_state

MANY = [a_state(f"c{place:04}", "core", {"USD": place + 1}) for place in range(3 * STATES_AT_ONCE + 5)]
NAMES = [state.account.ref for state in MANY]


class Books:
    """Answers after so many turns of the loop, the later questions first, and counts how many are open at once."""

    def __init__(self, *, turns: Sequence[int] = (9, 8, 7, 6), broken: AccountRef | None = None, error: Exception | None = None) -> None:
        self.turns = turns
        self.states = {state.account.ref: state for state in MANY}
        self.broken, self.error = broken, error
        self.open = self.most_open = self.asked = self.given_up = 0

    async def packed_states(self, refs: Sequence[AccountRef]) -> Sequence[PackedState]:
        self.asked += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            for _ in range(self.turns[self.asked - 1] if self.asked <= len(self.turns) else 1):
                await asyncio.sleep(0)
            if self.broken in refs and self.error is not None:
                raise self.error
            return [self.states[ref] for ref in sorted(refs) if ref in self.states]
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self.open -= 1


async def test_accounts_come_in_the_order_asked_for_and_two_questions_are_open_at_once():
    books = Books()
    found = await read_states(books, reversed(NAMES))
    assert list(found.states) == NAMES[::-1]
    assert found.failed == {}
    assert (books.asked, books.most_open) == (4, 2)


async def test_an_account_that_cannot_be_read_fails_alone():
    broken = NAMES[STATES_AT_ONCE + 3]
    books = Books(broken=broken, error=DomainError(Reason.UNKNOWN_ACCOUNT, "gone"))
    found = await read_states(books, NAMES)
    assert found.failed == {broken: Reason.UNKNOWN_ACCOUNT}
    assert list(found.states) == [name for name in NAMES if name != broken]


async def test_what_is_nobodys_mistake_ends_it_as_it_is_and_gives_up_what_was_asked_for():
    books = Books(turns=(2, 1_000), broken=NAMES[0], error=ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        await read_states(books, NAMES)
    await asyncio.sleep(0)
    assert (books.open, books.asked, books.given_up) == (0, 2, 1)


async def test_nobody_to_read_asks_nothing():
    books = Books()
    assert (await read_states(books, [])).states == {}
    assert books.asked == 0
