"""Exchange with the street what was traded for a settle date that has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

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

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Settled:
    """The trades of one account that were settled, by the sequences of their entries."""

    account: AccountRef
    trades: tuple[int, ...]
    as_of_sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class SettleTrades:
    """Settles what is due, account by account, each in a transaction of its own; a run that breaks is run again.

    A client's positions are on trade date, so they do not change: what the street owed, or was owed, is now with the custodian.
    """

    writer: Writer
    books: BookReader
    clock: Clock

    async def __call__(self, settle_date: date, account: AccountRef | None, *, caller: Caller) -> AsyncIterator[Settled]:
        """Yield what was settled of the trades due by `settle_date`, for each account that had any.

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
            yield await self._settle(settle_date, account, caller)
            return
        after: str | None = None
        while page := await self.books.list_accounts(None, Page(_PAGE_SIZE, after)):
            for one in page:
                settled = await self._settle(settle_date, one.ref, caller)
                if settled.trades:
                    yield settled
            after = str(page[-1].ref)

    async def _settle(self, settle_date: date, account: AccountRef, caller: Caller) -> Settled:
        seen_at = await self.books.account_sequence(account)
        seen = await self.books.unsettled_trades(account, settle_date=settle_date)
        if not seen:
            return Settled(account, (), seen_at, replayed=False)

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            head = heads[account]
            due = seen if head.sequence == seen_at else await self.books.unsettled_trades(account, settle_date=settle_date)
            chained = append_to_chain(head, tuple([await self._entry(trade) for trade in due]))
            response = " ".join(str(number) for number in (head.sequence + len(due), *(trade.sequence for trade in due)))
            return Decision(response.encode(), entries=chained)

        # The key says what is settled, so that a second run on the same day, after more was traded, is another request.
        own = Caller(caller.principal, f"{caller.request_id} {account} {seen[-1].sequence}")
        outcome = await self.writer.write(own.write_request("SettleTrades", [settle_date.isoformat()], (account,)), decide)
        last, *trades = map(int, outcome.response.split())
        return Settled(account, tuple(trades), last, outcome.replayed)

    async def _entry(self, trade: Entry) -> NewEntry:
        name = settlement_event(trade.sequence)
        before = await self.books.event_entries(trade.entry.account, name)
        settle_date = trade.entry.details.settle_date
        if settle_date is None:
            raise TypeError(f"entry {trade.sequence} of {trade.entry.account} has no settle date")
        moment = datetime.combine(settle_date, time(), UTC)
        return entry_from_settlement(trade, event=application_name(name, len(before)), effective_at=moment)
