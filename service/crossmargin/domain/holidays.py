"""Days on which no payments are made: weekends, and the holidays of the calendar that a contract or an agreement names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum, unique
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import QuantLib

LAST_YEAR: Final = 2199
"""The last one whose holidays the library knows."""


@unique
class HolidayCalendar(Enum):
    """Whose holidays are no business days, besides weekends: they move a schedule's day, and the day by which a call is due."""

    WEEKENDS = "weekends"
    """Nobody's."""
    TARGET = "TARGET"
    """The euro's settlement system: ESTR swaps, notes in euros."""
    US_GOVERNMENT_BONDS = "US government bonds"
    """SIFMA's recommended holidays for the trading of United States government securities: SOFR swaps, notes in dollars."""
    LONDON = "London"
    """Bank holidays of England: SONIA swaps, notes in sterling."""
    TOKYO = "Tokyo"
    """Bank holidays of Japan: TONA swaps, notes in yen."""


@cache
def holidays_of(calendar: HolidayCalendar, year: int) -> tuple[date, ...]:
    """Return the holidays of a year that are no weekends, ascending, as QuantLib keeps them.

    Holidays that governments have yet to proclaim, such as those of a coronation, are not among them: a date that moves because of one is
    another instrument.
    """
    if calendar is HolidayCalendar.WEEKENDS:
        return ()
    # Loaded by the first contract that names a calendar: it takes as long as half of the rest of a start.
    import QuantLib  # noqa: PLC0415

    days = _CALENDARS[calendar](QuantLib).holidayList(QuantLib.Date(1, 1, year), QuantLib.Date(31, 12, year))
    return tuple(day.to_date() for day in days)


def is_holiday(day: date, calendar: HolidayCalendar) -> bool:
    """Whether a day that is no weekend is one on which nothing is paid."""
    return day in holidays_of(calendar, day.year)


_CALENDARS: Final[dict[HolidayCalendar, Callable[..., QuantLib.Calendar]]] = {
    HolidayCalendar.TARGET: lambda library: library.TARGET(),
    HolidayCalendar.US_GOVERNMENT_BONDS: lambda library: library.UnitedStates(library.UnitedStates.GovernmentBond),
    HolidayCalendar.LONDON: lambda library: library.UnitedKingdom(library.UnitedKingdom.Settlement),
    HolidayCalendar.TOKYO: lambda library: library.Japan(),
}
