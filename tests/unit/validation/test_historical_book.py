"""The historical book, on a made-up market that stands still."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.market import FactorId
from tests.validation.historical_book import (
    LAST_GILT_DAY,
    cross_asset_book,
    margin_alone,
    margin_book,
    single_legs,
    two_business_days_after,
)
from tests.validation.market_history import ZERO_TENORS, MarketHistory
from tests.validation.treasury_curve import PAR_TENORS

TODAY = date(2018, 1, 10)
JUMP_DAY = date(2017, 12, 1)


def still_market(*, first_day: date = date(2016, 5, 20), wiggle: float = 0.0, **after_jump: float) -> MarketHistory:
    """Constant levels, but for the named spot prices, which change to another constant after the jump day.

    With a wiggle prices rise by so much on two days of three and fall back on the third.
    """
    days = [first_day + timedelta(days=offset) for offset in range(620)]
    levels = {"spot:BTC": 10_000.0, "spot:ETH": 500.0, "fx:EUR": 1.25, "fx:GBP": 1.5, "fx:JPY": 0.01, "fx:CHF": 1.0}
    levels |= {f"zero:USD:{tenor}": 0.02 for tenor in PAR_TENORS}
    levels |= {f"zero:{currency}:{tenor}": 0.01 for currency, tenors in ZERO_TENORS.items() for tenor in tenors}
    series = {
        FactorId.parse(factor): {day: _level(factor[5:], level, day, after_jump) * (1.0 + wiggle * (day.toordinal() % 3)) for day in days}
        for factor, level in levels.items()
    }
    return MarketHistory(series, {tenor: dict.fromkeys(days, 0.02) for tenor in PAR_TENORS}, 0.0)


def _level(name: str, level: float, day: date, after_jump: dict[str, float]) -> float:
    return after_jump.get(name, level) if day > JUMP_DAY else level


@pytest.fixture(scope="module")
def still_book():
    return margin_book(still_market(), TODAY, standard_parameters())


def test_a_market_that_never_moved_needs_margin_for_stress_alone(still_book):
    assert still_book.without_stress.requirement.market_requirement == 0
    assert still_book.result.requirement.maintenance_margin > 1_000_000
    assert still_book.stress_among_worst == 10


def test_two_days_of_a_still_market_earn_the_carry_and_nothing_else(still_book):
    """20m of bills and a net 20m of notes accrue two percent a year: some four thousand dollars in two days."""
    assert still_book.realised_pnl == pytest.approx(40_000_000 * 0.02 * 2 / 365, rel=0.15)


def test_equity_is_what_is_held_less_haircuts_and_the_loan(still_book):
    """20m of bills at half a percent discount, coins of 20m less 2% and 3%, notes near par less a quarter percent, 56m owed."""
    held = Decimal("19.9") + Decimal("14.7") + Decimal("4.85") + Decimal("29.925") - 10 - 56
    assert float(still_book.result.equity.equity) == pytest.approx(float(held) * 1e6, abs=150_000)


def test_the_day_is_margined_without_knowing_what_came_after():
    calm, jumped = still_market(wiggle=0.01), still_market(wiggle=0.01, BTC=4_000.0)
    day = JUMP_DAY - timedelta(days=1)
    one, other = (margin_book(market, day, standard_parameters()) for market in (calm, jumped))
    assert one.result == other.result
    assert one.realised_pnl > other.realised_pnl + 1_000_000


def test_a_jump_in_the_window_is_in_the_margin_of_one_coin():
    """A fall from 10,000 to 4,000 is in two of some five hundred overlapping moves: less than the tail, more than nothing."""
    history = still_market(BTC=4_000.0)
    held = single_legs(history, TODAY)["BTC held"]
    *_, without_stress = margin_alone(held, history, TODAY, standard_parameters())
    assert 1_000_000 < without_stress < 6_000_000


def test_the_book_drops_its_sterling_forward_when_the_curve_ends():
    late = still_market(first_day=date(2023, 6, 1))
    assert len(cross_asset_book(late, LAST_GILT_DAY)) == 10
    names = [str(leg.instrument.instrument_id) for leg in cross_asset_book(late, LAST_GILT_DAY + timedelta(days=1))]
    assert len(names) == 9
    assert not any(name.startswith("GBP") for name in names)


def test_two_business_days_end_on_the_working_clock():
    assert two_business_days_after(date(2025, 7, 9)) == date(2025, 7, 11)
    assert two_business_days_after(date(2025, 7, 10)) == date(2025, 7, 14)
    assert two_business_days_after(date(2025, 7, 12)) == date(2025, 7, 15)  # from Saturday as from Friday
