"""Decide on locked books and on a market that was current while they were locked, or when the decision was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.market import MarketVersion
from crossmargin.usecases.ports.writing import DecideOnBooks, Decision, WriteOutcome, Writer, WriteRequest

DecideOnBooksAndMarket: TypeAlias = Callable[[Books, MarketView], Awaitable[Decision]]


@dataclass(frozen=True, slots=True)
class DecideOnMarket:
    """Runs decisions that need a market.

    The first try takes the market that is at hand, without asking anybody, and under the locks compares what it was made of with what is
    there now. If that has changed, the transaction is given up, the market is made again, and the second try takes that one as it is: it
    was current after the caller asked, and a market that moves faster than it is revalued would otherwise let nothing through.
    """

    writer: Writer
    current_market: CurrentMarket

    async def __call__(self, request: WriteRequest, decide: DecideOnBooksAndMarket) -> WriteOutcome:
        """Return the stored answer of the key, or decide and store one; raises as `Writer.decide` and `CurrentMarket`."""
        at_hand = self.current_market.cached
        if at_hand is not None:
            try:
                return await self.writer.decide(request, _unless_moved(*at_hand, decide))
            except _MarketMovedError:
                pass
        view = await self.current_market()
        return await self.writer.decide(request, lambda books: decide(books, view))


class _MarketMovedError(Exception):
    """The market at hand is not the current one any more; nothing was decided."""


def _unless_moved(view: MarketView, version: MarketVersion, decide: DecideOnBooksAndMarket) -> DecideOnBooks:
    async def decide_on_books(books: Books) -> Decision:
        if books.market_version != version:
            raise _MarketMovedError
        return await decide(books, view)

    return decide_on_books
