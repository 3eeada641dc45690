"""Days that a schedule gives, and the part of a year between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.holidays import HolidayCalendar, holidays_of
from crossmargin.domain.instrument import BusinessDayRule, DayCount

_MONTHS_PER_YEAR: Final = 12


@dataclass(frozen=True, eq=False)
class AccrualPeriods:
    """Consecutive periods [D] of a coupon, ascending.

    Attributes:
        starts: First day of each. ends: Day after the last, on which it is paid.
        regular_starts: Where the period would start if it were whole; differs from its start in a short first period only.
        per_year: Whole periods in a year.
    """

    starts: NDArray[np.datetime64]
    ends: NDArray[np.datetime64]
    regular_starts: NDArray[np.datetime64]
    per_year: int


def rolled_days(maturity: date, *, per_year: int, after: date) -> NDArray[np.datetime64]:
    """Return the days later than `after` that lie whole periods before `maturity`, ascending; the last one is `maturity` itself.

    Each is rolled back from the maturity date itself, so that a short month on the way does not move the days before it: from
    31 August a half year is 28 February and a year is 31 August.

    >>> [str(day) for day in rolled_days(date(2027, 8, 31), per_year=2, after=date(2026, 1, 1))]
    ['2026-02-28', '2026-08-31', '2027-02-28', '2027-08-31']
    """
    maturity_month = np.datetime64(maturity, "M")
    step = _MONTHS_PER_YEAR // per_year
    count = max(int((maturity_month - np.datetime64(after, "M")).astype(np.int64)) // step + 1, 0)
    days = _rolled_back(maturity, step * np.arange(count)[::-1])
    later: NDArray[np.datetime64] = days[days > np.datetime64(after, "D")]
    return later


def accrual_periods(
    start: date,
    maturity: date,
    *,
    per_year: int,
    rule: BusinessDayRule,
    after: date,
    calendar: HolidayCalendar = HolidayCalendar.WEEKENDS,
) -> AccrualPeriods:
    """Return the periods from `start` to `maturity` that end later than `after`; the first of all may be short."""
    ends = rolled_days(maturity, per_year=per_year, after=start)
    step = _MONTHS_PER_YEAR // per_year
    whole = _rolled_back(maturity, np.array([step * len(ends)]))
    bounds = _adjusted(np.concatenate([[np.datetime64(start, "D")], ends]), rule, calendar)
    regular = bounds[:-1].copy()
    if whole[0] != np.datetime64(start, "D"):
        regular[0] = whole[0]
    left = bounds[1:] > np.datetime64(after, "D")
    return AccrualPeriods(bounds[:-1][left], bounds[1:][left], regular[left], per_year)


def year_fractions(periods: AccrualPeriods, day_count: DayCount) -> NDArray[np.float64]:
    """Return [D] the part of a year that each period counts for.

    Act/360, act/365F and 30/360 (bond basis) are those of the 2006 ISDA Definitions, section 4.16; act/act is ICMA rule 251: the days
    of the period over those of the whole period, by its share of a year.
    """
    match day_count:
        case DayCount.ACT_360:
            return _days(periods.starts, periods.ends) / 360.0
        case DayCount.ACT_365F:
            return _days(periods.starts, periods.ends) / 365.0
        case DayCount.THIRTY_360:
            return _thirty_360_days(periods.starts, periods.ends) / 360.0
        case DayCount.ACT_ACT_ICMA:
            whole = _days(periods.regular_starts, periods.ends)
            return _days(periods.starts, periods.ends) / (whole * periods.per_year)


def _rolled_back(maturity: date, months: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return the days so many months before maturity, on the same day of the month or its last one."""
    rolled = np.datetime64(maturity, "M") - months
    starts = rolled.astype("datetime64[D]")
    lengths = ((rolled + 1).astype("datetime64[D]") - starts).astype(np.int64)
    days: NDArray[np.datetime64] = starts + np.minimum(maturity.day, lengths) - 1
    return days


def _adjusted(days: NDArray[np.datetime64], rule: BusinessDayRule, calendar: HolidayCalendar) -> NDArray[np.datetime64]:
    if rule is BusinessDayRule.UNADJUSTED:
        return days
    first, last = (int(days[place].astype("datetime64[Y]").astype(np.int64)) + 1970 for place in (0, -1))
    closed = [day for year in range(first, last + 1) for day in holidays_of(calendar, year)]
    return np.busday_offset(days, 0, roll="modifiedfollowing", holidays=np.array(closed, dtype="datetime64[D]"))


def _days(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> NDArray[np.float64]:
    days: NDArray[np.float64] = (ends - starts).astype(np.float64)
    return days


def _thirty_360_days(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> NDArray[np.float64]:
    first, last = np.minimum(_day_of_month(starts), 30.0), _day_of_month(ends)
    last = np.where((last == 31.0) & (first == 30.0), 30.0, last)
    months = (ends.astype("datetime64[M]") - starts.astype("datetime64[M]")).astype(np.float64)
    days: NDArray[np.float64] = 30.0 * months + last - first
    return days


def _day_of_month(days: NDArray[np.datetime64]) -> NDArray[np.float64]:
    day: NDArray[np.float64] = (days - days.astype("datetime64[M]")).astype(np.float64) + 1.0
    return day
