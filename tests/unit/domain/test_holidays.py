"""Calendars of holidays are those that are published, and move days by the rule of the contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from crossmargin.domain.errors import DomainError
from crossmargin.domain.holidays import HolidayCalendar, holidays_of, is_holiday
from crossmargin.domain.schedule import adjusted
from crossmargin.domain.terms.rates import BusinessDayRule
from tests.unit.domain import instruments as the

FOLLOWING = BusinessDayRule.MODIFIED_FOLLOWING
PUBLISHED = {
    # European Central Bank, TARGET long-term calendar
    HolidayCalendar.TARGET: ["2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-12-25"],
    # SIFMA, holiday schedule of the US: some that banks do not share with exchanges
    HolidayCalendar.US_GOVERNMENT_BONDS: ["2026-01-19", "2026-06-19", "2026-10-12", "2026-11-11", "2026-11-26"],
    # gov.uk, bank holidays of England and Wales: substitute days among them
    HolidayCalendar.LONDON: ["2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28"],
    # Cabinet Office of Japan, and the banks' own new year
    HolidayCalendar.TOKYO: ["2026-01-02", "2026-01-12", "2026-05-06", "2026-09-22", "2026-12-31"],
}


@pytest.mark.parametrize("calendar", PUBLISHED, ids=lambda each: each.value)
def test_published_holidays_are_known(calendar):
    holidays = holidays_of(calendar, 2026)
    assert {str(day) for day in holidays} >= set(PUBLISHED[calendar])
    assert list(holidays) == sorted(holidays)
    assert all(day.weekday() < 5 and is_holiday(day, calendar) for day in holidays)
    assert not is_holiday(date(2026, 7, 14), calendar)


def test_those_of_target_are_all():
    assert [str(day) for day in holidays_of(HolidayCalendar.TARGET, 2026)] == PUBLISHED[HolidayCalendar.TARGET]


def test_nobodys_holidays_are_none():
    assert holidays_of(HolidayCalendar.WEEKENDS, 2026) == ()


@pytest.mark.parametrize(
    ("day", "calendar", "paid"),
    [
        (date(2026, 4, 3), HolidayCalendar.TARGET, date(2026, 4, 7)),  # Good Friday, a weekend, Easter Monday
        (date(2024, 3, 29), HolidayCalendar.TARGET, date(2024, 3, 28)),  # the same across the end of a month
        (date(2026, 4, 3), HolidayCalendar.TOKYO, date(2026, 4, 3)),
        (date(2026, 1, 1), HolidayCalendar.WEEKENDS, date(2026, 1, 1)),
        (date(2026, 12, 31), HolidayCalendar.TOKYO, date(2026, 12, 30)),
    ],
)
def test_a_holiday_moves_a_day_by_the_rule(day, calendar, paid):
    assert adjusted(day, FOLLOWING, calendar) == paid
    assert adjusted(day, BusinessDayRule.UNADJUSTED, calendar) == day


@pytest.mark.parametrize("terms", [the.NOTE.terms, the.SWAP.terms], ids=lambda each: type(each).__name__)
def test_a_calendar_that_could_move_nothing_is_refused(terms):
    with pytest.raises(DomainError, match="calendar TARGET moves no day while days stay where they are"):
        replace(terms, calendar=HolidayCalendar.TARGET, business_days=BusinessDayRule.UNADJUSTED)
    known = replace(terms, calendar=HolidayCalendar.TARGET, business_days=FOLLOWING)
    with pytest.raises(DomainError, match="after 2199, the last year whose holidays are known"):
        replace(known, maturity_date=date(2200, 1, 1))
    assert replace(known, maturity_date=date(2200, 1, 1) - timedelta(days=1)).calendar is HolidayCalendar.TARGET
