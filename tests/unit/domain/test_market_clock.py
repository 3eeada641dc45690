"""When markets are open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.market_clock import HorizonClock, WeeklyClose, open_time_between

CLOSE = WeeklyClose(friday_hour=21, sunday_hour=22)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(day, hour=0):
    return MONDAY + timedelta(days=day, hours=hour)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (at(0, 9), at(0, 17), 8),
        (at(4, 20), at(4, 21), 1),
        (at(4, 21), at(6, 22), 0),
        (at(4, 20), at(5, 12), 1),
        (at(5, 12), at(6, 23), 1),
        (at(4, 20), at(7, 1), 4),
        (at(0), at(7), 7 * 24 - 49),
        (at(0), at(70), 10 * (7 * 24 - 49)),
        (at(7, 1), at(4, 20), -4),
    ],
)
def test_business_markets_age_only_while_they_are_open(start, end, hours):
    assert open_time_between(start, end, HorizonClock.BUSINESS, CLOSE) == hours * HOUR


def test_calendar_markets_never_close_and_a_time_before_is_negative():
    assert open_time_between(at(4, 20), at(7, 1), HorizonClock.CALENDAR, CLOSE) == 53 * HOUR
    assert open_time_between(at(1), at(0, 23), HorizonClock.CALENDAR, CLOSE) == -HOUR


@pytest.mark.parametrize(
    ("close", "hours"), [(WeeklyClose(0, 24), 1), (WeeklyClose(0, 0), 25), (WeeklyClose(24, 24), 25), (WeeklyClose(24, 0), 49)]
)
def test_the_weekly_close_decides_what_is_left_of_friday_and_sunday(close, hours):
    assert open_time_between(at(4), at(7, 1), HorizonClock.BUSINESS, close) == hours * HOUR


@given(st.integers(0, 40_000), st.integers(0, 40_000), st.integers(0, 40_000))
def test_open_time_adds_up(one, two, three):
    first, middle, last = (MONDAY + timedelta(minutes=minutes) for minutes in sorted((one, two, three)))

    def opened(start, end):
        return open_time_between(start, end, HorizonClock.BUSINESS, CLOSE)

    assert opened(first, middle) + opened(middle, last) == opened(first, last)
    assert timedelta(0) <= opened(first, last) <= last - first
