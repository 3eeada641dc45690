"""Schedules on days picked by hand, and the days on which kinds with a schedule begin, fix and end."""

from __future__ import annotations

import doctest
import math
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import BusinessDayRule, DayCount
from crossmargin.engine.revaluation import american_exercise, bond_future, schedule
from crossmargin.engine.revaluation.schedule import accrual_periods, year_fractions
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    a_bond_future,
    a_note,
    a_snapshot,
    a_swap,
    an_american_option,
    an_fx_option,
    an_ndf,
    legs_of,
    revalue,
    some_cash_flows,
    unit_value_of,
)


@pytest.mark.parametrize("module", [schedule, american_exercise, bond_future], ids=lambda module: module.__name__)
def test_the_examples_hold(module):
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed


def test_a_day_on_a_weekend_moves_to_monday_unless_that_is_in_the_next_month():
    rule = BusinessDayRule.MODIFIED_FOLLOWING
    periods = accrual_periods(date(2026, 1, 31), date(2026, 5, 31), per_year=12, rule=rule, after=date(2026, 1, 1))
    assert [str(day) for day in periods.ends] == ["2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"]
    assert str(periods.starts[0]) == "2026-01-30"
    middle = accrual_periods(date(2026, 2, 14), date(2026, 3, 14), per_year=12, rule=rule, after=date(2026, 1, 1))
    assert (str(middle.starts[0]), str(middle.ends[0])) == ("2026-02-16", "2026-03-16")


@pytest.mark.parametrize(
    ("day_count", "fraction"),
    [
        (DayCount.ACT_360, 59 / 360),
        (DayCount.ACT_365F, 59 / 365),
        (DayCount.THIRTY_360, 60 / 360),
        (DayCount.ACT_ACT_ICMA, 59 / (2 * 181)),
    ],
)
def test_a_short_first_period_by_each_day_count(day_count, fraction):
    """From 30 January to 30 March, of a half year from 30 September, which has 181 days."""
    periods = accrual_periods(date(2026, 1, 30), date(2026, 3, 30), per_year=2, rule=BusinessDayRule.UNADJUSTED, after=date(2026, 1, 30))
    assert year_fractions(periods, day_count).tolist() == [pytest.approx(fraction, rel=1e-15)]


@pytest.mark.parametrize(
    "instrument",
    [
        a_note("ENDED", maturity=AS_OF.date(), fixed_on=AS_OF.date() - timedelta(days=9)),
        a_swap("ENDED", maturity=AS_OF.date()),
        some_cash_flows("ENDED", ("USD", 1, AS_OF.date() - timedelta(days=1))),
        a_bond_future("ENDED", delivery=AS_OF.date() - timedelta(days=1)),
        an_ndf("ENDED", fixing=AS_OF.date() - timedelta(days=1)),
        an_fx_option("ENDED", expiry=AS_OF),
        an_american_option("ENDED", expiry=AS_OF),
    ],
    ids=lambda each: type(each.terms).__name__,
)
def test_what_has_ended_is_refused(instrument):
    market = revalue([*ASSETS, instrument], a_snapshot(), {})
    assert market.unavailable[InstrumentId("ENDED")].reason is Reason.INSTRUMENT_EXPIRED


def test_a_stated_rate_counts_for_its_own_period_and_the_curve_for_one_that_nobody_stated():
    stated = a_note("STATED", fixed="0.2")
    missed = a_note("MISSED", fixed="0.2", fixed_on=date(2025, 12, 1))
    market = revalue([*ASSETS, stated, missed], a_snapshot(), {"zero:USD:1M": 0.01, "zero:USD:1Y": 0.01})
    days = (date(2026, 5, 15) - date(2026, 2, 15)).days
    years = (date(2026, 5, 15) - AS_OF.date()).days / 365 - AS_OF.hour / 8760 - AS_OF.minute / 525_600
    rate = 0.041 + (0.039 - 0.041) * (years - 1 / 12) / (11 / 12)
    estimate = math.expm1(rate * days / 365) + 0.002 * days / 360
    difference = (0.2 * days / 360 - estimate) * math.exp(-rate * years)
    assert unit_value_of(market, "STATED") - unit_value_of(market, "MISSED") == pytest.approx(difference, rel=1e-9)


def test_the_spread_of_a_marked_note_lies_on_each_coupon_until_it_is_paid():
    """Two years of half-year coupons from the snapshot's day on, all projected; the spread solved by another method."""
    as_of = AS_OF.replace(hour=0, minute=0)
    note = a_note(
        spread="0.01",
        per_year=2,
        day_count=DayCount.ACT_ACT_ICMA,
        issued=as_of.date(),
        fixed_on=date(2026, 1, 1),
        maturity=date(2028, 3, 2),
    )
    rise = {f"zero:USD:{tenor}": 0.02 for tenor in ("1M", "1Y", "5Y", "30Y")}
    levels = {f"zero:USD:{tenor}": "0.04" for tenor in ("1M", "1Y", "5Y", "30Y")}
    market = revalue([*ASSETS, note], a_snapshot(levels, marks={"NOTE": "80"}, as_of=as_of), rise)
    times = [(day - as_of.date()).days / 365 for day in (date(2026, 9, 2), date(2027, 3, 2), date(2027, 9, 2), date(2028, 3, 2))]

    def price(rate: float, spread: float) -> float:
        discount = [math.exp(-rate * time) for time in [0.0, *times]]
        coupons = [before / after - 1 + 0.005 for before, after in pairwise(discount)]
        paid = [*coupons[:-1], coupons[-1] + 1]
        return sum(amount * after * math.exp(-spread * time) for amount, after, time in zip(paid, discount[1:], times, strict=True))

    spread = brentq(lambda spread: price(0.04, spread) - 0.8, -1.0, 1.0, xtol=1e-14)
    assert unit_value_of(market, "NOTE") == pytest.approx(0.8, rel=1e-12)
    assert legs_of(market, "NOTE")["USD-RATES"][0] == pytest.approx(price(0.06, spread) - 0.8, rel=1e-9)


def test_a_swap_that_was_stated_earlier_accrues_on_at_the_shortest_rate_of_today():
    held = [a_swap("NOW"), a_swap("STALE", accrued_until=date(2026, 2, 20)), a_swap("MISSED", accrued_until=date(2025, 9, 1))]
    market = revalue([*ASSETS, *held], a_snapshot(), {"zero:USD:1M": 0.01})
    stale = unit_value_of(market, "STALE") - unit_value_of(market, "NOW")
    assert stale == pytest.approx(1.0195 * math.expm1(0.041 * 10 / 365), rel=1e-9)
    missed = unit_value_of(market, "MISSED") - unit_value_of(market, "NOW")
    assert missed == pytest.approx(math.exp(0.041 * 168 / 365) - 1.0195, rel=1e-9)


def test_a_swap_gains_when_rates_rise_and_a_note_hardly_moves():
    rise = {f"zero:USD:{tenor}": 0.01 for tenor in ("1M", "1Y", "5Y", "30Y")}
    market = revalue([*ASSETS, a_swap(), a_note()], a_snapshot(), rise)
    assert legs_of(market, "SWAP").keys() == legs_of(market, "NOTE").keys() == {"USD-RATES"}
    assert legs_of(market, "SWAP")["USD-RATES"][0] > 0.05
    assert abs(legs_of(market, "NOTE")["USD-RATES"][0]) < 0.0035


def test_a_marked_bond_future_keeps_its_basis_in_points():
    rise = {f"zero:USD:{tenor}": 0.01 for tenor in ("1M", "1Y", "5Y", "30Y")}
    plain, marked = (revalue([*ASSETS, a_bond_future()], a_snapshot(marks=marks), rise) for marks in ({}, {"BOND-FUTURE": "110"}))
    assert unit_value_of(marked, "BOND-FUTURE") == 110_000
    np.testing.assert_allclose(legs_of(marked, "BOND-FUTURE")["USD-RATES"], legs_of(plain, "BOND-FUTURE")["USD-RATES"], rtol=1e-12)


def test_an_option_on_a_cross_has_the_legs_of_both_currencies_and_its_volatility_in_one():
    option = an_fx_option(settlement="GBP", strike="0.85")
    moves = [{"vol:EURGBP:6M": 0.5}, {"fx:EUR": 0.1, "fx:GBP": 0.1}, {"fx:EUR": 0.1}]
    legs = legs_of(revalue([*ASSETS, option], a_snapshot(), *moves), "FX-OPTION")
    assert legs.keys() == {"EUR", "GBP"}
    assert legs["EUR"][0] > 0.0
    assert legs["GBP"][0] == pytest.approx(0.0, abs=1e-15)
    value = unit_value_of(revalue([*ASSETS, option], a_snapshot(), {}), "FX-OPTION")
    assert legs["EUR"][1] + legs["GBP"][1] == pytest.approx(value * math.expm1(0.1))


def test_a_marked_american_option_keeps_the_ratio_of_its_own_volatility():
    """Marked at what a volatility a tenth above the surface's makes it worth."""
    plain = revalue([*ASSETS, an_american_option()], a_snapshot({"vol:BTC:1M": "0.605", "vol:BTC:6M": "0.715"}), {"spot:BTC": 0.05})
    mark = Decimal(f"{unit_value_of(plain, 'AMERICAN'):.12f}")
    marked = revalue([*ASSETS, an_american_option()], a_snapshot(marks={"AMERICAN": mark}), {"spot:BTC": 0.05})
    np.testing.assert_allclose(legs_of(marked, "AMERICAN")["BTC"], legs_of(plain, "AMERICAN")["BTC"], rtol=1e-8)
