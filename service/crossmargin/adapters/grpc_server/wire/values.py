"""Names, decimals, times and dates on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.money import EXACT, format_decimal

K = TypeVar("K")
V = TypeVar("V")

MAIN_BOOK: Final = "main"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND: Final = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_LAST_SECOND: Final = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds())
_FRACTION_UNIT: Final = Decimal("1e-12")
_ACCOUNT_WORDS: Final = "clients/{client}/accounts/{account}"


def account_ref_from_name(name: str, *, what: str) -> AccountRef:
    """Return the account that a resource name spells; INVALID_IDENTIFIER for anything but clients/{client}/accounts/{account}."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "clients" or parts[2] != "accounts":
        raise DomainError(
            Reason.INVALID_IDENTIFIER,
            f"{what} was {name[:80]!r}; expected {_ACCOUNT_WORDS}",
            noun=what,
            value=name[:80],
            expected=_ACCOUNT_WORDS,
        )
    return AccountRef(ClientId(parts[1]), AccountId(parts[3]))


def book_id_from_text(text: str) -> BookId:
    """Return the book of that name; the main one when none is named."""
    return BookId(text or MAIN_BOOK)


def printable(text: str, *, what: str) -> str:
    """Return a text for people if it can be printed on one line; INVALID_ARGUMENT otherwise. It may be empty."""
    if text and not text.isprintable():
        expected = "printable characters on one line"
        raise DomainError(
            Reason.INVALID_ARGUMENT, f"{what} was {text[:60]!r}; expected {expected}", field=what, value=text[:60], expected=expected
        )
    return text


def moment_from_message(message: Timestamp, *, what: str) -> datetime:
    """Return a timestamp as a UTC time.

    Raises:
        DomainError: INVALID_TIMESTAMP outside the years 1 to 9999, for nanoseconds that are no fraction of a second, and for a time
            finer than a microsecond, which could not be stored as it is.
    """
    if not _FIRST_SECOND <= message.seconds <= _LAST_SECOND or not 0 <= message.nanos < 1_000_000_000:
        raise _bad_moment(message, what, "a time from year 1 to 9999 with nanos from 0 to 999999999")
    if message.nanos % 1000:
        raise _bad_moment(message, what, "no part finer than a microsecond: nanos a multiple of 1000")
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def moment_to_message(moment: datetime) -> Timestamp:
    """Return a time as a timestamp; exact."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def optional_moment_to_message(moment: datetime | None) -> Timestamp | None:
    """Return a time as a timestamp; None for none."""
    return None if moment is None else moment_to_message(moment)


def date_from_message(message: Date, *, what: str) -> date:
    """Return a full date; INVALID_ARGUMENT for one without year, month or day, and for a day that does not exist."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        shown = f"{message.year}-{message.month}-{message.day}"
        expected = "a day of the calendar with year, month and day"
        raise DomainError(
            Reason.INVALID_ARGUMENT, f"{what} was {shown}; expected {expected}", field=what, value=shown, expected=expected
        ) from None


def date_to_message(day: date) -> Date:
    """Return a date as a message."""
    return Date(year=day.year, month=day.month, day=day.day)


def optional_decimal(text: str) -> Decimal | None:
    """Return a number whose form the message has checked; None for an empty one."""
    return Decimal(text) if text else None


def format_fraction(value: Decimal) -> str:
    """Return a computed fraction as wire text: at most twelve places, rounded half to even."""
    return format_decimal(value.quantize(_FRACTION_UNIT, context=EXACT))


def inverse(mapping: Mapping[K, V]) -> dict[V, K]:
    """Return the mapping the other way round; every value must occur once."""
    turned = {value: key for key, value in mapping.items()}
    if len(turned) != len(mapping):
        raise ValueError(f"two keys have the same value in {mapping}")
    return turned


def _bad_moment(message: Timestamp, what: str, expected: str) -> DomainError:
    shown = f"{message.seconds} s and {message.nanos} ns since 1970"
    return DomainError(Reason.INVALID_TIMESTAMP, f"{what} was {shown}; expected {expected}", field=what, value=shown, expected=expected)
