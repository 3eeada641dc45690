"""Calendars of holidays on the wire: of instruments, and of what is agreed about margin calls."""

from __future__ import annotations

from typing import Final

from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.domain.holidays import HolidayCalendar

CALENDARS: Final = {
    pb.HOLIDAY_CALENDAR_UNSPECIFIED: HolidayCalendar.WEEKENDS,
    pb.HOLIDAY_CALENDAR_TARGET: HolidayCalendar.TARGET,
    pb.HOLIDAY_CALENDAR_US_GOVERNMENT_BONDS: HolidayCalendar.US_GOVERNMENT_BONDS,
    pb.HOLIDAY_CALENDAR_LONDON: HolidayCalendar.LONDON,
    pb.HOLIDAY_CALENDAR_TOKYO: HolidayCalendar.TOKYO,
}
