"""Daily history of risk factors in a wide CSV file: a date, then a column for each factor."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Final

from crossmargin_cli.failures import CommandError
from crossmargin_cli.render import counted

_FACTOR: Final = re.compile(
    r"(?:(?:spot|fx):[A-Z0-9][A-Za-z0-9._-]{0,63}|(?:zero|vol|basis|spread|price):[A-Z0-9][A-Za-z0-9._-]{0,63}:[1-9]\d{0,2}[DWMY])",
    re.ASCII,
)
_FACTOR_WORDS: Final = "spot:NAME, fx:CURRENCY, and zero, vol, basis, spread or price:NAME:TENOR"
_PLACES: Final = 18
_MOST_FAULTS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """How the columns of a file become risk factors.

    Attributes:
        factor_of: Risk factor of a column that is not named after it.
        scale_of: What to multiply levels by, for each beginning of a factor's name; the longest that fits holds.
        ignored: Columns to leave out.
    """

    factor_of: Mapping[str, str] = field(default_factory=dict)
    scale_of: Mapping[str, Decimal] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def scale(self, factor: str) -> Decimal:
        """Return what to multiply the levels of a factor by."""
        fitting = [prefix for prefix in self.scale_of if factor.startswith(prefix)]
        return self.scale_of[max(fitting, key=len)] if fitting else Decimal(1)


@dataclass(frozen=True, slots=True)
class History:
    """Levels of risk factors by date; None where the file has no value."""

    dates: tuple[date, ...]
    columns: Mapping[str, tuple[Decimal | None, ...]]

    @property
    def level_count(self) -> int:
        """Number of levels that are there."""
        return sum(level is not None for column in self.columns.values() for level in column)


def read_history_file(path: Path, rules: ColumnRules) -> History:
    """Return the history in a file, which may be compressed with gzip.

    Raises:
        CommandError: When the file or its header cannot be read, or naming the lines of the rows that cannot.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header, *rows = [(reader.line_num, row) for row in reader if row]
    except ValueError:
        raise CommandError(f"{path} is empty") from None
    except csv.Error as error:
        raise CommandError(f"{path}, line {reader.line_num}: {error}") from None
    factors = _factors(path, header[1], rules)
    faults: list[str] = []
    dates: list[date] = []
    levels: list[list[Decimal | None]] = []
    for line, row in rows:
        try:
            day = _date(row, after=dates[-1] if dates else None)
            levels.append(_levels(row, factors, len(header[1]), rules))
            dates.append(day)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    _refuse(path, faults, dates)
    return History(tuple(dates), {factor: tuple(row[place] for row in levels) for place, factor in enumerate(factors.values())})


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text", next_step="save it as CSV in UTF-8") from None


def _factors(path: Path, header: Sequence[str], rules: ColumnRules) -> dict[int, str]:
    """Return the risk factor at each place of a row that holds one."""
    names = [name.strip() for name in header]
    factors = {place: rules.factor_of.get(name, name) for place, name in enumerate(names) if place and name not in rules.ignored}
    unknown = [names[place] for place, factor in factors.items() if not _FACTOR.fullmatch(factor)]
    if unknown:
        raise CommandError(
            f"{path}: columns {', '.join(unknown)} are not risk factors ({_FACTOR_WORDS})",
            next_step=f"say which they are: --map {unknown[0]}=spot:{unknown[0]}, or leave them out: --ignore {unknown[0]}",
        )
    unused = [name for name in (*rules.factor_of, *rules.ignored) if name not in names]
    repeated = sorted({factor for factor in factors.values() if list(factors.values()).count(factor) > 1})
    if unused or repeated or not factors:
        what = (
            f"there is no column {unused[0]}" if unused else f"{repeated[0]} appears twice" if repeated else "there is no column of levels"
        )
        raise CommandError(f"{path}: {what}; the first line was {','.join(names)[:200]}")
    return factors


def _date(row: Sequence[str], *, after: date | None) -> date:
    try:
        day = date.fromisoformat(row[0].strip())
    except ValueError:
        raise ValueError(f"date was {row[0]!r}; expected one such as 2026-11-20") from None
    if after is not None and day <= after:
        raise ValueError(f"date {day} does not come after {after}; dates ascend without repeats")
    return day


def _levels(row: Sequence[str], factors: Mapping[int, str], width: int, rules: ColumnRules) -> list[Decimal | None]:
    if len(row) != width:
        raise ValueError(f"{len(row)} cells; the header has {width}")
    return [_level(row[place].strip(), factor, rules.scale(factor)) for place, factor in factors.items()]


def _level(text: str, factor: str, scale: Decimal) -> Decimal | None:
    if not text:
        return None
    try:
        with localcontext(prec=60):
            level = round(Decimal(text) * scale, _PLACES)
    except InvalidOperation:
        level = Decimal("nan")
    if not level.is_finite():
        raise ValueError(f"{factor} was {text!r}; expected a number, or nothing where there is none")
    return level


def _refuse(path: Path, faults: Sequence[str], dates: Sequence[date]) -> None:
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN])
        more = f"\n  and {len(faults) - _MOST_FAULTS_SHOWN} more" if len(faults) > _MOST_FAULTS_SHOWN else ""
        raise CommandError(f"{path}: {counted(len(faults), 'line')} cannot be read and nothing was sent\n{shown}{more}")
    if not dates:
        raise CommandError(f"{path} has a header and no dates")
