"""Test requirements of the past against what happened: benchmark books, or an account as it is now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import numpy as np

from crossmargin.domain.backtest import BacktestPlan, BacktestProgress, BookBacktest
from crossmargin.domain.benchmark_book import BENCHMARK_BOOKS
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.expectation import require_argument
from crossmargin.domain.identifiers import AccountRef, InstrumentId, RiskParameterSetId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.backtest import BacktestBook, BacktestHistory, Tested, account_book, backtest_day, benchmark, days_between
from crossmargin.engine.backtest_report import book_backtest
from crossmargin.engine.scenarios.historical import whole_periods
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_account import ReadAccount

DEFAULT_CONFIDENCE: Final = Decimal("0.99")
"""Share of margin periods to cover (EMIR RTS 153/2013 Art. 24, instruments other than over-the-counter derivatives)."""
DEFAULT_SPAN: Final = timedelta(days=365)
BLOCK_DAYS: Final = 5
"""Days that the compute pool works on at once: some tenths of a second, so that others wait no longer and a cancelled test ends."""
MOST_DAYS: Final = 20_000


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What to test.

    Attributes:
        account: Tested as it is now; None tests benchmark books.
        books: Names of benchmark books; empty for all of them, or with an account.
        first_day, last_day: None for a year up to the last day whose margin periods ended within the history.
        every: Tests every so-manieth calendar day of the range.
        parameter_set_id: None for the set in force.
    """

    account: AccountRef | None = None
    books: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    every: int = 1
    confidence: Decimal = DEFAULT_CONFIDENCE
    parameter_set_id: RiskParameterSetId | None = None


@dataclass(frozen=True, slots=True)
class RunBacktest:
    """Runs in the compute pool, some days at a time, and stores nothing. To stop it, stop reading it."""

    read_account: ReadAccount
    instruments: InstrumentReader
    market: MarketStore
    parameters: ParameterStore
    parameters_in_force: ParametersInForce
    compute: ComputePool

    async def __call__(self, request: BacktestRequest) -> AsyncGenerator[BacktestPlan | BacktestProgress | BookBacktest]:
        """Yield the plan, then how far the run is, and at the end the backtest of each book.

        Raises:
            DomainError: INVALID_ARGUMENT; UNKNOWN_ACCOUNT, NO_MARKET_SNAPSHOT for an account; UNKNOWN_RISK_PARAMETERS,
                NO_RISK_PARAMETERS; INSUFFICIENT_HISTORY when no margin period at all is in the history.
        """
        _check(request)
        set_id = request.parameter_set_id or (await self.parameters_in_force()).set_id
        parameters = await self.parameters.get_parameters(set_id)
        version = await self.market.history_version()
        levels = await self.market.load_history(version=version)
        history = await self.compute.run(lambda: BacktestHistory.of(levels, parameters))
        books = await self._books(request, history, parameters)
        days = _days(request, history, parameters)
        yield BacktestPlan(
            books=tuple(book.name for book in books),
            days=days,
            every=request.every,
            confidence=request.confidence,
            parameter_set_id=set_id,
            parameters_hash=parameters.content_hash,
            history_version=version,
            engine_version=ENGINE_VERSION,
        )
        tested: list[list[Tested]] = []
        for start in range(0, len(days), BLOCK_DAYS):
            tested += await self.compute.run(partial(_tested, books, days[start : start + BLOCK_DAYS], history))
            yield BacktestProgress(len(tested), len(days))
        for place, book in enumerate(books):
            outcomes = [of_day[place] for of_day in tested]
            yield await self.compute.run(partial(_report, book.name, outcomes, request, parameters))

    async def _books(self, request: BacktestRequest, history: BacktestHistory, parameters: RiskParameters) -> Sequence[BacktestBook]:
        if request.account is None:
            return [benchmark(book, history) for book in BENCHMARK_BOOKS if book.name in request.books or not request.books]
        portfolio = portfolio_of(await self.read_account(request.account))
        snapshot = await self.market.latest_snapshot()
        return [account_book(portfolio, await self._held(portfolio), snapshot, parameters)]

    async def _held(self, portfolio: Portfolio) -> list[Instrument]:
        """Return what is held, with everything that it settles in."""
        found: dict[InstrumentId, Instrument] = {}
        wanted = {holding.instrument_id for holding in portfolio.holdings}
        while wanted:
            found |= await known_instruments(self.instruments, wanted)
            wanted = {name for each in found.values() for name in {each.settlement, *each.references()}} - found.keys()
        return [found[name] for name in sorted(found)]


def _check(request: BacktestRequest) -> None:
    known = [book.name for book in BENCHMARK_BOOKS]
    for book in request.books:
        require_argument(book in known, "book", book, f"one of {', '.join(known)}")
    require_argument(request.account is None or not request.books, "books", ", ".join(request.books), "none with an account")
    require_argument(request.every >= 1, "every", request.every, "1 or more")
    require_argument(0 < request.confidence < 1, "confidence", request.confidence, "between 0 and 1")


def _days(request: BacktestRequest, history: BacktestHistory, parameters: RiskParameters) -> tuple[date, ...]:
    whole = whole_periods(history.arrays.days, parameters)
    if not len(whole):
        raise DomainError(
            Reason.INSUFFICIENT_HISTORY,
            f"history of {len(history.arrays.days)} days holds no whole margin period; import more history",
            observations=0,
            needed=parameters.minimum_observation_count,
        )
    last: date = request.last_day or whole[-1].astype(date)
    first = request.first_day or last - DEFAULT_SPAN
    require_argument(first <= last, "first_day", first, f"not after last_day {last}")
    days = days_between(first, last, every=request.every, clock=HorizonClock.CALENDAR)
    require_argument(len(days) <= MOST_DAYS, "days from first_day to last_day", len(days), f"at most {MOST_DAYS}; use every")
    return days


def _tested(books: Sequence[BacktestBook], days: Sequence[date], history: BacktestHistory) -> list[list[Tested]]:
    return [backtest_day(books, day, history) for day in days]


def _report(name: str, tested: Sequence[Tested], request: BacktestRequest, parameters: RiskParameters) -> BookBacktest:
    # Seeded by what the days depend on, so that the same backtest says the same.
    random = np.random.default_rng(int(parameters.content_hash, 16))
    return book_backtest(
        name,
        tested,
        every=request.every,
        confidence=float(request.confidence),
        alpha=float(parameters.tail_fraction),
        random=random,
    )
