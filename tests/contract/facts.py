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


async def until_not_busy(writer, request, decide):
    """Ask again as a client does: under the same key nothing is booked twice."""
    while True:
        try:
            return await writer.decide(request, decide)
        except DomainError as error:
            if error.reason is not Reason.SERVICE_BUSY:
                raise


def reasons(outcomes):
    """Return the answers, and the reasons of those that are errors."""
    return [outcome.reason if isinstance(outcome, DomainError) else outcome.response for outcome in outcomes]


def together(storage):
    """Return how often so many facts were written in one transaction; None where a storage does not count."""
    counted = _counted(storage, "facts_together_")
    return None if counted is None else {int(size): count for size, count in counted.items()}


def alone(storage):
    """Return how many facts were taken out of a transaction with others, by cause; None where a storage does not count."""
    return _counted(storage, "facts_alone_")


def _counted(storage, prefix):
    if not hasattr(storage.database, "pool_statistics"):
        return None
    statistics = storage.database.pool_statistics().items()
    return {name.removeprefix(prefix): count for name, count in statistics if name.startswith(prefix) and count}
