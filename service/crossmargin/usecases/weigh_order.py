"""Weigh an order: what its account needs at worst without it and with it, and what market data has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from crossmargin.domain.approval import MarginNeed, is_approvable, reduces_risk
from crossmargin.domain.errors import DomainError
from crossmargin.domain.margin import DataQuality
from crossmargin.domain.market_gate import Action, market_refusal
from crossmargin.domain.position import Position
from crossmargin.engine.market_ends import doubts_touched_by
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.open_orders import EXACT_BLOCKS, Block, worst_need_of
from crossmargin.usecases.ports.books import AccountState

SMALL_EFFORT: Final = 1_000_000
"""Profits that small work looks at, at most: half a millisecond of one core, and never more than one. To send it to a thread and wait for
it costs nearly as much, and whoever asks meanwhile waits no longer than that."""


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
    return weigh_order_of(AskedAccount.of(view, state), blocks, order)


def weigh_order_of(asked: AskedAccount, blocks: Sequence[Block], order: Sequence[Position]) -> OrderWeight:
    """Return `weigh_order` of an account that is asked about more than that."""
    before = worst_need_of(asked, blocks)
    after = MarginNeed.worst((before, worst_need_of(asked, blocks, order)))
    if reduces_risk(before, after):
        return OrderWeight(before, after, is_approvable=True, market_refusal=None)
    quality = _quality(asked, order)
    refusal = market_refusal(
        Action.RISK_INCREASING,
        () if quality is None else quality.doubted,
        touched=doubts_touched_by((change.instrument_id for change in order), quality, asked.view.market, asked.view.parameters),
        covers_at_levels=after.excess >= 0,
        least_excess=after.least_excess,
    )
    return OrderWeight(before, after, is_approvable(before, after) and refusal is None, refusal)


def is_small(view: MarketView, state: AccountState, blocks: Sequence[Block], order: Sequence[Position]) -> bool:
    """Return whether weighing an order takes less than the way to a thread and back.

    It does for an account that was taken apart in this very view and holds what it held then, if little of it has to be redone. What it
    needs without the order is remembered, so that one margin for each combination of the blocks is new.
    """
    if len(blocks) > EXACT_BLOCKS:
        return False
    changed = {position.instrument_id for position in chain(order, *blocks)}
    effort = view.effort_with(state, changed)
    return effort is not None and effort * 2 ** len(blocks) <= SMALL_EFFORT


def quality_with(view: MarketView, state: AccountState, changes: Sequence[Position]) -> DataQuality | None:
    """Return what doubted market data leaves open of an account that holds `changes` as well; None when nothing is doubted."""
    return _quality(AskedAccount.of(view, state), changes)


def _quality(asked: AskedAccount, changes: Sequence[Position]) -> DataQuality | None:
    if not asked.view.is_doubted:
        return None
    return asked.margin_with(changes).quality
