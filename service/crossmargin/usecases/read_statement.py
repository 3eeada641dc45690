"""Read what an account held at the beginning and at the end of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import AccountState, BookReader
from crossmargin.usecases.ports.runtime import Clock


@dataclass(frozen=True, slots=True)
class DayOfAccount:
    """An account as of the last entry before a day and as of the last one in it. The entries between are the day's.

    A day is that of the storage's clock when an entry was written, UTC: what is booked late is on the statement of the day on which it
    was booked, and a statement that is final never changes.

    Attributes:
        is_final: False while the day is not over.
    """

    opening: AccountState
    closing: AccountState
    is_final: bool


@dataclass(frozen=True, slots=True)
class ReadStatement:
    """Finds the entries of a day by when they were written, and adds up the books on both sides of them."""

    books: BookReader
    clock: Clock

    async def __call__(self, account: AccountRef, day: date) -> DayOfAccount:
        """Return the account at both ends of the day; UNKNOWN_ACCOUNT, or INVALID_ARGUMENT for a day that has not begun."""
        start = datetime.combine(day, time(), UTC)
        end = start + timedelta(days=1)
        now = self.clock.now()
        if start > now:
            expected = f"a day that has begun, up to {now.astimezone(UTC).date()}"
            raise DomainError(Reason.INVALID_ARGUMENT, f"date was {day}; expected {expected}", field="date", value=day, expected=expected)
        first = await self.books.sequence_recorded_before(account, start)
        last = await self.books.sequence_recorded_before(account, end)
        return DayOfAccount(
            opening=await self.books.account_state_at(account, first),
            closing=await self.books.account_state_at(account, last),
            is_final=end <= now,
        )
