"""Let collateral leave for the client's custodian, if the account can spare it, and with a second person where it is much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.book import Withdrawal, append_to_chain, check_can_be_moved, entry_from_withdrawal
from crossmargin.domain.errors import DomainError
from crossmargin.domain.halt import halted
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import fill_blocks
from crossmargin.engine.exposure_usage import market_value_of
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.check_limits import exposure_refusal
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.read_unsettled import Unsettled
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.release_collateral import CollateralRelease, weigh_release
from crossmargin.usecases.two_persons import TwoPersons, await_second_person

_ACCOUNTS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Where the withdrawal is in the account's ledger; 0 for one that was only tried. `excess_after` counts open orders at worst.

    Attributes:
        needs_second_person: Of one that was only tried: whether one person alone may not.
    """

    sequence: int
    excess_after: Decimal
    replayed: bool
    needs_second_person: bool = False


@dataclass(frozen=True, slots=True)
class WithdrawCollateral:
    """Decides on a withdrawal under the lock of its account, and books it with the decision.

    Attributes:
        alone_limit: Market value in base currency up to which one person alone may withdraw; above it a second one has to. Both times it
            is decided whether it may leave: what could be spared when the first one asked may not be any more when the second does.
        alone_window: What one person alone withdrew for a client counts together for so long, from whichever of its accounts, at what it
            is worth now, so that much cannot leave in parts; zero for each withdrawal by itself.
    """

    decide_on_market: DecideOnMarket
    books: BookReader
    instruments: InstrumentReader
    compute: ComputePool
    two_persons: TwoPersons
    alone_limit: Decimal
    alone_window: timedelta

    async def __call__(self, withdrawal: Withdrawal, *, caller: Caller) -> Withdrawn | PendingRequest:
        """Return the booked withdrawal, or what awaits a second person.

        Raises:
            DomainError: HALTED, INSUFFICIENT_HOLDING, INSUFFICIENT_MARGIN or LIMIT_EXCEEDED when it was refused, now or under the same
                key before; the two in the middle say the largest quantity that would have been allowed. Also UNKNOWN_ACCOUNT,
                UNKNOWN_INSTRUMENT, ACCOUNT_CLOSED, what `entry_from_withdrawal` refuses, the reason why an instrument that is held cannot
                be valued, for a second person what `TwoPersons.confirmation` raises, and whatever the write path refuses: those are not
                bound to the key.
        """
        instrument = await self._instrument(withdrawal)
        asked = Asked("Withdraw", withdrawal.words, withdrawal.account.client_id)
        seen = await Unsettled.of(self.books, withdrawal.account)

        async def decide(books: Books, view: MarketView) -> Decision:
            head = books.states[withdrawal.account].head.check_open()
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            persons = None if confirmation is None else confirmation.persons
            entry = entry_from_withdrawal(withdrawal, instrument, effective_at=books.now, persons=persons)
            unsettled = await seen.as_of(head.sequence, self.books)
            release = await self.compute.run(lambda: _weigh(books, view, withdrawal, instrument, unsettled))
            if release.refusal is not None:
                return Decision(encode_refusal(release.refusal))
            if confirmation is None and await self._needs_second_person(withdrawal, view, books.now):
                return await_second_person(asked, caller=caller)
            entries = append_to_chain(head, (entry,))
            response = encode_outcome({"sequence": entries[-1].sequence, "excess_after": str(release.after.excess)})
            return Decision(response, entries, records=() if confirmation is None else (confirmation.end,))

        accounts = await self._counted_together(withdrawal.account)
        request = caller.write_request("Withdraw", [repr(withdrawal)], accounts, is_fact=False)
        outcome = await self.decide_on_market(request, decide)
        awaited = await self.two_persons.awaited(outcome)
        if awaited is not None:
            return awaited
        document = outcome_or_refusal(outcome.response)
        return Withdrawn(document["sequence"], Decimal(document["excess_after"]), outcome.replayed)

    async def validate(self, withdrawal: Withdrawal) -> Withdrawn:
        """Return what a withdrawal would leave, or raise as it would be refused now. Writes nothing and binds no key."""
        instrument = await self._instrument(withdrawal)
        entry_from_withdrawal(withdrawal, instrument, effective_at=(books := await self.books.read_books(withdrawal.account)).now)
        books.states[withdrawal.account].head.check_open()
        view = await self.decide_on_market.current_market()
        unsettled = await Unsettled.of(self.books, withdrawal.account)
        release = await self.compute.run(lambda: _weigh(books, view, withdrawal, instrument, unsettled))
        if release.refusal is not None:
            raise release.refusal
        needs_second_person = await self._needs_second_person(withdrawal, view, books.now)
        return Withdrawn(0, release.after.excess, replayed=False, needs_second_person=needs_second_person)

    async def _needs_second_person(self, withdrawal: Withdrawal, view: MarketView, now: datetime) -> bool:
        value = market_value_of(Position(withdrawal.book_id, withdrawal.instrument_id, withdrawal.quantity), view.market)
        if value > self.alone_limit or not self.alone_window:
            return value > self.alone_limit
        left = await self.books.withdrawn_alone(withdrawal.account.client_id, since=now - self.alone_window)
        try:
            before = [market_value_of(Position(withdrawal.book_id, *each), view.market) for each in left.items()]
        except DomainError:
            return True  # what has left and cannot be valued any more may have been anything
        return exact_sum([value, *before]) > self.alone_limit

    async def _counted_together(self, account: AccountRef) -> tuple[AccountRef, ...]:
        """Return the accounts that nothing else may leave meanwhile, so that two withdrawals at one moment count together as well."""
        found, page = {account}, Page(_ACCOUNTS_AT_ONCE)
        while self.alone_window:
            some = await self.books.list_accounts(account.client_id, page)
            found.update(one.ref for one in some)
            if len(some) < page.size:
                break
            page = Page(_ACCOUNTS_AT_ONCE, str(some[-1].ref))
        return tuple(sorted(found))

    async def _instrument(self, withdrawal: Withdrawal) -> Instrument:
        known = await known_instruments(self.instruments, [withdrawal.instrument_id])
        return check_can_be_moved(known[withdrawal.instrument_id], "withdrawn")


def _weigh(books: Books, view: MarketView, withdrawal: Withdrawal, instrument: Instrument, unsettled: Unsettled) -> CollateralRelease:
    account = withdrawal.account
    if books.halts:
        return CollateralRelease(halted(books.halts[0]), MarginNeed.none())
    blocks = fill_blocks(books.reservations[account])
    owed = unsettled[withdrawal.instrument_id]
    release = weigh_release(view, books.states[account], blocks, instrument, withdrawal.quantity, owed, book_id=withdrawal.book_id)
    if release.refusal is not None:
        return release
    leaving = Position(withdrawal.book_id, withdrawal.instrument_id, EXACT.minus(withdrawal.quantity))
    return CollateralRelease(exposure_refusal(books, view.market, {account: (leaving,)}), release.after)
