"""Reads of clients, accounts, positions and entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crossmargin.adapters.memory.ledger import MemoryLedgerReader
from crossmargin.domain.account import GENESIS_HASH, Account, AccountStatus, Client
from crossmargin.domain.book import Entry, EntryKind, Posting, policy_from_reference
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.money import exact_sum
from crossmargin.domain.position import Position
from crossmargin.usecases.ports import AccountState, Page
from crossmargin.usecases.storage_errors import sequence_not_reached, unknown_account, unknown_client


class MemoryBookReader(MemoryLedgerReader):
    """See `BookReader`."""

    async def get_client(self, client_id: ClientId) -> Client:
        """Return a client; UNKNOWN_CLIENT if there is none."""
        if client_id not in self._contents.clients:
            raise unknown_client(client_id)
        return self._contents.clients[client_id]

    async def list_clients(self, page: Page) -> Sequence[Client]:
        """Return clients in the order of their ids."""
        names = sorted(name for name in self._contents.clients if name > (page.after or ""))
        return [self._contents.clients[name] for name in names[: page.size]]

    async def get_account(self, ref: AccountRef) -> Account:
        """Return an account; UNKNOWN_ACCOUNT if there is none."""
        if ref not in self._contents.accounts:
            raise unknown_account(ref)
        return self._contents.accounts[ref]

    async def list_accounts(self, client_id: ClientId | None, page: Page) -> Sequence[Account]:
        """Return accounts of a client, or of all, in the order of their full names; `page.after` is a full name."""
        after = AccountRef.parse(page.after) if page.after is not None else None
        names = sorted(ref for ref in self._contents.accounts if client_id in {None, ref.client_id} and (after is None or ref > after))
        return [self._contents.accounts[ref] for ref in names[: page.size]]

    async def account_state(self, ref: AccountRef) -> AccountState:
        """Return what an account holds, consistent with one ledger sequence; UNKNOWN_ACCOUNT if there is none."""
        account = await self.get_account(ref)
        held = self._contents.positions.get(ref, {})
        return AccountState(
            account=account,
            head=self._contents.heads[ref],
            positions=tuple(held[name] for name in sorted(held) if held[name].quantity or held[name].cost),
            policies=self._contents.policies.get(ref, {}),
        )

    async def account_state_at(self, ref: AccountRef, sequence: int) -> AccountState:
        """Return what an account held as of one of its entries; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED."""
        account, head = await self.get_account(ref), self._contents.heads[ref]
        if head.sequence < sequence:
            raise sequence_not_reached(ref, sequence=head.sequence, wanted=sequence)
        entries = [self._contents.entries[ref, number] for number in range(1, sequence + 1)]
        return AccountState(
            account=account,
            head=replace(head, sequence=sequence, chain_hash=entries[-1].chain_hash if entries else GENESIS_HASH),
            positions=positions_of(ref, entries),
            policies=_policies(ref, entries),
        )

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account."""
        return {ref: head.sequence for ref, head in self._contents.heads.items() if head.status is AccountStatus.OPEN}


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
