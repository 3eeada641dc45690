"""Reads of clients, accounts, positions and entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.adapters.memory.ledger import MemoryLedgerReader
from crossmargin.adapters.memory.market import market_version_of
from crossmargin.domain.account import GENESIS_HASH, Account, AccountStatus, Client
from crossmargin.domain.book import Entry, EntryKind, Posting, methodology_from_reference, policy_from_reference
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt, scope_of
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.money import exact_sum
from crossmargin.domain.packed_positions import packed
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Reservation, ReservationStatus, status_at
from crossmargin.usecases.ports.books import AccountState, Books, PackedState
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.writing import WriteRequest
from crossmargin.usecases.storage_errors import sequence_not_reached, unknown_account, unknown_client


class MemoryBookReader(MemoryLedgerReader):
    """See `BookReader`."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._database = database

    async def get_client(self, client_id: ClientId) -> Client:
        """Return a client; UNKNOWN_CLIENT if there is none."""
        if client_id not in self._contents.clients:
            raise unknown_client(client_id)
        return self._contents.clients[client_id]

    async def list_clients(self, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Client]:
        """Return the clients inside a scope, in the order of their ids."""
        names = sorted(name for name in self._contents.clients if name > (page.after or "") and scope.covers(name))
        return [self._contents.clients[name] for name in names[: page.size]]

    async def get_account(self, ref: AccountRef) -> Account:
        """Return an account; UNKNOWN_ACCOUNT if there is none."""
        if ref not in self._contents.accounts:
            raise unknown_account(ref)
        return self._contents.accounts[ref]

    async def list_accounts(self, client_id: ClientId | None, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Account]:
        """Return accounts of a client, or of all inside a scope, in the order of their full names; `page.after` is a full name."""
        after = AccountRef.parse(page.after) if page.after is not None else None
        inside = [ref for ref in self._contents.accounts if client_id in {None, ref.client_id} and scope.covers(ref.client_id)]
        names = sorted(ref for ref in inside if after is None or ref > after)
        return [self._contents.accounts[ref] for ref in names[: page.size]]

    async def account_state(self, ref: AccountRef) -> AccountState:
        """Return what an account holds, consistent with one ledger sequence; UNKNOWN_ACCOUNT if there is none."""
        return _state_of(self._contents, ref)

    async def account_states(self, refs: Sequence[AccountRef]) -> Sequence[AccountState]:
        """Return what accounts hold as `account_state` does; unknown ones are left out."""
        return [_state_of(self._contents, ref) for ref in sorted(set(refs)) if ref in self._contents.accounts]

    async def packed_states(self, refs: Sequence[AccountRef]) -> Sequence[PackedState]:
        """Return the same packed."""
        return [
            PackedState(state.account, state.head, packed(state.positions), state.policies) for state in await self.account_states(refs)
        ]

    async def account_state_at(self, ref: AccountRef, sequence: int) -> AccountState:
        """Return what an account held as of one of its entries; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED."""
        account, head = await self.get_account(ref), self._contents.heads[ref]
        if head.sequence < sequence:
            raise sequence_not_reached(ref, sequence=head.sequence, wanted=sequence)
        entries = [self._contents.entries[ref, number] for number in range(1, sequence + 1)]
        return AccountState(
            account=replace(account, methodology=_methodology(entries)),
            head=replace(head, sequence=sequence, chain_hash=entries[-1].chain_hash if entries else GENESIS_HASH),
            positions=positions_of(ref, entries),
            policies=_policies(ref, entries),
        )

    async def read_books(self, *refs: AccountRef) -> Books:
        """Return what a decision on accounts would be made on now; UNKNOWN_ACCOUNT."""
        books = books_of(self._database, WriteRequest("", "", "", b"", refs, is_fact=False))
        return replace(books, house_view_id=next(reversed(self._database.house_views), None))

    async def list_reservations(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Reservation]:
        """Return reservations of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        await self.get_account(ref)
        held = sorted(number for account, number in self._contents.reservations if account == ref and number > after_sequence)
        return [_as_of_now(self._contents.reservations[ref, number], self._database.now()) for number in held[:limit]]

    async def overdue_reservations(self, *, limit: int) -> Sequence[Reservation]:
        """Return immediate ones whose time is over and whose end is not in the ledger yet."""
        now = self._database.now()
        still_open = [_as_of_now(one, now) for one in self._contents.reservations.values() if one.status.counts]
        return sorted((one for one in still_open if not one.status.counts), key=lambda one: one.expires_at)[:limit]

    async def count_open_reservations(self) -> Mapping[ReservationStatus, int]:
        """Return how many reservations are active, and how many suspect."""
        now = self._database.now()
        statuses = [_as_of_now(one, now).status for one in self._contents.reservations.values()]
        return {status: statuses.count(status) for status in ReservationStatus if status.counts}

    async def halts_in_force(self) -> Sequence[Halt]:
        """Return the halts of now."""
        in_force = [halt for halt in self._contents.halts.values() if halt.is_halted]
        return sorted(in_force, key=lambda halt: halt.client_id or "")

    async def get_halt(self, client_id: ClientId | None) -> Halt:
        """Return whether a client, or the house, is halted."""
        return self._contents.halts.get(scope_of(client_id)) or Halt(client_id, is_halted=False)

    async def get_limits(self, client_id: ClientId, account_id: AccountId | None) -> ExposureLimits:
        """Return the limits of an account, or of a client."""
        return self._contents.limits.get((client_id, account_id)) or ExposureLimits(client_id, account_id)

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account."""
        return {ref: head.sequence for ref, head in self._contents.heads.items() if head.status is AccountStatus.OPEN}


def books_of(database: MemoryDatabase, request: WriteRequest) -> Books:
    """Return what a decision on the accounts of a request is made on; UNKNOWN_ACCOUNT for one that is not there."""
    contents, now = database.contents, database.now()
    states = {ref: _state_of(contents, ref) for ref in request.accounts}
    clients = {ref.client_id for ref in states}
    limits = tuple(
        one
        for (client_id, account_id), one in sorted(contents.limits.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        if client_id in clients and (account_id is None or AccountRef(client_id, account_id) in states)
    )
    shared = {one.client_id for one in limits if one.account_id is None}
    states |= {ref: _state_of(contents, ref) for ref in contents.accounts if ref.client_id in shared}
    if request.is_fact and not limits:
        # As PostgreSQL does: what a fact is decided on has no positions, unless they are held against limits.
        states = {ref: replace(state, positions=()) for ref, state in states.items()}
    return Books(
        states={ref: states[ref] for ref in sorted(states)},
        reservations={ref: _reservations(contents, ref, request.reservations, now) for ref in states},
        limits=limits,
        halts=() if request.is_fact else halts_of(contents, clients),
        now=now,
        market_version=market_version_of(database),
    )


def halts_of(contents: Contents, clients: Iterable[ClientId]) -> tuple[Halt, ...]:
    """Return the switches that are on: that of the house first, then those of the clients."""
    switches = [contents.halts.get(scope_of(client_id)) for client_id in (None, *sorted(clients))]
    return tuple(switch for switch in switches if switch is not None and switch.is_halted)


def _state_of(contents: Contents, ref: AccountRef) -> AccountState:
    if ref not in contents.accounts:
        raise unknown_account(ref)
    held = contents.positions.get(ref, {})
    return AccountState(
        account=contents.accounts[ref],
        head=contents.heads[ref],
        positions=tuple(held[name] for name in sorted(held) if held[name].quantity or held[name].cost),
        policies=contents.policies.get(ref, {}),
    )


def _reservations(contents: Contents, ref: AccountRef, named: Sequence[int], now: datetime) -> tuple[Reservation, ...]:
    held = [one for (account, _), one in sorted(contents.reservations.items()) if account == ref]
    return tuple(_as_of_now(one, now) for one in held if one.status.counts or one.sequence in named)


def _as_of_now(one: Reservation, now: datetime) -> Reservation:
    return replace(one, status=status_at(one.status, one.order.kind, one.expires_at, now))


def positions_of(ref: AccountRef, entries: Sequence[Entry]) -> tuple[Position, ...]:
    """Return what the own legs of entries add up to; what adds up to nothing is left out."""
    legs: defaultdict[tuple[BookId, InstrumentId], list[Posting]] = defaultdict(list)
    for entry in entries:
        for leg in entry.entry.postings:
            if leg.ledger_account == ref.account_id:
                legs[leg.book_id, leg.instrument_id].append(leg)
    held = [
        Position(*name, exact_sum(leg.quantity for leg in own), exact_sum(leg.cost for leg in own)) for name, own in sorted(legs.items())
    ]
    return tuple(position for position in held if position.quantity or position.cost)


def _policies(ref: AccountRef, entries: Sequence[Entry]) -> Mapping[InstrumentId, CollateralPolicy]:
    kept = [entry.entry.reference for entry in entries if entry.entry.kind is EntryKind.COLLATERAL_POLICY]
    chosen = [policy_from_reference(ref, reference) for reference in kept]
    return {policy.instrument_id: policy.policy for policy in chosen}


def _methodology(entries: Sequence[Entry]) -> Methodology:
    chosen = [entry.entry.reference for entry in entries if entry.entry.kind is EntryKind.METHODOLOGY]
    return methodology_from_reference(chosen[-1]) if chosen else Methodology.EXPECTED_SHORTFALL
