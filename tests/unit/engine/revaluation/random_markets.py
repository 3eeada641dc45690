"""Random books and markets: every kind of instrument, some that cannot be valued, snapshots that lack one thing or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.instrument import Instrument, OptionRight, Payoff, PremiumStyle
from crossmargin.domain.market import MarketSnapshot
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    LEVELS,
    a_bill,
    a_bond,
    a_note,
    a_perpetual,
    a_snapshot,
    an_option,
    one_of_each_kind,
    random_scenarios,
)


def a_book(random: np.random.Generator) -> list[Instrument]:
    """Every kind, chains of options in every premium style, contracts and bonds, some of them ended."""
    book = list(one_of_each_kind())
    for place in range(60):
        premium = list(PremiumStyle)[int(random.integers(3))]
        underlying = "BTC" if random.random() < 0.7 else "ETH"
        ends = AS_OF + timedelta(days=int(random.choice([-1, 0, 3, 30, 200])))
        right = OptionRight.CALL if random.random() < 0.5 else OptionRight.PUT
        strike = f"{(60_000 if underlying == 'BTC' else 3_000) * np.exp(random.normal(0, 0.4)):.2f}"
        settlement = "EUR" if premium is PremiumStyle.CASH_PAID and random.random() < 0.3 else None
        terms = {"underlying": underlying, "expiry": ends, "right": right, "strike": strike, "multiplier": int(random.integers(1, 9))}
        book.append(an_option(f"X{random.integers(10**9)}-{place}", premium=premium, settlement=settlement, **terms))
    for place in range(40):
        name, credit = f"Y{random.integers(10**9)}-{place}", "IG-A" if random.random() < 0.4 else None
        currency = str(random.choice(["USD", "EUR", "GBP"]))
        ends = date(2026, 2, 27) + timedelta(days=int(random.integers(0, 9_000)))
        maker = int(random.integers(3))
        if maker == 0:
            book.append(a_bill(name, settlement=currency, maturity=ends, credit=credit))
        elif maker == 1:
            coupon, per_year = f"{random.uniform(0, 0.09):.4f}", int(random.choice([1, 2, 4]))
            terms = {"coupon": coupon, "per_year": per_year, "issued": date(2020, 1, 15), "maturity": ends, "credit": credit}
            book.append(a_bond(name, settlement=currency, **terms))
        else:
            book.append(a_note(name, settlement=currency, issued=date(2020, 1, 15), maturity=ends, credit=credit))
    for place in range(20):
        payoff = Payoff.LINEAR if random.random() < 0.5 else Payoff.INVERSE
        settlement = "BTC" if payoff is Payoff.INVERSE else str(random.choice(["USD", "USDC", "EUR"]))
        book.append(a_perpetual(f"Z{place}", settlement=settlement, payoff=payoff, multiplier=int(random.integers(1, 100))))
    random.shuffle(book)
    return book


def a_market(random: np.random.Generator, book: Sequence[Instrument], *, seconds: float = 0.0) -> MarketSnapshot:
    """Moved levels, nodes added and left out, and marks of half the book, some of which no instrument can have."""
    levels = {name: f"{float(level) * np.exp(random.normal(0, 0.02)):.10g}" for name, level in LEVELS.items()}
    levels["zero:USD:10Y"] = "0.043"
    if random.random() < 0.5:
        levels["vol:BTC:3M"] = "0.61"
    without = [str(name) for name in random.choice(["fx:GBP", "vol:ETH", "basis:", "zero:EUR", "spread:", "spot:USDC", "NONE"], 1)]
    marks = {}
    for each in book:
        if random.random() < 0.5 and not each.is_asset:
            around = 60_000 if "PERP" in each.instrument_id or each.instrument_id[0] == "Z" else 95
            marks[each.instrument_id] = f"{around * np.exp(random.normal(0, 0.3)) * (1 if random.random() < 0.95 else -1):.6f}"
    return a_snapshot(levels, marks=marks, without=without, as_of=AS_OF + timedelta(seconds=seconds))


def some_scenarios(random: np.random.Generator, snapshot: MarketSnapshot) -> ScenarioSet:
    """Moves of all factors but sometimes one, which cannot be shocked."""
    every = random_scenarios(snapshot, 37, seed=int(random.integers(1000)))
    if random.random() < 0.4:
        return every
    place = int(random.integers(len(every.factors)))
    error = DomainError(Reason.INSUFFICIENT_HISTORY, "too short", factor=every.factors[place])
    left = np.arange(len(every.factors)) != place
    factors = tuple(factor for factor, is_left in zip(every.factors, left, strict=True) if is_left)
    return replace(every, factors=factors, shocks=every.shocks[:, left], unavailable={every.factors[place]: error})
