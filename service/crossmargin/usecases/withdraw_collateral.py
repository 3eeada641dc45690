"""Let collateral leave for the client's custodian, if the account can spare it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.book import Withdrawal, append_to_chain, check_can_be_moved, entry_from_withdrawal
from crossmargin.domain.halt import halted
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import EXACT
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import fill_blocks
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.check_limits import exposure_refusal
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports import BookReader, Books, ComputePool, Decision, InstrumentReader
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.release_collateral import CollateralRelease, weigh_release


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Where the withdrawal is in the account's ledger; 0 for one that was only tried. `excess_after` counts open orders at worst."""

    sequence: int
    excess_after: Decimal
    replayed: bool


@dataclass(frozen=True, slots=True)
class WithdrawCollateral:
    """Decides on a withdrawal under the lock of its account, and books it with the decision."""

    decide_on_market: DecideOnMarket
    books: BookReader
    instruments: InstrumentReader
    compute: ComputePool

    async def __call__(self, withdrawal: Withdrawal, *, caller: Caller) -> Withdrawn:
        """Return the booked withdrawal.

        Raises:
            DomainError: HALTED, INSUFFICIENT_HOLDING, INSUFFICIENT_MARGIN or LIMIT_EXCEEDED when it was refused, now or under the same
                key before; the two in the middle say the largest quantity that would have been allowed. Also UNKNOWN_ACCOUNT,
                UNKNOWN_INSTRUMENT, ACCOUNT_CLOSED, what `entry_from_withdrawal` refuses, the reason why an instrument that is held cannot
                be valued, and whatever the write path refuses: those are not bound to the key.
        """
        instrument = await self._instrument(withdrawal)

        async def decide(books: Books, view: MarketView) -> Decision:
            head = books.states[withdrawal.account].head.check_open()
            entry = entry_from_withdrawal(withdrawal, instrument, effective_at=books.now)
            release = await self.compute.run(lambda: _weigh(books, view, withdrawal, instrument))
            if release.refusal is not None:
                return Decision(encode_refusal(release.refusal))
            entries = append_to_chain(head, (entry,))
            response = encode_outcome({"sequence": entries[-1].sequence, "excess_after": str(release.after.excess)})
            return Decision(response, entries)

        request = caller.write_request("Withdraw", [repr(withdrawal)], (withdrawal.account,), is_fact=False)
        outcome = await self.decide_on_market(request, decide)
        document = outcome_or_refusal(outcome.response)
        return Withdrawn(document["sequence"], Decimal(document["excess_after"]), outcome.replayed)

    async def validate(self, withdrawal: Withdrawal) -> Withdrawn:
        """Return what a withdrawal would leave, or raise as it would be refused now. Writes nothing and binds no key."""
        instrument = await self._instrument(withdrawal)
        entry_from_withdrawal(withdrawal, instrument, effective_at=(books := await self.books.read_books(withdrawal.account)).now)
        books.states[withdrawal.account].head.check_open()
        view = await self.decide_on_market.current_market()
        release = await self.compute.run(lambda: _weigh(books, view, withdrawal, instrument))
        if release.refusal is not None:
            raise release.refusal
        return Withdrawn(0, release.after.excess, replayed=False)

    async def _instrument(self, withdrawal: Withdrawal) -> Instrument:
        known = await known_instruments(self.instruments, [withdrawal.instrument_id])
        return check_can_be_moved(known[withdrawal.instrument_id], "withdrawn")


def _weigh(books: Books, view: MarketView, withdrawal: Withdrawal, instrument: Instrument) -> CollateralRelease:
    account = withdrawal.account
    if books.halts:
        return CollateralRelease(halted(books.halts[0]), MarginNeed.none())
    blocks = fill_blocks(books.reservations[account])
    release = weigh_release(view, books.states[account], blocks, instrument, withdrawal.quantity, book_id=withdrawal.book_id)
    if release.refusal is not None:
        return release
    leaving = Position(withdrawal.book_id, withdrawal.instrument_id, EXACT.minus(withdrawal.quantity))
    return CollateralRelease(exposure_refusal(books, view.market, {account: (leaving,)}), release.after)
