"""A requirement of the past knows nothing of what came after it, and is held against exactly that."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.benchmark_book import BENCHMARK_BOOKS
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import known_on
from crossmargin.engine.backtest import BacktestDay, BacktestHistory, account_book, backtest_day, benchmark, days_between
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.scenarios import build_scenario_set
from tests.builders import ACCOUNT, cash, coin, perpetual
from tests.unit.engine.scenarios.histories import MONDAY, a_history, a_walk, an_event, factor, parameters

DAYS = 120
TODAY = MONDAY + timedelta(days=80)  # a Thursday
BOOKS = {book.name: book for book in BENCHMARK_BOOKS}
CRASH = an_event("Crash", moves={"spot:BTC": "-0.6"}) | {"last_day": str(TODAY + timedelta(days=1))}
SHOCK = an_event("Shock", moves={"spot:BTC": "-0.3", "fx:EUR": "-0.05"}, both_directions=True)
RULES = parameters(ordinary_weight="0.75", stress_events=[CRASH, SHOCK], minimum_observation_count=20)


def columns():
    return {
        "spot:BTC": a_walk(DAYS, 1),
        "spot:ETH": a_walk(DAYS, 2, step=0.03),
        "fx:EUR": a_walk(DAYS, 3, step=0.005, weekdays_only=True),
        "zero:USD:1Y": ["0.04"] * DAYS,
    }


def known(history=None, rules=RULES):
    return BacktestHistory.of(history or a_history(columns()), rules)


def backtest_of(name, day=TODAY, history=None):
    history = history or known()
    (found,) = backtest_day([benchmark(BOOKS[name], history)], day, history)
    return found


def cut(history: FactorHistory, last: date) -> FactorHistory:
    count = sum(day <= last for day in history.dates)
    return FactorHistory(history.dates[:count], {name: column[:count] for name, column in history.levels.items()})


def test_the_requirement_is_what_an_account_would_have_been_told_that_day():
    """Built the slow way: a history that ends on the day, and the functions that margin accounts."""
    history = known()
    book = benchmark(BOOKS["btc-against-eth"], history).on(TODAY)
    rules = known_on(RULES, TODAY)
    factors = required_factors(book.instruments, book.snapshot)
    scenarios = build_scenario_set(cut(history.levels, TODAY), factors, rules)
    told = compute_margin(book.portfolio, revalue_market(book.instruments, book.snapshot, scenarios, rules), rules)
    found = backtest_of("btc-against-eth", history=history)
    assert found.market.required == pytest.approx(float(told.requirement.market_requirement), abs=0.011)
    assert found.maintenance.required == pytest.approx(float(told.requirement.maintenance_margin), abs=0.011)
    assert {name: outcome.required for name, outcome in found.groups.items()} == pytest.approx(
        {line.group_id: float(line.requirement) for line in told.groups}, abs=0.011
    )


def test_nothing_that_came_later_is_in_the_requirement():
    later = columns()
    later["spot:BTC"] = [*later["spot:BTC"][:81], *("1" for _ in range(DAYS - 81))]
    before, after = backtest_of("btc-long"), backtest_of("btc-long", history=known(a_history(later)))
    assert before.market.required == after.market.required
    np.testing.assert_array_equal(before.tail_losses, after.tail_losses)
    assert after.market.pnl < before.market.pnl
    assert after.market.is_breach


def test_an_event_that_was_still_to_come_is_no_stress_scenario_yet():
    assert [event.name for event in known_on(RULES, TODAY).stress_events] == ["Shock"]
    assert len(known_on(RULES, TODAY + timedelta(days=1)).stress_events) == 2
    assert backtest_of("btc-long").tail_losses.max() < 4_000_000 < backtest_of("btc-long", TODAY + timedelta(days=1)).tail_losses.max()


def test_a_crisis_has_no_window_before_its_event_is_over():
    window = {"name": "Fall", "source": "house", "first_day": str(MONDAY), "last_day": str(TODAY), "event": "Crash"}
    rules = parameters(ordinary_weight="0.75", stress_events=[CRASH, SHOCK], crisis_windows=[window])
    assert known_on(rules, TODAY).crisis_windows == ()
    assert known_on(rules, TODAY + timedelta(days=1)).crisis_windows == rules.crisis_windows


def test_the_profit_is_the_move_over_each_groups_own_period_and_nothing_else():
    """One day of BTC (a day's margin period), two of ETH, on ten million dollars each; two business days of EUR from Thursday to Monday."""
    history = known()
    level = {name: [None if x is None else float(x) for x in column] for name, column in columns().items()}
    day = (TODAY - MONDAY).days
    bitcoin = 1e7 * (level["spot:BTC"][day + 1] / level["spot:BTC"][day] - 1)
    ether = -1e7 * (level["spot:ETH"][day + 2] / level["spot:ETH"][day] - 1)
    found = backtest_of("btc-against-eth", history=history)
    assert found.groups["BTC"].pnl == pytest.approx(bitcoin, rel=1e-6)
    assert found.groups["ETH"].pnl == pytest.approx(ether, rel=1e-6)
    assert found.market.pnl == found.maintenance.pnl == found.tail.pnl == pytest.approx(bitcoin + ether, rel=1e-6)
    assert found.ends == TODAY + timedelta(days=2)


def test_the_tail_is_the_part_of_the_scenarios_that_the_tail_mean_averages():
    found = backtest_of("btc-against-eth")
    alpha = float(RULES.tail_fraction)
    assert found.tail_weights.sum() == pytest.approx(alpha)
    assert float(found.tail_losses @ found.tail_weights) / alpha == pytest.approx(found.tail.required)
    assert found.value_at_risk == found.tail_losses.min()


def test_a_book_of_coins_is_tested_on_sundays_and_one_with_currency_is_not():
    sunday = TODAY + timedelta(days=3)
    history = known()
    books = [benchmark(BOOKS[name], history) for name in ("btc-long", "eurusd-long")]
    coins, currency = backtest_day(books, sunday, history)
    assert isinstance(coins, BacktestDay)
    assert currency is None


def test_each_book_is_what_it_is_without_the_others():
    history = known()
    books = [benchmark(BOOKS[name], history) for name in ("btc-long", "eth-short", "btc-against-eth")]
    together = backtest_day(books, TODAY, history)
    for book, found in zip(books, together, strict=True):
        (alone,) = backtest_day([book], TODAY, history)
        assert alone.market == found.market
        assert alone.groups == found.groups


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (MONDAY + timedelta(days=5), "need at least 20"),
        (MONDAY - timedelta(days=1), "has no level on 2023-12-31"),
        (MONDAY + timedelta(days=DAYS - 1), "is not in the history"),
    ],
    ids=["too early", "before the history", "not over yet"],
)
def test_a_day_that_cannot_be_tested_says_why(day, words):
    found = backtest_of("btc-long", day)
    assert isinstance(found, DomainError)
    assert found.reason is Reason.INSUFFICIENT_HISTORY
    assert words in found.message


def test_a_factor_that_only_a_proxy_moves_is_not_tested_against_its_proxy():
    rules = replace(RULES, proxies=parameters(proxies=[{"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1"}]).proxies)
    history = known(rules=rules)
    snapshot = history.snapshot_on(TODAY)
    levels = {**snapshot.levels, factor("spot:XRP"): Decimal("0.5")}
    held = Portfolio(
        ACCOUNT, AccountMode.CROSS, 1, (Holding(perpetual("XRP-PERP", underlying="XRP").instrument_id, Decimal(100), Decimal(50)),)
    )
    book = account_book(held, [cash(), coin("XRP"), perpetual("XRP-PERP", underlying="XRP")], replace(snapshot, levels=levels), rules)
    (found,) = backtest_day([book], TODAY, history)
    assert isinstance(found, DomainError)
    assert "spot:XRP" in found.message


def test_an_account_is_today_for_every_day_of_the_past():
    """A coin short at today's price, under the moves of the past: what it lost is its value times the move, not the level, of that day."""
    history = known()
    snapshot = history.snapshot_on(MONDAY + timedelta(days=DAYS - 1))
    price = float(snapshot.levels[factor("spot:BTC")])
    held = Portfolio(ACCOUNT, AccountMode.CROSS, 7, (Holding(perpetual().instrument_id, Decimal(-3), Decimal(0)),))
    book = account_book(held, [cash(), coin(), perpetual()], snapshot, RULES)
    (found,) = backtest_day([book], TODAY, history)
    column = [float(level) for level in columns()["spot:BTC"]]
    day = (TODAY - MONDAY).days
    assert found.market.pnl == pytest.approx(-3 * price * (column[day + 1] / column[day] - 1), rel=1e-9)
    assert book.name == str(ACCOUNT)


def test_a_snapshot_of_a_past_weekend_carries_fridays_fixing_to_the_digit():
    history = known()
    sunday, friday = (history.snapshot_on(TODAY + timedelta(days=days)) for days in (3, 1))
    assert sunday.levels[factor("fx:EUR")] == friday.levels[factor("fx:EUR")]
    assert sunday.levels[factor("spot:BTC")] != friday.levels[factor("spot:BTC")]


def test_days_are_counted_on_the_clock_that_is_asked_for():
    first, last = date(2024, 1, 5), date(2024, 1, 12)
    assert len(days_between(first, last, every=1, clock=HorizonClock.CALENDAR)) == 8
    assert [day.day for day in days_between(first, last, every=2, clock=HorizonClock.BUSINESS)] == [5, 9, 11]
