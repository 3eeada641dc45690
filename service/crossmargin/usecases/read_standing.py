"""Read the margin of an account with what its open orders may come to, and what is used of its limits."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.exposure_limits import LimitUsage
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.reservation import Reservation, fill_blocks
from crossmargin.usecases.check_limits import limit_usages
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.open_orders import worst_need
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.storage_errors import sequence_not_reached


@dataclass(frozen=True, slots=True)
class Standing:
    """Margin of an account, and what decisions are made on beyond it.

    Attributes:
        reservations: Those that count.
        need: The worst over everything they may come to; that of `margin` when there are none.
        limits: Each limit on the account and on its client with what is used of it, open orders included.
    """

    margin: MarginResult
    reservations: tuple[Reservation, ...]
    need: MarginNeed
    limits: tuple[LimitUsage, ...]


@dataclass(frozen=True, slots=True)
class ReadStanding:
    """Margins an account as of one ledger entry, and its open orders as of the same moment."""

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> Standing:
        """Return where an account stands; raises what EvaluateMargin raises."""
        books = await self.books.read_books(account)
        sequence = books.states[account].head.sequence
        if sequence < min_sequence:
            raise sequence_not_reached(account, sequence=sequence, wanted=min_sequence)
        view = self.current_market.at_hand(books.market_version, books.house_view_id) or await self.current_market()
        return await self.compute.run(lambda: _standing(books, account, view))


def _standing(books: Books, account: AccountRef, view: MarketView) -> Standing:
    state = books.states[account]
    counted = tuple(one for one in books.reservations[account] if one.status.counts)
    margin = view.margin(portfolio_of(state))
    need = worst_need(view, state, fill_blocks(counted)) if counted else MarginNeed.of(margin)
    return Standing(margin, counted, need, limit_usages(books, view.market, {}))
