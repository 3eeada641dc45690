"""Say what trades that have not been done would do to an account's margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.book import NewEntry, Trade, entry_from_trade
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import fill_blocks
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.known_instruments import instruments_by_name
from crossmargin.usecases.open_orders import Block
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.storage_errors import sequence_not_reached
from crossmargin.usecases.weigh_order import is_small, weigh_order_of


@dataclass(frozen=True, slots=True)
class TradePreview:
    """Margin without and with the trades, at one snapshot.

    Attributes:
        before: Without what explains it, as `after`.
        need_before: The worst without the trades, over everything that open orders may do; that of `before` when there are none.
        need_after: The worst with an order for the trades as well, filled or not.
        acceptable: True when `is_approvable` says so of the two needs, and nothing that the trades touch is stale; what reduces risk is
            never held up. Limits and halts are not looked at.
        market_refusal: Why not, if market data is the reason.
    """

    before: MarginResult
    after: MarginResult
    need_before: MarginNeed
    need_after: MarginNeed
    acceptable: bool
    market_refusal: DomainError | None


@dataclass(frozen=True, slots=True)
class PreviewTrades:
    """Margins an account with trades on top. Stores nothing."""

    books: BookReader
    instruments: InstrumentReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, trades: Sequence[Trade], *, min_sequence: int = 0) -> TradePreview:
        """Return margin before and after; raises what EvaluateMargin raises, and what a trade that cannot be booked is refused with."""
        entries = await self._entries(trades)
        books = await self.books.read_books(account)
        sequence = books.states[account].head.sequence
        if sequence < min_sequence:
            raise sequence_not_reached(account, sequence=sequence, wanted=min_sequence)
        view = self.current_market.at_hand(books.market_version, books.house_view_id) or await self.current_market()
        state, changes = books.states[account], positions_from(entries, account)
        blocks = fill_blocks(books.reservations[account])

        def preview() -> TradePreview:
            return _preview(AskedAccount.of(view, state), blocks, changes)

        run = self.compute.run_small if is_small(view, state, blocks, changes) else self.compute.run
        return await run(preview)

    async def _entries(self, trades: Sequence[Trade]) -> list[NewEntry]:
        names = [name for trade in trades for name in (trade.instrument_id, trade.settlement) if name]
        known = await instruments_by_name(self.current_market, self.instruments, names)
        return [
            entry_from_trade(trade, known[trade.instrument_id], known[trade.settlement] if trade.settlement else None) for trade in trades
        ]


def positions_from(entries: Sequence[NewEntry], account: AccountRef) -> list[Position]:
    """Return the changes that entries make to the account's own positions."""
    return [
        Position(posting.book_id, posting.instrument_id, posting.quantity, posting.cost)
        for entry in entries
        for posting in entry.postings
        if posting.ledger_account == account.account_id
    ]


def _preview(asked: AskedAccount, blocks: Sequence[Block], changes: Sequence[Position]) -> TradePreview:
    weight = weigh_order_of(asked, blocks, changes)
    return TradePreview(
        before=asked.margin_with(),
        after=asked.margin_with(changes),
        need_before=weight.before,
        need_after=weight.after,
        acceptable=weight.is_approvable,
        market_refusal=weight.market_refusal,
    )
