"""Say what trades that have not been done would do to an account's margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crossmargin.domain.book import NewEntry, Trade, entry_from_trade
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.position import Position
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports import ComputePool, InstrumentReader
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class TradePreview:
    """Margin without and with the trades, at one snapshot.

    Attributes:
        acceptable: True when equity covers the initial margin with the trades, or the trades do not raise the initial margin: what
            reduces risk is never held up.
    """

    before: MarginResult
    after: MarginResult
    acceptable: bool


@dataclass(frozen=True, slots=True)
class PreviewTrades:
    """Margins an account with trades on top. Stores nothing."""

    read_account: ReadAccount
    instruments: InstrumentReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, trades: Sequence[Trade], *, min_sequence: int = 0) -> TradePreview:
        """Return margin before and after; raises what EvaluateMargin raises, and what a trade that cannot be booked is refused with."""
        entries = await self._entries(trades)
        state = await self.read_account(account, min_sequence=min_sequence)
        view = await self.current_market()
        before = portfolio_of(state)
        after = portfolio_of(replace(state, positions=(*state.positions, *positions_from(entries, account))))

        def both() -> tuple[MarginResult, MarginResult]:
            return view.margin(before), view.margin(after)

        margin_before, margin_after = await self.compute.run(both)
        return TradePreview(margin_before, margin_after, _is_acceptable(margin_before, margin_after))

    async def _entries(self, trades: Sequence[Trade]) -> list[NewEntry]:
        known = await known_instruments(
            self.instruments, (name for trade in trades for name in (trade.instrument_id, trade.settlement) if name)
        )
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


def _is_acceptable(before: MarginResult, after: MarginResult) -> bool:
    raises_requirement = after.requirement.initial_margin > before.requirement.initial_margin
    return after.excess_to_initial >= 0 or not raises_requirement
