"""Reads of clients, accounts, positions and entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.account import Account, AccountStatus, Client
from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.usecases.ports import AccountState, Page
from crossmargin.usecases.storage_errors import unknown_account, unknown_client


class MemoryBookReader:
    """See `BookReader`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

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

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account."""
        return {ref: head.sequence for ref, head in self._contents.heads.items() if head.status is AccountStatus.OPEN}

    async def list_entries(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Entry]:
        """Return entries of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        if ref not in self._contents.heads:
            raise unknown_account(ref)
        last = min(self._contents.heads[ref].sequence, after_sequence + limit)
        return [self._contents.entries[ref, sequence] for sequence in range(after_sequence + 1, last + 1)]
