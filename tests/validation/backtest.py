"""The acceptance backtest on real history: benchmark books on the days of seven years, and the page that says how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from crossmargin.domain.backtest import BookBacktest, Zone
from crossmargin.domain.benchmark_book import BENCHMARK_BOOKS
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.backtest import BacktestHistory, backtest_day, benchmark, days_between
from crossmargin.engine.backtest_report import book_backtest
from tests.validation.historical_book import FIRST_DAY, first_day_of
from tests.validation.market_history import MarketHistory

FIRST_TESTED: Final = date(2019, 1, 1)
LAST_TESTED: Final = date(2025, 12, 31)
FIRST_COIN_DAY: Final = date(2016, 6, 1)
"""First day on which both coins have a close."""
CONFIDENCE: Final = 0.99
COIN_FREE: Final = frozenset({"eurusd-long", "eurusd-short", "ust10y-long", "ust10y-short", "curve-steepener"})
"""Books whose factors go back to the first crisis window; all others begin with the coins."""


@dataclass(frozen=True)
class BacktestFindings:
    """What the acceptance backtest found. `every` is the grid: every so-manieth calendar day was tested."""

    parameters: RiskParameters
    every: int
    books: Sequence[BookBacktest]

    @property
    def holds(self) -> bool:
        """True when the market requirement and the maintenance margin of every book are green."""
        return all(book.requirements and {one.zone for one in book.requirements} == {Zone.GREEN} for book in self.books)


def run_backtest(history: MarketHistory, parameters: RiskParameters, *, every: int) -> BacktestFindings:
    """Return the backtest of all benchmark books.

    A coin of two and a half years cannot be margined under 1,250 ordinary scenarios, so books with coins are given a history that begins
    with the coins: fewer scenarios of the windows before it, and a harder test.
    """
    days = days_between(FIRST_TESTED, LAST_TESTED, every=every, clock=HorizonClock.CALENDAR)
    found: dict[str, BookBacktest] = {}
    for first, is_wanted in ((FIRST_DAY, COIN_FREE.__contains__), (FIRST_COIN_DAY, lambda name: name not in COIN_FREE)):
        last = max(max(series) for series in history.series.values())
        known = BacktestHistory.of(history.factor_history(max(first, first_day_of(history)), last), parameters)
        books = [benchmark(book, known) for book in BENCHMARK_BOOKS if is_wanted(book.name)]
        tested = [backtest_day(books, day, known) for day in days]
        for place, book in enumerate(books):
            found[book.name] = book_backtest(
                book.name,
                [of_day[place] for of_day in tested],
                every=every,
                confidence=CONFIDENCE,
                alpha=float(parameters.tail_fraction),
                random=np.random.default_rng(int(parameters.content_hash, 16)),
            )
    return BacktestFindings(parameters, every, [found[book.name] for book in BENCHMARK_BOOKS])
