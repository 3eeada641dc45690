"""Create an account of a client."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """Creates an account, or returns it when an equal one exists."""

    writer: Writer
    books: BookReader

    async def __call__(self, account: Account, *, caller: Caller) -> Account:
        """Return the account as stored.

        Raises:
            DomainError: UNKNOWN_CLIENT, UNKNOWN_ACCOUNT for a parent that does not exist, INVALID_ARGUMENT for a parent that is itself
                isolated, ALREADY_EXISTS when the name is taken by another.
        """
        await self.books.get_client(account.ref.client_id)
        if account.parent is not None:
            parent = await self.books.get_account(AccountRef(account.ref.client_id, account.parent))
            if parent.mode is not AccountMode.CROSS:
                raise DomainError(
                    Reason.INVALID_ARGUMENT,
                    f"parent of {account.ref} was {parent.ref}, which is isolated itself; expected a cross account",
                    account=account.ref,
                    parent=parent.ref,
                )

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(account,))

        await self.writer.write(caller.write_request("CreateAccount", [repr(account)]), decide)
        return account
