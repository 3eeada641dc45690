"""Requirement of a day against what the day's book then gained or lost: no requirement knows anything of later days."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.benchmark_book import BenchmarkBook
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters, known_on
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.netting import leg_holdings, netted_pnl
from crossmargin.engine.portfolio_arrays import MarginRates, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import MarginFigures, margin_figures
from crossmargin.engine.revaluation import RevaluedMarket, required_factors, revalue_market
from crossmargin.engine.scenarios.build import scenarios_known_from
from crossmargin.engine.scenarios.historical import end_days
from crossmargin.engine.scenarios.history_arrays import HistoryArrays, known_history
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.tail_mean import tail_weights

_CLOSE: Final = time(23, 59, tzinfo=UTC)
"""When a day's levels are known: at its end."""


@dataclass(frozen=True, slots=True, eq=False)
class BookOfDay:
    """A book as it stands on one day, and the market it is valued at.

    Attributes:
        instruments: Everything held, with everything that is exchanged or settled in.
    """

    portfolio: Portfolio
    instruments: tuple[Instrument, ...]
    snapshot: MarketSnapshot


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was required for a loss, and what happened. Base currency; `pnl` is positive for a gain."""

    required: float
    pnl: float

    @property
    def is_breach(self) -> bool:
        """True when the loss exceeded what was required for it."""
        return -self.pnl > self.required


@dataclass(frozen=True, slots=True, eq=False)
class BacktestDay:
    """One book on one day.

    Attributes:
        ends: Day on which the last margin period of its groups ended.
        market: The market requirement. maintenance: the maintenance margin.
        tail: The tail mean of the whole account, no group apart: what its expected shortfall is tested by.
        value_at_risk: Loss at the edge of that tail.
        tail_losses: [K] losses of the scenarios in that tail, worst first. tail_weights: [K] their probabilities, which add up to alpha.
        groups: Each offset group alone.
    """

    day: date
    ends: date
    market: Outcome
    maintenance: Outcome
    tail: Outcome
    value_at_risk: float
    tail_losses: ByScenario
    tail_weights: ByScenario
    groups: Mapping[OffsetGroupId, Outcome]


BookOn: TypeAlias = Callable[[date], BookOfDay]
"""A book on a day; raises DomainError where it cannot be had, such as before its factors have levels."""
Tested: TypeAlias = BacktestDay | DomainError | None
"""A book's day, the reason why there is none, or None on a day that is not on the book's clock."""


@dataclass(frozen=True, slots=True, eq=False)
class BacktestBook:
    """A book to test, on every day of a clock: business days as soon as one of its markets closes."""

    name: str
    clock: HorizonClock
    on: BookOn


@dataclass(frozen=True, eq=False)
class BacktestHistory:
    """History to test on: exactly as imported, and as arrays."""

    levels: FactorHistory
    arrays: HistoryArrays
    parameters: RiskParameters
    _snapshots: dict[date, MarketSnapshot] = field(default_factory=dict)

    @classmethod
    def of(cls, levels: FactorHistory, parameters: RiskParameters) -> BacktestHistory:
        """Return a history, read once for all days."""
        return cls(levels, known_history(levels, parameters), parameters)

    def snapshot_on(self, day: date) -> MarketSnapshot:
        """Return the levels known at the end of a day, a closed market's carried as in scenarios. All books of a day share one."""
        if day not in self._snapshots:
            self._snapshots.clear()
            self._snapshots[day] = self._snapshot(day)
        return self._snapshots[day]

    def _snapshot(self, day: date) -> MarketSnapshot:
        row = int(np.searchsorted(self.arrays.days, np.datetime64(day, "D"), side="right")) - 1
        known = np.flatnonzero(~np.isnan(self.arrays.levels[row])).tolist() if row >= 0 else []
        last = bisect_right(self.levels.dates, day) - 1
        levels = {factor: self._last_level(factor, last) for factor in (self.arrays.factors[column] for column in known)}
        return MarketSnapshot(datetime.combine(day, _CLOSE), levels, {})

    def _last_level(self, factor: FactorId, last: int) -> Decimal:
        column = self.levels.levels[factor]
        return next(level for level in column[last::-1] if level is not None)


def benchmark(book: BenchmarkBook, history: BacktestHistory) -> BacktestBook:
    """Return a benchmark book, struck at each day's own market; INSUFFICIENT_HISTORY where one of its factors has no level."""

    def on(day: date) -> BookOfDay:
        snapshot = history.snapshot_on(day)
        if missing := sorted(book.factors() - snapshot.levels.keys()):
            raise _no_level(missing[0], day, book.name)
        struck = book.struck(snapshot.levels, day)
        return BookOfDay(Portfolio(struck.account, AccountMode.CROSS, 0, struck.holdings), struck.instruments, snapshot)

    return BacktestBook(book.name, _clock_of(book.factors(), history.parameters), on)


def account_book(
    portfolio: Portfolio, instruments: Sequence[Instrument], snapshot: MarketSnapshot, parameters: RiskParameters
) -> BacktestBook:
    """Return an account as it is now, for every day.

    The moves of the past happen to today's market: an option keeps its moneyness and a bond its life, which they would not have at the
    levels of another year.
    """
    today = BookOfDay(portfolio, tuple(instruments), snapshot)
    return BacktestBook(str(portfolio.account), _clock_of(required_factors(instruments, snapshot), parameters), lambda _: today)


def backtest_day(books: Sequence[BacktestBook], day: date, history: BacktestHistory) -> list[Tested]:
    """Return each book's day.

    The requirement is that of the same functions that margin accounts, under scenarios from levels up to the day and stress events
    that were over by then (`known_on`). What happened is the joint move from the day over each group's own margin period: every factor
    of a group ends when the group's period does, as in a scenario, and the book is revalued under it as under a scenario. So the profit
    is clean: holdings do not change, no time passes, nothing is paid or accrues. Both leave pledged collateral out.
    """
    struck = [_struck(book, day) for book in books]
    together: defaultdict[MarketSnapshot, list[BookOfDay]] = defaultdict(list)
    for book in struck:
        if isinstance(book, BookOfDay):
            together[book.snapshot].append(book)
    try:
        markets = {snapshot: _markets_of(held, snapshot, day, history) for snapshot, held in together.items()}
    except DomainError as error:  # too little history for any book
        return [error.with_traceback(None) if isinstance(book, BookOfDay) else book for book in struck]
    return [_tested(book, day, markets[book.snapshot]) if isinstance(book, BookOfDay) else book for book in struck]


def days_between(first: date, last: date, *, every: int, clock: HorizonClock) -> tuple[date, ...]:
    """Return every so-manieth day of a clock, from the first day to the last."""
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    if clock is HorizonClock.BUSINESS:
        days = days[np.is_busday(days)]
    chosen: tuple[date, ...] = tuple(days[::every].tolist())
    return chosen


def _clock_of(factors: Collection[FactorId], parameters: RiskParameters) -> HorizonClock:
    groups = {parameters.group_of_curve[factor.curve] for factor in factors if factor.curve in parameters.group_of_curve}
    closes = any(group.mpor_clock is HorizonClock.BUSINESS for group in groups)
    return HorizonClock.BUSINESS if closes else HorizonClock.CALENDAR


def _struck(book: BacktestBook, day: date) -> BookOfDay | DomainError | None:
    if book.clock is HorizonClock.BUSINESS and not np.is_busday(np.datetime64(day, "D")):
        return None
    try:
        return book.on(day)
    except DomainError as error:
        return error.with_traceback(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    parameters: RiskParameters
    market: RevaluedMarket
    happened: RevaluedMarket


def _markets_of(books: Sequence[BookOfDay], snapshot: MarketSnapshot, day: date, history: BacktestHistory) -> _Market:
    """Return the market of a day as margin sees it, and as it moved."""
    parameters = known_on(history.parameters, day)
    instruments = {each.instrument_id: each for book in books for each in book.instruments}.values()
    factors = required_factors(instruments, snapshot)
    scenarios = scenarios_known_from(history.arrays.until(np.datetime64(day, "D")), factors, parameters)
    happened = realised_moves(history.arrays, factors, day, parameters)
    return _Market(
        parameters,
        revalue_market(instruments, snapshot, scenarios, parameters),
        revalue_market(instruments, snapshot, happened, parameters),
    )


def _tested(book: BookOfDay, day: date, at: _Market) -> BacktestDay | DomainError:
    try:
        return _day_of(book.portfolio, day, at)
    except DomainError as error:
        return error.with_traceback(None)


def _day_of(portfolio: Portfolio, day: date, at: _Market) -> BacktestDay:
    parameters, market, happened = at.parameters, at.market, at.happened
    rates = margin_rates(parameters, portfolio.mode)
    figures = margin_figures(portfolio_arrays(portfolio, market), market, rates, haircut_rates(parameters))
    legs = leg_holdings(portfolio_arrays(portfolio, happened), figures.split.scenario_quantity, happened)
    realised = netted_pnl(legs, happened)
    pnl = float(realised.account_pnl.sum())
    by_group = dict(zip((happened.groups[group] for group in realised.groups.tolist()), realised.group_pnl[:, 0].tolist(), strict=True))
    touched = [market.groups[group] for group in figures.netted.groups.tolist()]
    losses, weights = _tail(figures, market, rates)
    return BacktestDay(
        day=day,
        ends=_last_end(touched, day, parameters),
        market=Outcome(figures.market_requirement, pnl),
        maintenance=Outcome(figures.charges.maintenance_margin, pnl),
        tail=Outcome(figures.account_requirement, pnl),
        value_at_risk=float(losses[-1]),
        tail_losses=losses,
        tail_weights=weights,
        groups={name: Outcome(need, by_group[name]) for name, need in zip(touched, figures.group_requirement.tolist(), strict=True)},
    )


def realised_moves(history: HistoryArrays, factors: Collection[FactorId], day: date, parameters: RiskParameters) -> ScenarioSet:
    """Return what happened from a day on as a set of one scenario: each factor's move over its group's margin period.

    A factor without a level on the day or at the end of its period is unavailable: a proxy would be tested against itself.
    """
    moves = {factor: _realised(history, factor, day, parameters) for factor in sorted(set(factors))}
    known = {factor: move for factor, move in moves.items() if isinstance(move, float)}
    return ScenarioSet(
        factors=tuple(known),
        shocks=np.array([list(known.values())]).reshape(1, len(known)),
        weights=np.ones(1),
        names=(str(day),),
        ordinary_count=1,
        proxied={},
        unavailable={factor: move for factor, move in moves.items() if isinstance(move, DomainError)},
    )


def _realised(history: HistoryArrays, factor: FactorId, day: date, parameters: RiskParameters) -> float | DomainError:
    try:
        group = parameters.group_of(factor)
    except DomainError as error:
        return error.with_traceback(None)
    start = np.array([day], dtype="datetime64[D]")
    ends = end_days(start, group)
    move = history.of([factor]).moves(start, ends)[0, 0] if factor in history.factors else np.nan
    return float(move) if np.isfinite(move) else _no_move(factor, day, ends[0])


def _tail(figures: MarginFigures, market: RevaluedMarket, rates: MarginRates) -> tuple[ByScenario, ByScenario]:
    pnl = figures.netted.account_pnl
    weights = tail_weights(pnl, market.scenarios.weights, rates.tail_fraction)
    inside = np.flatnonzero(weights > 0)
    inside = inside[np.argsort(pnl[inside], kind="stable")]
    return -pnl[inside], weights[inside]


def _last_end(groups: Collection[OffsetGroupId], day: date, parameters: RiskParameters) -> date:
    start = np.array([day], dtype="datetime64[D]")
    ends: list[date] = [end_days(start, group)[0].astype(date) for group in parameters.offset_groups if group.group_id in groups]
    return max(ends, default=day)


def _no_level(factor: FactorId, day: date, book: str) -> DomainError:
    return DomainError(
        Reason.INSUFFICIENT_HISTORY,
        f"book {book} needs {factor}, which has no level on {day}: import its history, or leave the book out",
        factor=factor,
        day=day,
        book=book,
    )


def _no_move(factor: FactorId, day: date, end: object) -> DomainError:
    return DomainError(
        Reason.INSUFFICIENT_HISTORY,
        f"what {factor} did from {day} to {end} is not in the history, so a requirement of {day} cannot be tested: "
        "import it, or end earlier",
        factor=factor,
        day=day,
        needed_to=end,
    )
