"""When markets are open, and how long they have been: a price ages only while somebody could have made another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, unique
from typing import Final

_WEEK: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_MONDAY: Final = datetime(1, 1, 1, tzinfo=UTC)
"""A Monday at midnight; any would do."""
_FRIDAY: Final = 4
_SUNDAY: Final = 6


@unique
class HorizonClock(Enum):
    """How the days of a margin period of risk are counted, and when prices age."""

    CALENDAR = "calendar"
    """Every UTC day: markets that never close."""
    BUSINESS = "business"
    """Monday to Friday."""


@dataclass(frozen=True, slots=True)
class WeeklyClose:
    """When markets of business days are closed: from an hour of Friday to an hour of Sunday, both UTC, 0 to 24."""

    friday_hour: int
    sunday_hour: int


def open_time_between(start: datetime, end: datetime, clock: HorizonClock, close: WeeklyClose) -> timedelta:
    """Return how long the market was open from `start` to `end`; negative when `end` is the earlier one, and never made zero.

    A closed market carries its last price, so that Monday's gap meets the weekend's.

    >>> friday, monday = datetime(2026, 3, 6, 20, tzinfo=UTC), datetime(2026, 3, 9, 1, tzinfo=UTC)
    >>> open_time_between(friday, monday, HorizonClock.BUSINESS, WeeklyClose(21, 22)) / timedelta(hours=1)
    4.0
    >>> open_time_between(friday, monday, HorizonClock.CALENDAR, WeeklyClose(21, 22)) / timedelta(hours=1)
    53.0
    """
    if clock is HorizonClock.CALENDAR:
        return end - start
    return _open_since_monday_one(end, close) - _open_since_monday_one(start, close)


def _open_since_monday_one(moment: datetime, close: WeeklyClose) -> timedelta:
    closed_from, closed_to = _FRIDAY * _DAY + timedelta(hours=close.friday_hour), _SUNDAY * _DAY + timedelta(hours=close.sunday_hour)
    weeks, into_week = divmod(moment - _MONDAY, _WEEK)
    closed = max(timedelta(0), min(into_week, closed_to) - closed_from)
    return weeks * (_WEEK - (closed_to - closed_from)) + into_week - closed
