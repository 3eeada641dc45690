"""Days on which an instrument accrues and pays, and the exact part of a year between them.

The ledger pays by these; the engine values by arrays of the same days, and a test holds the two together.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from crossmargin.domain.holidays import HolidayCalendar, is_holiday
from crossmargin.domain.terms.rates import BusinessDayRule, DayCount

_MONTHS_PER_YEAR: Final = 12
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class AccrualPeriod:
    """One period of a coupon.

    Attributes:
        start: Its first day. end: The day after its last, on which it is paid.
        regular_start: Where it would start if it were whole; differs from its start in a short first period only.
        per_year: Whole periods in a year.
    """

    start: date
    end: date
    regular_start: date
    per_year: int


def payment_days(start: date, maturity: date, *, per_year: int) -> tuple[date, ...]:
    """Return the days later than `start` that lie whole periods before `maturity`, ascending; each is rolled back from maturity itself.

    >>> [str(day) for day in payment_days(date(2026, 1, 1), date(2027, 8, 31), per_year=2)]
    ['2026-02-28', '2026-08-31', '2027-02-28', '2027-08-31']
    """
    step = _MONTHS_PER_YEAR // per_year
    days: list[date] = []
    months = 0
    while (day := months_before(maturity, months)) > start:
        days.append(day)
        months += step
    return tuple(reversed(days))


def accrual_periods(
    start: date, maturity: date, *, per_year: int, rule: BusinessDayRule, calendar: HolidayCalendar = HolidayCalendar.WEEKENDS
) -> tuple[AccrualPeriod, ...]:
    """Return the periods from `start` to `maturity`, ascending; the first may be short. Days are adjusted by the rule."""
    ends = payment_days(start, maturity, per_year=per_year)
    bounds = [adjusted(day, rule, calendar) for day in (start, *ends)]
    whole_start = months_before(maturity, _MONTHS_PER_YEAR // per_year * len(ends))
    first_regular = bounds[0] if whole_start == start else whole_start
    regular = [first_regular, *bounds[1:-1]]
    return tuple(AccrualPeriod(*days, per_year) for days in zip(bounds[:-1], bounds[1:], regular, strict=True))


def year_fraction(period: AccrualPeriod, day_count: DayCount) -> Fraction:
    """Return the part of a year that a period counts for, exactly (ISDA 2006 section 4.16; act/act is ICMA rule 251)."""
    days = (period.end - period.start).days
    match day_count:
        case DayCount.ACT_360:
            return Fraction(days, 360)
        case DayCount.ACT_365F:
            return Fraction(days, 365)
        case DayCount.THIRTY_360:
            return Fraction(_thirty_360_days(period.start, period.end), 360)
        case DayCount.ACT_ACT_ICMA:
            return Fraction(days, (period.end - period.regular_start).days * period.per_year)


def months_before(day: date, months: int) -> date:
    """Return the day so many months earlier, on the same day of the month or its last one."""
    whole = day.year * _MONTHS_PER_YEAR + day.month - 1 - months
    year, month = divmod(whole, _MONTHS_PER_YEAR)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def adjusted(day: date, rule: BusinessDayRule, calendar: HolidayCalendar = HolidayCalendar.WEEKENDS) -> date:
    """Return the day on which a schedule's day is paid."""
    if rule is BusinessDayRule.UNADJUSTED:
        return day
    following = _next_open(day, calendar, timedelta(days=1))
    return following if following.month == day.month else _next_open(day, calendar, timedelta(days=-1))


def _next_open(day: date, calendar: HolidayCalendar, step: timedelta) -> date:
    while day.weekday() >= _SATURDAY or is_holiday(day, calendar):
        day += step
    return day


def _thirty_360_days(start: date, end: date) -> int:
    first = min(start.day, 30)
    last = 30 if end.day == 31 and first == 30 else end.day
    return 30 * ((end.year - start.year) * _MONTHS_PER_YEAR + end.month - start.month) + last - first
