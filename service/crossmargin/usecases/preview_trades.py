"""Say what trades that have not been done would do to an account's margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crossmargin.domain.book import NewEntry, Trade, entry_from_trade
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market_gate import Action, market_refusal
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position
from crossmargin.engine.market_ends import doubts_touched_by
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports import ComputePool, InstrumentReader
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class TradePreview:
    """Margin without and with the trades, at one snapshot.

    Attributes:
        acceptable: True when equity covers the initial margin with the trades at the least favourable end of the market, and nothing that
            the trades touch is stale; or the trades do not raise the initial margin: what reduces risk is never held up.
        market_refusal: Why not, if market data is the reason.
    """

    before: MarginResult
    after: MarginResult
    acceptable: bool
    market_refusal: DomainError | None


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

        traded = frozenset(posting.instrument_id for entry in entries for posting in entry.postings)
        return await self.compute.run(lambda: _preview(before, after, traded, view))

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


def _preview(before: Portfolio, after: Portfolio, traded: frozenset[InstrumentId], view: MarketView) -> TradePreview:
    margin_before, margin_after = view.margin(before), view.margin(after)
    raises_requirement = margin_after.requirement.initial_margin > margin_before.requirement.initial_margin
    if not raises_requirement:
        return TradePreview(margin_before, margin_after, acceptable=True, market_refusal=None)
    covers = margin_after.excess_to_initial >= 0
    refusal = market_refusal(
        Action.RISK_INCREASING,
        doubts_touched_by(traded, margin_after.quality, view.market, view.parameters),
        covers_at_levels=covers,
        least_excess=margin_after.least_excess_to_initial,
    )
    least = margin_after.least_excess_to_initial
    is_covered = covers and least is not None and least >= 0
    return TradePreview(margin_before, margin_after, acceptable=is_covered and refusal is None, market_refusal=refusal)
