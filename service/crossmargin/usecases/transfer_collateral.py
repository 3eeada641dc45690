"""Move collateral between a core account and an isolated one of the same client, if the account that gives can spare it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.account import Account
from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.book import Transfer, append_to_chain, check_can_be_moved, entries_from_transfer
from crossmargin.domain.errors import DomainError, Reason
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
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.read_unsettled import Unsettled
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.release_collateral import CollateralRelease, weigh_release


@dataclass(frozen=True, slots=True)
class Transferred:
    """Where the transfer is in the ledgers of both accounts; 0 for one that was only tried. `excess_after` is that of the source."""

    source_sequence: int
    destination_sequence: int
    excess_after: Decimal
    replayed: bool


@dataclass(frozen=True, slots=True)
class TransferCollateral:
    """Decides on a transfer under the locks of both accounts, and books it in both ledgers with the decision."""

    decide_on_market: DecideOnMarket
    books: BookReader
    instruments: InstrumentReader
    compute: ComputePool

    async def __call__(self, transfer: Transfer, *, caller: Caller) -> Transferred:
        """Return the booked transfer.

        Raises:
            DomainError: INVALID_TRANSFER unless one account is the other's isolated bucket; the rest as of a withdrawal from the source,
                and LIMIT_EXCEEDED of the destination too.
        """
        instrument = await self._check(transfer)
        seen = await Unsettled.of(self.books, transfer.source)

        async def decide(books: Books, view: MarketView) -> Decision:
            source, destination = (books.states[ref].head.check_open() for ref in (transfer.source, transfer.destination))
            leaves, arrives = entries_from_transfer(transfer, instrument, effective_at=books.now)
            unsettled = await seen.as_of(source.sequence, self.books)
            release = await self.compute.run(lambda: _weigh(books, view, transfer, instrument, unsettled))
            if release.refusal is not None:
                return Decision(encode_refusal(release.refusal))
            entries = (*append_to_chain(source, (leaves,)), *append_to_chain(destination, (arrives,)))
            sequences = [entry.sequence for entry in entries]
            return Decision(encode_outcome({"sequences": sequences, "excess_after": str(release.after.excess)}), entries)

        accounts = (transfer.source, transfer.destination)
        outcome = await self.decide_on_market(caller.write_request("Transfer", [repr(transfer)], accounts, is_fact=False), decide)
        document = outcome_or_refusal(outcome.response)
        source_sequence, destination_sequence = document["sequences"]
        return Transferred(source_sequence, destination_sequence, Decimal(document["excess_after"]), outcome.replayed)

    async def validate(self, transfer: Transfer) -> Transferred:
        """Return what a transfer would leave its source, or raise as it would be refused now. Writes nothing and binds no key."""
        instrument = await self._check(transfer)
        books = await self.books.read_books(transfer.source, transfer.destination)
        entries_from_transfer(transfer, instrument, effective_at=books.now)
        for ref in (transfer.source, transfer.destination):
            books.states[ref].head.check_open()
        unsettled = await Unsettled.of(self.books, transfer.source)
        view = await self.decide_on_market.current_market()
        release = await self.compute.run(lambda: _weigh(books, view, transfer, instrument, unsettled))
        if release.refusal is not None:
            raise release.refusal
        return Transferred(0, 0, release.after.excess, replayed=False)

    async def _check(self, transfer: Transfer) -> Instrument:
        source, destination = await self.books.get_account(transfer.source), await self.books.get_account(transfer.destination)
        if not (_is_bucket_of(source, destination) or _is_bucket_of(destination, source)):
            raise DomainError(
                Reason.INVALID_TRANSFER,
                f"{source.ref} and {destination.ref} are not a core account and an isolated one that was split off from it",
                **{"from": source.ref, "to": destination.ref},
            )
        known = await known_instruments(self.instruments, [transfer.instrument_id])
        return check_can_be_moved(known[transfer.instrument_id], "transferred")


def _is_bucket_of(bucket: Account, core: Account) -> bool:
    return bucket.ref.client_id == core.ref.client_id and bucket.parent == core.ref.account_id


def _weigh(books: Books, view: MarketView, transfer: Transfer, instrument: Instrument, unsettled: Unsettled) -> CollateralRelease:
    if books.halts:
        return CollateralRelease(halted(books.halts[0]), MarginNeed.none())
    blocks = fill_blocks(books.reservations[transfer.source])
    state = books.states[transfer.source]
    owed = unsettled[transfer.instrument_id]
    release = weigh_release(view, state, blocks, instrument, transfer.quantity, owed, book_id=transfer.book_id)
    if release.refusal is not None:
        return release
    leaving = Position(transfer.book_id, transfer.instrument_id, EXACT.minus(transfer.quantity))
    arriving = Position(transfer.book_id, transfer.instrument_id, transfer.quantity)
    changes = {transfer.source: (leaving,), transfer.destination: (arriving,)}
    return CollateralRelease(exposure_refusal(books, view.market, changes), release.after)
