"""A history grows thinner with age and loses no change of a band."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band
from crossmargin.domain.margin_history import HistoryTiers, check_one_run, margin_point, runs_to_thin
from crossmargin.domain.methodology import Methodology
from tests.unit.adapters.prometheus.results import a_result, an_account

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TIERS = HistoryTiers(timedelta(hours=1), timedelta(days=1), timedelta(days=30))


def runs_every(step: timedelta, *, count: int, until: datetime = NOW):
    return [(count - place, until - place * step) for place in range(count)]


@pytest.mark.parametrize(
    ("age", "step", "kept"),
    [
        (timedelta(0), timedelta(seconds=2), 100),
        (timedelta(hours=2), timedelta(seconds=2), 5),
        (timedelta(days=3), timedelta(minutes=1), 3),
        (timedelta(days=40), timedelta(hours=1), 5),
    ],
)
def test_the_last_run_of_each_minute_hour_and_day_is_kept(age, step, kept):
    runs = runs_every(step, count=100, until=NOW - age)
    doomed = set(runs_to_thin(runs, NOW, TIERS))
    assert len(runs) - len(doomed) == kept
    assert 100 not in doomed


@given(st.lists(st.integers(0, 60 * 24 * 60), min_size=1, max_size=40, unique=True))
def test_thinning_again_at_the_same_moment_takes_out_nothing(ages):
    runs = [(place, NOW - timedelta(minutes=age)) for place, age in enumerate(sorted(ages, reverse=True))]
    doomed = set(runs_to_thin(runs, NOW, TIERS))
    assert runs_to_thin([run for run in runs if run[0] not in doomed], NOW, TIERS) == []


def test_tiers_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="ascend"):
        HistoryTiers(timedelta(hours=2), timedelta(hours=1), timedelta(days=1))


def test_a_point_is_a_change_when_the_band_is_another_or_the_first():
    states = [BandState(Band.WATCH), BandState(Band.AT_RISK)]
    assert margin_point(a_result(), None, states[0]).is_change
    assert margin_point(a_result(), states[0], states[1]).is_change
    assert not margin_point(a_result(), states[0], states[0]).is_change


def test_points_of_one_run_share_everything_but_account_sequence_and_methodology():
    state = BandState(Band.WATCH)
    first = margin_point(a_result(), None, state)
    other = margin_point(a_result(an_account("beta")), None, state)
    stamp = replace(other.stamp, sequence=9, methodology=Methodology.RATIO)
    check_one_run([first, replace(other, stamp=stamp)])
    with pytest.raises(ValueError, match="one house run"):
        check_one_run([first, replace(other, stamp=replace(other.stamp, parameters_hash="another"))])
    with pytest.raises(ValueError, match="one for each account"):
        check_one_run([first, first])
