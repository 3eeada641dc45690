"""Facts in line, for tests of what they come to."""

from __future__ import annotations

import asyncio

from crossmargin.domain.book import append_to_chain
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef
from crossmargin.usecases.ports.writing import Decision
from tests.contract.storage import CORE, OTHER, a_deposit

SATELLITE = AccountRef(CORE.client_id, AccountId("satellite"))
ACCOUNTS = (CORE, OTHER, SATELLITE)


def deposits(ref, *quantities):
    """Decide to deposit; the answer says after which entry, as the answer to a trade does."""

    async def decide(books):
        head = books.states[ref].head
        return Decision(f"after {head.sequence}".encode(), append_to_chain(head, tuple(a_deposit(ref, one) for one in quantities)))

    return decide


async def refuse(books):
    """Decide to refuse: nothing is written."""
    raise DomainError(Reason.INVALID_QUANTITY, "no")


async def book_all(storage, *calls):
    """Put facts in line at once; the outcomes are theirs, or their errors."""
    return await asyncio.gather(*(storage.writer.decide(*call) for call in calls), return_exceptions=True)


def reasons(outcomes):
    """Return the answers, and the reasons of those that are errors."""
    return [outcome.reason if isinstance(outcome, DomainError) else outcome.response for outcome in outcomes]


def together(storage):
    """Return how often so many facts were written in one transaction; None where a storage does not count."""
    if not hasattr(storage.database, "pool_statistics"):
        return None
    prefix = "facts_together_"
    return {int(name.removeprefix(prefix)): n for name, n in storage.database.pool_statistics().items() if name.startswith(prefix)}
