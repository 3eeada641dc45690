"""What 200,000 trades of one account, each taken in by redoing what it touches, have made of its margin, beside a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, holdings_with, net_holdings
from crossmargin.engine.hot_account import HotAccount, hot_account
from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount, say
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house

UPDATES: Final = 200_000
QUICK_UPDATES: Final = 5_000
INSTRUMENTS, SCENARIOS, POSITIONS = 400, 100, 40
LOOKS: Final = 20
"""How often on the way the account is looked at; at the end it always is."""
_OPENS: Final = 0.5
"""Chance that a trade opens or adds; the others close a part, or all, of what is held."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the account that was kept is from one made of all its trades at once.

    Attributes:
        relative: Largest difference of any tail mean or profit, over the largest of them.
        same_bits: Whether there is none, and the two margins are equal.
    """

    relative: float
    same_bits: bool


def run(plan: Plan) -> list[Measured]:
    """Return the row, which is of the worst look."""
    updates = QUICK_UPDATES if plan.is_quick else UPDATES
    worst, is_same = 0.0, True
    for place, drift in enumerate(drifts(updates, looks=LOOKS)):
        say(f"drift: {(place + 1) * updates // LOOKS:,} of {updates:,} updates, {drift.relative:g}")
        worst, is_same = max(worst, drift.relative), is_same and drift.same_bits
    note = f"looked at {LOOKS} times; margins have {'the same bits as' if is_same else 'OTHER BITS THAN'} fresh ones"
    return [
        amount(f"drift after {updates:,} updates of one account, relative", "a fresh product", Goal(Ratio.AMOUNT, 1e-12), [worst], note)
    ]


def drifts(updates: int, *, looks: int, seed: int = 0) -> Iterator[Drift]:
    """Yield what has become of one account after each part of its trades."""
    random, market, rules = np.random.default_rng(seed), a_market(INSTRUMENTS, SCENARIOS), parameters_of_the_house()
    portfolio = an_account(seed, POSITIONS, market)
    trades = [Position(BookId("main"), each.instrument_id, each.quantity, each.cost) for each in portfolio.holdings]
    kept = _taken_apart(portfolio, market)
    for place in range(1, updates + 1):
        trades.append(_trade(portfolio, market, random))
        portfolio = replace(portfolio, holdings=holdings_with(portfolio.holdings, trades[-1:]), sequence=portfolio.sequence + 1)
        moved = kept.moved_to(portfolio)
        assert moved is not None, "the account's split has to be searched for"
        kept = moved
        if place % (updates // looks) == 0:
            # Of everything that was ever traded, and not of what was kept of it.
            alone = replace(portfolio, holdings=net_holdings(trades))
            margins_equal = kept.margin() == compute_brief(alone, market, rules)
            yield _drift(kept, _taken_apart(alone, market), margins_equal=margins_equal)


def _taken_apart(portfolio: Portfolio, market: RevaluedMarket) -> HotAccount:
    account = hot_account(portfolio, market, parameters_of_the_house())
    assert account is not None, "the account's split has to be searched for"
    return account


def _trade(portfolio: Portfolio, market: RevaluedMarket, random: np.random.Generator) -> Position:
    """Return a trade that opens or adds, or one that closes a part or all of something held."""
    held = [each for each in portfolio.holdings if each.instrument_id != "USD" and each.quantity]
    if held and (len(held) > 2 * POSITIONS or random.random() > _OPENS):
        closed = held[int(random.integers(len(held)))]
        part = closed.quantity if random.random() < 0.5 else (closed.quantity / 3).quantize(Decimal("0.001"))
        return Position(BookId("main"), closed.instrument_id, -part, -part * Decimal("100.01"))
    row = int(random.integers(len(market.instruments)))
    name = market.instruments[row].instrument_id if market.instruments[row].instrument_id != "USD" else InstrumentId("P00001")
    units = Decimal(f"{random.normal(0, 10) * 10 ** random.uniform(-2, 2):.3f}")
    return Position(BookId("main"), name, units, units * Decimal(f"{random.uniform(99, 101):.4f}"))


def _drift(kept: HotAccount, fresh: HotAccount, *, margins_equal: bool) -> Drift:
    pairs = [(kept.groups.losses, fresh.groups.losses), (kept.groups.account_pnl, fresh.groups.account_pnl)]
    pairs += [(kept.groups.alone, fresh.groups.alone)]
    is_same = all(mine.tobytes() == theirs.tobytes() for mine, theirs in pairs)
    if any(mine.shape != theirs.shape for mine, theirs in pairs):
        return Drift(float("inf"), same_bits=False)
    worst = max(float(np.abs(mine - theirs).max(initial=0.0) / max(np.abs(theirs).max(initial=0.0), 1.0)) for mine, theirs in pairs)
    return Drift(worst, same_bits=is_same and margins_equal)
