"""Read what an account holds."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.ports.books import AccountState, BookReader
from crossmargin.usecases.storage_errors import sequence_not_reached


@dataclass(frozen=True, slots=True)
class ReadAccount:
    """Reads an account as of one ledger entry."""

    books: BookReader

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> AccountState:
        """Return the account's state; UNKNOWN_ACCOUNT, or SEQUENCE_NOT_REACHED when it is behind `min_sequence`."""
        state = await self.books.account_state(account)
        if state.head.sequence < min_sequence:
            raise sequence_not_reached(account, sequence=state.head.sequence, wanted=min_sequence)
        return state
