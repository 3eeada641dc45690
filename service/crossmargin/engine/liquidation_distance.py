"""How far the market may move before an account is liquidated, found by revaluing the account at the moved market."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from crossmargin.domain.explanation import LiquidationDistance, MarketMove, WorstDirection
from crossmargin.domain.market import LOG_KINDS, FactorKind
from crossmargin.engine.axes import ByFactor
from crossmargin.engine.large_factors import FactorBlock
from crossmargin.engine.moved_account import MovingAccount
from crossmargin.engine.portfolio_arrays import cents_to_decimal, client_value_to_cents, fraction_to_decimal

FALLS: Final = (0.05, 0.10, 0.20, 0.35, 0.50, 0.75, 0.99)
"""Simple returns looked at: nothing falls by more than 99%."""
RISES: Final = (0.05, 0.10, 0.20, 0.35, 0.50, 0.75, 1.0, 2.0, 4.0)
RATE_MOVES: Final = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.07, 0.10)
"""Differences of rates and carry looked at, to 1,000 basis points either way."""
MULTIPLES: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Multiples of the average tail move looked at."""
MOVE_TOLERANCE: Final = 1e-7
"""Of a return, a difference or a multiple: a tenth of the last place that is reported."""
PRICE_MOVES: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Differences in USD looked at, of prices that may be negative."""
_ROUNDS: Final = 8
_AT_ONCE: Final = 3

PathOf = Callable[[float], ByFactor]


def liquidation_distance(account: MovingAccount, block: FactorBlock) -> LiquidationDistance:
    """Return the smallest move of a block, either way, at which the account is liquidated.

    Nothing is assumed to be monotone: moves are looked at from the smallest outwards, FALLS and RISES for what moves by return,
    RATE_MOVES or PRICE_MOVES both ways for what moves by difference, and the first pair between which the account falls into
    liquidation is refined to MOVE_TOLERANCE. A spell of liquidation that begins and ends between two neighbours of the grid is not seen.
    """
    found = smallest_crossing(account, _sides(block.kind), lambda size: block.moved_by(size, account.factor_count))
    move = None if found is None else MarketMove(block.group_id, block.kind, fraction_to_decimal(found))
    return LiquidationDistance(block.group_id, block.kind, move)


def worst_direction(account: MovingAccount, tail_move: ByFactor, blocks: Sequence[FactorBlock]) -> WorstDirection:
    """Return how many times the average tail move [F] liquidates the account, up to the last of MULTIPLES."""
    found = smallest_crossing(account, (MULTIPLES,), lambda multiple: multiple * tail_move)
    moves = (1.0 if found is None else found) * tail_move
    before, after = account.values(np.array([np.zeros(account.factor_count), moves]))
    return WorstDirection(
        multiple=None if found is None else fraction_to_decimal(found),
        moves=tuple(block.read_from(moves) for block in blocks),
        pnl=cents_to_decimal(client_value_to_cents(after - before, scale=abs(after) + abs(before))),
    )


def _sides(kind: FactorKind) -> tuple[tuple[float, ...], ...]:
    differences = PRICE_MOVES if kind is FactorKind.PRICE else RATE_MOVES
    falls, rises = (FALLS, RISES) if kind in LOG_KINDS else (differences, differences)
    return tuple(-size for size in falls), rises


def smallest_crossing(account: MovingAccount, sides: Sequence[Sequence[float]], path: PathOf) -> float | None:
    """Return the smallest size of any side at which the account is liquidated, in every scenario; None when there is none.

    The search runs on the scenarios kept so far, after the middle and the end of each side were revalued in every scenario. What it
    finds is revalued in every scenario as well; as long as that turns up scenarios that were missing, the search runs again.
    """
    account.look_closely(np.array([path(sizes[place]) for sizes in sides for place in (len(sizes) // 2, -1)]))
    found = _search(account, sides, path)
    for _ in range(_ROUNDS):
        if found is None or not account.look_closely(path(found)[np.newaxis]):
            break
        found = _search(account, sides, path)
    return found


def _search(account: MovingAccount, sides: Sequence[Sequence[float]], path: PathOf) -> float | None:
    """Return the smallest crossing on the scenarios kept."""
    (at_rest,) = account.headrooms(path(0.0)[np.newaxis])
    if at_rest <= 0:
        return 0.0
    open_sides, headroom = list(sides), {0.0: at_rest}
    for start in range(0, max(map(len, sides)), _AT_ONCE):
        chunks = [_chunk(sizes, start) for sizes in open_sides]
        if not any(chunks):
            return None
        sizes = [size for chunk in chunks for size in chunk if size not in headroom]
        headroom |= dict(zip(sizes, account.headrooms(np.array([path(size) for size in sizes])), strict=True))
        brackets = [bracket for chunk in chunks if (bracket := _first_bracket(chunk, headroom)) is not None]
        if brackets:
            return min((_refined(account, bracket, path) for bracket in brackets), key=abs)
        open_sides = [side for side, chunk in zip(open_sides, chunks, strict=True) if not any(math.isnan(headroom[size]) for size in chunk)]
    return None


def _chunk(sizes: Sequence[float], start: int) -> list[float]:
    """Return the next few sizes with the one before them, or nothing past the end."""
    chunk = list(sizes[start : start + _AT_ONCE])
    return [sizes[start - 1] if start else 0.0, *chunk] if chunk else []


def _first_bracket(chunk: Sequence[float], headroom: dict[float, float]) -> tuple[float, float] | None:
    return next(((safe, gone) for safe, gone in pairwise(chunk) if headroom[safe] > 0 >= headroom[gone]), None)


def _refined(account: MovingAccount, bracket: tuple[float, float], path: PathOf) -> float:
    """Return the crossing between a size that is safe and one that is not (Brent 1973, "Algorithms for Minimization")."""
    # A tenth of a second that a start does not wait for.
    from scipy.optimize import brentq  # noqa: PLC0415

    return float(brentq(lambda size: account.headrooms(path(size)[np.newaxis])[0], *bracket, xtol=MOVE_TOLERANCE))
