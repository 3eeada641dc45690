"""Read what many accounts hold, some at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from crossmargin.domain.account import Account
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.portfolio import Portfolio
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader

ACCOUNTS_AT_ONCE: Final = 16
"""Read in one question: enough that the way there and back does not count, and few enough that calls get their turn in between."""


@dataclass(frozen=True, slots=True)
class ReadAccounts:
    """Accounts as they were read, in the order in which they were asked for; and why others could not be."""

    accounts: dict[AccountRef, Account] = field(default_factory=dict)
    portfolios: dict[AccountRef, Portfolio] = field(default_factory=dict)
    failed: dict[AccountRef, DomainError] = field(default_factory=dict)


async def read_accounts(books: BookReader, accounts: Iterable[AccountRef]) -> ReadAccounts:
    """Return accounts, each as of an entry of its own; when some cannot be read together, one by one, so that only what is wrong fails."""
    names, found = list(accounts), ReadAccounts()
    for start in range(0, len(names), ACCOUNTS_AT_ONCE):
        await _read_some(books, names[start : start + ACCOUNTS_AT_ONCE], found)
    return found


async def _read_some(books: BookReader, names: list[AccountRef], found: ReadAccounts) -> None:
    try:
        together = {state.account.ref: state for state in await books.account_states(names)}
    except DomainError:
        together = {}
    for name in names:
        try:
            state = together.get(name) or await books.account_state(name)
            found.portfolios[name] = portfolio_of(state)
        except DomainError as error:
            found.failed[name] = error
        else:
            found.accounts[name] = state.account
