"""The demo's market and institutions are whole, consistent, and the same on every machine."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.market import FactorId
from crossmargin_cli.demo_data.institutions import INSTITUTIONS, instruments
from crossmargin_cli.demo_data.loading import account_names
from crossmargin_cli.demo_data.market import AS_OF, DAY_COUNT, LAST_DAY, SEED, moved, simulated_history, todays_levels, todays_marks

HISTORY = simulated_history()


def test_the_simulation_is_the_same_every_time():
    assert simulated_history() == HISTORY


def test_every_factor_belongs_to_an_offset_group_of_the_shipped_parameters():
    groups = standard_parameters().group_of_curve
    curves = {FactorId.parse(factor).curve for factor in (*HISTORY.columns, *todays_levels())}
    assert curves - set(groups) == set()


def test_every_level_of_today_has_a_history_or_a_proxy_and_follows_on_from_it():
    proxied = standard_parameters().proxy_of_curve
    for factor, level in todays_levels().items():
        if factor in HISTORY.columns:
            assert HISTORY.columns[factor][-1] == level, factor
        else:
            assert FactorId.parse(factor).curve in proxied, factor


def test_history_is_long_enough_and_ends_on_the_day_of_the_snapshot():
    assert HISTORY.dates[-1] == LAST_DAY == AS_OF.date()
    assert len(HISTORY.dates) == DAY_COUNT > standard_parameters().observation_count
    assert {later - earlier for earlier, later in zip(HISTORY.dates, HISTORY.dates[1:], strict=False)} == {timedelta(days=1)}


def test_currencies_and_rates_rest_on_weekends_and_coins_never_do():
    weekend = [place for place, day in enumerate(HISTORY.dates) if day.weekday() >= 5]
    for factor, column in HISTORY.columns.items():
        rests = factor.startswith(("fx:", "zero:"))
        assert all((column[place] is None) == rests for place in weekend), factor
        assert sum(level is None for level in column) == (len(weekend) if rests else 0), factor


def test_prices_stay_above_zero_and_look_like_prices():
    for factor, column in HISTORY.columns.items():
        levels = [level for level in column if level is not None]
        if factor.startswith(("spot", "fx", "vol")):
            assert min(levels) > 0, factor
            assert max(levels) / min(levels) < 20, factor
        else:
            assert all(abs(level) < 1 for level in levels), factor


def test_every_instrument_of_the_books_exists_and_what_it_settles_in_comes_first():
    known: list[str] = []
    for instrument in instruments():
        terms = getattr(instrument, instrument.WhichOneof("terms"))
        for name in ("settlement", "bought", "sold"):
            assert getattr(terms, name, "") in (*known, ""), instrument.instrument_id
        known.append(instrument.instrument_id)
    used = {name for _, account, _ in account_names() for name in (*account.deposits, *(trade.instrument_id for trade in account.trades))}
    assert used - set(known) == set()


def test_every_account_has_something_to_tell():
    for institution in INSTITUTIONS:
        for account in institution.accounts:
            assert account.story.endswith(".")
            assert account.lesson.endswith(".")
            assert set(account.pledged) <= set(account.deposits)


@pytest.mark.parametrize("steps", [200])
def test_the_moving_market_keeps_its_factors_and_stays_near(steps):
    random = Random(SEED)  # noqa: S311 - a market, not a secret
    levels = {name: str(level) for name, level in todays_levels().items()}
    marks = {name: str(mark) for name, mark in todays_marks().items()}
    for _ in range(steps):
        moved_levels, moved_marks = moved(levels, marks, random)
        levels = {name: f"{level:f}" for name, level in moved_levels.items()}
        marks = {name: f"{mark:f}" for name, mark in moved_marks.items()}
    assert set(levels) == set(todays_levels())
    assert set(marks) == set(todays_marks())
    assert levels != {name: str(level) for name, level in todays_levels().items()}
    assert all(0.7 < float(levels[name]) / float(level) < 1.4 for name, level in todays_levels().items())
    assert 0.98 < float(marks["BTC-USD-PERP"]) / float(levels["spot:BTC"]) < 1.02
