"""The write path: look the key up, decide, stage, and make it all ours at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

from crossmargin.adapters.memory.books import books_of, halts_of
from crossmargin.adapters.memory.database import Contents, MemoryDatabase, StoredResponse
from crossmargin.adapters.memory.margin_history import check_epoch
from crossmargin.adapters.memory.records import store_record
from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import Entry, Posting
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.money import EXACT, check_ledger_decimal
from crossmargin.domain.position import Position
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import Decide, DecideOnBooks, Decision, UnderLead, WriteOutcome, WriteRequest
from crossmargin.usecases.storage_errors import already_cancelled, halted, request_id_reused, unknown_account

_Positions: TypeAlias = Mapping[tuple[BookId, InstrumentId], Position]


class MemoryWriter:
    """One write at a time; a write that fails leaves nothing, because it only ever touched its own staging."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def write(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        """See `Writer.write`."""
        contents = self._database.contents

        async def decide_on_heads(locked_at: datetime) -> Decision:
            if not request.is_fact and halts_of(contents, {ref.client_id for ref in request.accounts}):
                raise halted()
            return await decide(_heads(contents, request, locked_at))

        return await self._write(request, decide_on_heads)

    async def decide(self, request: WriteRequest, decide: DecideOnBooks) -> WriteOutcome:
        """See `Writer.decide`."""
        return await self._write(request, lambda locked_at: decide(_locked(books_of(self._database, request), locked_at)))

    async def _write(self, request: WriteRequest, decide: Callable[[datetime], Awaitable[Decision]]) -> WriteOutcome:
        async with self._database.lock:
            key = (request.principal, request.method, request.key)
            known = self._database.contents.responses.get(key)
            if known is not None:
                return _replayed(request, known)
            locked_at = datetime.now(UTC)
            decision = await decide(locked_at)
            staged = self._database.contents.staged()
            for record in decision.records:
                if isinstance(record, UnderLead):
                    check_epoch(self._database, record.epoch)
                store_record(staged, record, now=self._database.now())
            for entry in decision.entries:
                _append(staged, entry, locked_at)
            for one in decision.reservations:
                staged.reservations[one.order.account, one.sequence] = one
            staged.responses[key] = StoredResponse(request.request_hash, decision.response)
            self._database.contents.take_over(staged)
            return WriteOutcome(decision.response, replayed=False)


def _replayed(request: WriteRequest, known: StoredResponse) -> WriteOutcome:
    if known.request_hash != request.request_hash:
        raise request_id_reused(request)
    return WriteOutcome(known.response, replayed=True)


def _heads(contents: Contents, request: WriteRequest, locked_at: datetime) -> Mapping[AccountRef, AccountHead]:
    for ref in request.accounts:
        if ref not in contents.heads:
            raise unknown_account(ref)
    return {ref: replace(contents.heads[ref], locked_at=locked_at) for ref in request.accounts}


def _locked(books: Books, locked_at: datetime) -> Books:
    states = {ref: replace(state, head=replace(state.head, locked_at=locked_at)) for ref, state in books.states.items()}
    return replace(books, states=states)


def _append(staged: Contents, numbered: Entry, locked_at: datetime) -> None:
    ref = numbered.entry.account
    head = staged.heads.get(ref)
    if head is None or (numbered.sequence, numbered.previous_hash) != (head.sequence + 1, head.chain_hash):
        raise ValueError(f"entry {numbered.sequence} of {ref} does not continue the chain of its account")
    _check_details(staged, numbered)
    staged.entries[ref, numbered.sequence] = numbered
    staged.recorded[ref, numbered.sequence] = locked_at
    staged.heads[ref] = replace(head, sequence=numbered.sequence, chain_hash=numbered.chain_hash)
    own_legs = [posting for posting in numbered.entry.postings if posting.ledger_account == ref.account_id]
    staged.positions[ref] = _added(staged.positions.get(ref, {}), own_legs)


def _check_details(staged: Contents, numbered: Entry) -> None:
    ref, details = numbered.entry.account, numbered.entry.details
    if details.reverses is not None:
        if (ref, details.reverses) in staged.reversals:
            raise already_cancelled(ref, details.reverses, staged.reversals[ref, details.reverses])
        staged.reversals[ref, details.reverses] = numbered.sequence
    if details.event:
        if (ref, details.event) in staged.events:
            raise ValueError(f"event {details.event} of {ref} was booked before")
        staged.events[ref, details.event] = numbered.sequence


def _added(held: _Positions, legs: list[Posting]) -> _Positions:
    after = dict(held)
    for leg in legs:
        name = (leg.book_id, leg.instrument_id)
        before = after.get(name) or Position(leg.book_id, leg.instrument_id, Decimal(0))
        quantity = check_ledger_decimal(EXACT.add(before.quantity, leg.quantity), what=f"position in {leg.instrument_id}")
        cost = check_ledger_decimal(EXACT.add(before.cost, leg.cost), what=f"cost of {leg.instrument_id}")
        after[name] = Position(leg.book_id, leg.instrument_id, quantity, cost)
    return after
