"""Moments and days as they go over the wire: a moment has a zone, a day has none."""

from __future__ import annotations

from datetime import UTC, date, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date


def timestamp_of(moment: datetime, *, field: str) -> Timestamp:
    """Return the wire form of a moment.

    Raises:
        ValueError: For a moment without a time zone, which means another moment in every place.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(
            f"{field} was {moment.isoformat()} without a time zone; write {field}=datetime(..., tzinfo=UTC) or "
            f"moment.astimezone(), for example {moment.replace(tzinfo=UTC).isoformat()}"
        )
    wire = Timestamp()
    wire.FromDatetime(moment)
    return wire


def optional_timestamp(moment: datetime | None, *, field: str) -> Timestamp | None:
    """Return the wire form of a moment that may be left out; raises as `timestamp_of`."""
    return None if moment is None else timestamp_of(moment, field=field)


def moment_of(wire: Timestamp) -> datetime:
    """Return a moment of an answer, in UTC."""
    return wire.ToDatetime(tzinfo=UTC)


def date_of(day: date, *, field: str) -> Date:
    """Return the wire form of a day.

    Raises:
        TypeError: For a datetime, whose day depends on a time zone.
    """
    if isinstance(day, datetime):
        raise TypeError(f"{field} was the datetime {day.isoformat()}; expected a date: which day it is depends on a time zone")
    return Date(year=day.year, month=day.month, day=day.day)


def optional_date(day: date | None, *, field: str) -> Date | None:
    """Return the wire form of a day that may be left out; raises as `date_of`."""
    return None if day is None else date_of(day, field=field)
