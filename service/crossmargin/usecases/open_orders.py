"""What an account needs at worst, over everything its open orders may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain, combinations
from typing import Final, TypeAlias

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.money import exact_sum
from crossmargin.domain.position import Position, net_holdings
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.books import AccountState

EXACT_BLOCKS: Final = 3
"""Blocks of which every combination is margined, the ones with the largest requirement; what the rest need is added on top."""
Block: TypeAlias = tuple[Position, ...]


def worst_need(view: MarketView, state: AccountState, blocks: Sequence[Block], changes: Iterable[Position] = ()) -> MarginNeed:
    """Return the worst need of what an account holds with `changes`, whichever parts of the blocks fill. Numpy work."""
    return worst_need_of(AskedAccount.of(view, state), blocks, changes)


def worst_need_of(asked: AskedAccount, blocks: Sequence[Block], changes: Iterable[Position] = ()) -> MarginNeed:
    """Return the worst need of an account with `changes`, whichever parts of the blocks fill. Numpy work.

    Margin is convex in what is held, so that the worst fills of a block are none or all of it (see `fill_blocks`). For a few blocks every
    combination is margined. Beyond them each further block adds what it would need alone: margin is subadditive, so this is never less.
    """
    changed = tuple(changes)
    if not blocks:
        return _need(asked, changed)
    exact, rest = _split(asked, blocks)
    needs = [_need(asked, (*changed, *chain.from_iterable(filled))) for filled in _subsets(exact)]
    worst = MarginNeed.worst(needs)
    least = [worst.least_excess, *(None if need.least_excess is None else min(Decimal(0), need.least_excess) for need in rest)]
    return MarginNeed(
        initial_margin=exact_sum((worst.initial_margin, *(need.initial_margin for need in rest))),
        excess=exact_sum((worst.excess, *(min(Decimal(0), need.excess) for need in rest))),
        least_excess=None if None in least else exact_sum(one for one in least if one is not None),
    )


def _split(asked: AskedAccount, blocks: Sequence[Block]) -> tuple[Sequence[Block], list[MarginNeed]]:
    if len(blocks) <= EXACT_BLOCKS:
        return blocks, []
    alone = sorted(
        ((MarginNeed.of(asked.view.brief_margin(replace(asked.held, holdings=net_holdings(block)))), block) for block in blocks),
        key=lambda pair: pair[0].initial_margin,
        reverse=True,
    )
    return [block for _, block in alone[:EXACT_BLOCKS]], [need for need, _ in alone[EXACT_BLOCKS:]]


def _need(asked: AskedAccount, changes: Sequence[Position]) -> MarginNeed:
    return MarginNeed.of(asked.margin_with(changes))


def _subsets(blocks: Sequence[Block]) -> Iterable[tuple[Block, ...]]:
    return chain.from_iterable(combinations(blocks, size) for size in range(len(blocks) + 1))
