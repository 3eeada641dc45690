"""The rule picks the worst days each way, for every leading factor, once each, and no weekend for a market that is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.risk_parameters import CrisisWindow
from crossmargin.engine.scenarios.history_arrays import known_history
from tests.unit.engine.scenarios.histories import a_history
from tests.validation.crisis_days import chosen_days, days_are_by_rule

MONDAY = date(2024, 1, 1)
FLAT = [100.0] * 40


def day(offset):
    return MONDAY + timedelta(days=offset)


def rules(*windows):
    return replace(
        standard_parameters(), crisis_windows=tuple(CrisisWindow(f"w{place}", "house", *days) for place, days in enumerate(windows))
    )


def history(**columns):
    return known_history(a_history({name.replace("_", ":"): column for name, column in columns.items()}), rules())


def with_step(at, factor, *, base=None):
    column = list(base or FLAT)
    return [level * (factor if place >= at else 1.0) for place, level in enumerate(column)]


def test_the_worst_fall_and_the_worst_rise_are_chosen_from_all_windows_together():
    levels = history(spot_BTC=with_step(20, 1.5, base=with_step(5, 0.7)))
    found = chosen_days(levels, rules((day(0), day(9)), (day(15), day(25))), each_way=1)
    assert found == {"w0": (day(3),), "w1": (day(18),)}  # two calendar days later it has happened


def test_a_day_that_two_factors_choose_is_there_once():
    levels = history(spot_BTC=with_step(5, 0.7), spot_ETH=with_step(5, 0.6))
    assert chosen_days(levels, rules((day(2), day(5))), each_way=1)["w0"].count(day(3)) == 1


def test_a_closed_market_chooses_no_weekend():
    """The fall of Monday 8 January is the move from Friday, Saturday and Sunday alike; Friday and Thursday hold it on working days."""
    closed = [None if day(offset).weekday() >= 5 else level for offset, level in enumerate(with_step(7, 0.9))]
    found = chosen_days(history(fx_EUR=closed), rules((day(0), day(9))), each_way=2)["w0"]
    assert day(3) in found
    assert day(4) in found
    assert not {day(5), day(6)} & set(found)


def test_other_days_than_the_rules_are_found_out():
    levels = history(spot_BTC=with_step(5, 0.7))
    window = rules((day(0), day(30))).crisis_windows[0]
    by_rule = chosen_days(levels, rules((day(0), day(30))))["w0"]
    assert days_are_by_rule(levels, replace(rules(), crisis_windows=(replace(window, days=by_rule),)))
    assert not days_are_by_rule(levels, replace(rules(), crisis_windows=(replace(window, days=by_rule[1:]),)))
