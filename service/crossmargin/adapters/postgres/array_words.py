"""Columns in the words in which PostgreSQL reads an array: made at once, where the driver would look for the type of every value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal


def text_array(values: Iterable[str]) -> str:
    r"""Return an array of texts. Every one is quoted, so that none is read as NULL, or as several.

    >>> print(text_array(["main", "NULL", 'a "b" \\ c']))
    {"main","NULL","a \"b\" \\ c"}
    """
    return _array(map(_quoted, values))


def bytes_array(values: Iterable[bytes]) -> str:
    r"""Return an array of byte strings.

    >>> print(bytes_array([b"ab", b""]))
    {"\\x6162","\\x"}
    """
    return _array(f'"\\\\x{value.hex()}"' for value in values)


def number_array(values: Iterable[int | Decimal]) -> str:
    """Return an array of numbers, with all their digits.

    >>> number_array([1, Decimal("-0.50"), Decimal("1E+3")])
    '{1,-0.50,1E+3}'
    """
    return _array(map(str, values))


def moment_array(values: Iterable[datetime]) -> str:
    """Return an array of moments, which have a time zone.

    >>> from datetime import UTC
    >>> moment_array([datetime(2026, 7, 1, 12, 30, 0, 5, tzinfo=UTC)])
    '{"2026-07-01 12:30:00.000005+00:00"}'
    """
    return _array(f'"{value}"' for value in values)


def _array(words: Iterable[str]) -> str:
    return "{" + ",".join(words) + "}"


def _quoted(value: str) -> str:
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
