"""Benchmark books are worth what they say on every day, and nothing to enter."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.benchmark_book import BENCHMARK_BOOKS, NOTIONAL_USD
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

LEVELS = {
    "spot:BTC": "40000",
    "spot:ETH": "2500",
    "fx:EUR": "1.1",
    "zero:EUR:3M": "0.02",
    "zero:USD:3M": "0.05",
    "zero:USD:2Y": "0.04",
    "zero:USD:10Y": "0.035",
}
BOOKS = {book.name: book for book in BENCHMARK_BOOKS}


def levels(**changed):
    return {FactorId.parse(name): Decimal(changed.get(name, level)) for name, level in LEVELS.items()}


def valued(book, day, at):
    """Units held of each contract, and what one is worth at rest."""
    struck = book.struck(at, day)
    factors = tuple(sorted(at))
    still = ScenarioSet(factors, np.zeros((1, len(factors))), np.ones(1), ("still",), 1, {}, {})
    market = revalue_market(
        struck.instruments, MarketSnapshot(datetime(day.year, day.month, day.day, tzinfo=UTC), at, {}), still, standard_parameters()
    )
    assert not market.unavailable
    return {
        str(holding.instrument_id): (
            float(holding.quantity),
            float(market.unit_value[market.row_of[holding.instrument_id]]),
            float(holding.cost),
        )
        for holding in struck.holdings
    }


@pytest.mark.parametrize("day", [date(2019, 1, 2), date(2024, 2, 29), date(2023, 12, 31)], ids=str)
def test_every_book_can_be_struck_and_costs_nothing_to_enter(day):
    """A note's coupon is rounded to an eighth of a percent and its future is clean: a percent of the notional is near enough."""
    for book in BENCHMARK_BOOKS:
        for name, (quantity, value, cost) in valued(book, day, levels()).items():
            assert quantity * value - cost == pytest.approx(0.0, abs=0.011 * float(book.notional)), (book.name, name)


def test_a_line_is_ten_million_dollars_at_any_price():
    for price in ("20000", "100000"):
        ((quantity, value, _),) = valued(BOOKS["btc-long"], date(2024, 1, 1), levels(**{"spot:BTC": price})).values()
        assert quantity * value == pytest.approx(float(NOTIONAL_USD), rel=1e-9)


def test_a_forward_is_struck_where_it_is_worth_nothing():
    ((quantity, value, _),) = valued(BOOKS["eurusd-long"], date(2024, 1, 1), levels()).values()
    assert quantity == pytest.approx(10_000_000 / 1.1, rel=1e-9)
    assert quantity * value == pytest.approx(0.0, abs=1_500.0)  # half a day of carry between midnight and the delivery's clock


def test_long_and_short_are_each_others_opposite():
    for market in ("btc", "eth", "eurusd", "ust10y", "mixed"):
        long, short = (BOOKS[f"{market}-{side}"].struck(levels(), date(2024, 1, 1)) for side in ("long", "short"))
        assert [holding.quantity for holding in long.holdings] == [-holding.quantity for holding in short.holdings]


def test_a_book_says_which_factors_it_cannot_do_without():
    assert {str(factor) for factor in BOOKS["mixed-hedged"].factors()} == {"spot:BTC", "spot:ETH", "fx:EUR", "zero:USD:2Y", "zero:USD:10Y"}
