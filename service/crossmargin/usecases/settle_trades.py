"""Exchange with the street what was traded for a settle date that has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import Entry, NewEntry, append_to_chain, entry_from_settlement
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.lifecycle_event import application_name, settlement_event
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer

AT_ONCE: Final = 100
"""Trades that are settled in one transaction: whoever holds an account's lock for seconds is sent away, and has settled nothing."""
_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class Settled:
    """Trades of one account that were settled together, by the sequences of their entries."""

    account: AccountRef
    trades: tuple[int, ...]
    as_of_sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class SettleTrades:
    """Settles what is due, account by account, some trades in a transaction; a run that breaks is run again, and goes on where it was.

    A client's positions are on trade date, so they do not change: what the street owed, or was owed, is now with the custodian.
    """

    writer: Writer
    books: BookReader
    clock: Clock

    async def __call__(self, settle_date: date, account: AccountRef | None, *, caller: Caller) -> AsyncIterator[Settled]:
        """Yield what was settled of the trades due by `settle_date`, in one or more parts for each account that had any.

        The one account that was asked for, if any, is told of also when nothing was due there.

        Raises:
            DomainError: EVENT_NOT_DUE for a day that has not begun; UNKNOWN_ACCOUNT; SERVICE_BUSY or STORAGE_UNAVAILABLE on the way.
        """
        today = self.clock.now().astimezone(UTC).date()
        if settle_date > today:
            raise DomainError(
                Reason.EVENT_NOT_DUE,
                f"settle_date was {settle_date}, and today is {today}; trades are settled when their day has come",
                value=settle_date,
                event="settlement",
            )
        if account is not None:
            await self.books.get_account(account)
            sequence = await self.books.account_sequence(account)
            count = 0
            async for settled in self._settle(settle_date, account, caller):
                count += 1
                yield settled
            if not count:
                yield Settled(account, (), sequence, replayed=False)
            return
        after: str | None = None
        while page := await self.books.list_accounts(None, Page(_PAGE_SIZE, after)):
            for one in page:
                async for settled in self._settle(settle_date, one.ref, caller):
                    yield settled
            after = str(page[-1].ref)

    async def _settle(self, settle_date: date, account: AccountRef, caller: Caller) -> AsyncIterator[Settled]:
        """Yield what was settled of one account, some trades at a time; nothing when nothing was due."""
        before = None
        while (settled := await self._settle_some(settle_date, account, caller)).trades and settled != before:
            yield settled
            if len(settled.trades) < AT_ONCE:
                return
            before = settled  # what was settled under this request id once, and has come back since, is not settled by it again

    async def _settle_some(self, settle_date: date, account: AccountRef, caller: Caller) -> Settled:
        seen_at = await self.books.account_sequence(account)
        seen = await self._due(account, settle_date)
        if not seen:
            return Settled(account, (), seen_at, replayed=False)

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            head = heads[account]
            due = seen if head.sequence == seen_at else await self._due(account, settle_date)
            chained = append_to_chain(head, tuple(due.values()))
            response = " ".join(str(number) for number in (head.sequence + len(due), *due))
            return Decision(response.encode(), entries=chained)

        # The key says what is settled, so that a second run on the same day, after more was traded, is another request.
        own = Caller(caller.principal, f"{caller.request_id} {account} {max(seen)}")
        outcome = await self.writer.write(own.write_request("SettleTrades", [settle_date.isoformat()], (account,)), decide)
        last, *trades = map(int, outcome.response.split())
        return Settled(account, tuple(trades), last, outcome.replayed)

    async def _due(self, account: AccountRef, settle_date: date) -> Mapping[int, NewEntry]:
        """Return the settlements of the oldest trades that are due, by the trades' sequences."""
        trades = await self.books.unsettled_trades(account, settle_date=settle_date, limit=AT_ONCE)
        names = [settlement_event(trade.sequence) for trade in trades]
        counts = await self.books.event_counts(account, names)
        due = zip(trades, names, counts, strict=True)
        return {trade.sequence: _settlement(trade, application_name(name, count)) for trade, name, count in due}


def _settlement(trade: Entry, event: str) -> NewEntry:
    settle_date = trade.entry.details.settle_date
    if settle_date is None:
        raise TypeError(f"entry {trade.sequence} of {trade.entry.account} has no settle date")
    return entry_from_settlement(trade, event=event, effective_at=datetime.combine(settle_date, time(), UTC))
