"""Weigh an order: what its account needs at worst without it and with it, and what market data has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.domain.approval import MarginNeed, is_approvable, reduces_risk
from crossmargin.domain.errors import DomainError
from crossmargin.domain.margin import DataQuality
from crossmargin.domain.market_gate import Action, market_refusal
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position
from crossmargin.engine.market_ends import doubts_touched_by
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.open_orders import Block, held_in, worst_need_of
from crossmargin.usecases.ports.books import AccountState


@dataclass(frozen=True, slots=True)
class OrderWeight:
    """What an order does to what its account needs at worst, filled or not.

    Attributes:
        is_approvable: Whether margin and market data let it go ahead.
        market_refusal: Why not, if market data is the reason.
    """

    before: MarginNeed
    after: MarginNeed
    is_approvable: bool
    market_refusal: DomainError | None


def weigh_order(view: MarketView, state: AccountState, blocks: Sequence[Block], order: Sequence[Position]) -> OrderWeight:
    """Return what an order comes to whose whole fill changes positions by `order`; `blocks` are open already. Numpy work."""
    held = held_in(view, state)
    before = worst_need_of(view, held, blocks)
    after = MarginNeed.worst((before, worst_need_of(view, held, blocks, order)))
    if reduces_risk(before, after):
        return OrderWeight(before, after, is_approvable=True, market_refusal=None)
    quality = _quality(view, held, order)
    refusal = market_refusal(
        Action.RISK_INCREASING,
        () if quality is None else quality.doubted,
        touched=doubts_touched_by((change.instrument_id for change in order), quality, view.market, view.parameters),
        covers_at_levels=after.excess >= 0,
        least_excess=after.least_excess,
    )
    return OrderWeight(before, after, is_approvable(before, after) and refusal is None, refusal)


def quality_with(view: MarketView, state: AccountState, changes: Sequence[Position]) -> DataQuality | None:
    """Return what doubted market data leaves open of an account that holds `changes` as well; None when nothing is doubted."""
    return _quality(view, held_in(view, state), changes)


def _quality(view: MarketView, held: Portfolio, changes: Sequence[Position]) -> DataQuality | None:
    if not view.snapshot.doubted_levels and not view.snapshot.doubted_marks:
        return None
    return view.brief_margin_with(held, changes).quality
