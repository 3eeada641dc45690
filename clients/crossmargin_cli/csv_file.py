"""A CSV file under a header: opened, its header checked, and every row that cannot be read named by its line."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeAlias, TypeVar

from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.render import counted

T = TypeVar("T")
Cells: TypeAlias = Mapping[str, str]
"""The cells of a row by column, without spaces around them; a column that the file leaves out is not there."""
_Raw: TypeAlias = Mapping[str | None, str | list[str] | None]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header has to be.

    Attributes:
        holds: What a file of this kind holds, as in "has a header and no trades".
        columns: Those there may be, in any order.
        required: Those there must be, filled in every row.
    """

    holds: str
    columns: tuple[str, ...]
    required: tuple[str, ...]


class BadRowsError(CommandError):
    """Rows that cannot be read. Nothing of the file is sent, so that it can be put right and sent whole."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        listed = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(
            f"{path}: {counted(len(faults), 'row')} cannot be read and nothing was sent\n{listed}",
            next_step="put them right and send the file again",
        )
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file whose header is right. `digest` names its content."""

    path: Path
    layout: Layout
    digest: str
    rows: tuple[tuple[int, _Raw], ...]

    def read(self, row_of: Callable[[int, Cells], T]) -> tuple[T, ...]:
        """Return what `row_of` makes of the line a row ends on and its cells, for each row.

        Raises:
            BadRowsError: Naming every row for which it raised ValueError or MisuseError, and every one that does not fit the header.
            CommandError: There are no rows.
        """
        found: list[T] = []
        faults: list[str] = []
        for line, row in self.rows:
            try:
                found.append(row_of(line, self._cells(row)))
            except (ValueError, MisuseError) as error:
                faults.append(f"line {line}: {error.message if isinstance(error, MisuseError) else error}")
        if faults:
            raise BadRowsError(self.path, faults)
        if not found:
            raise CommandError(f"{self.path} has a header and no {self.layout.holds}")
        return tuple(found)

    def _cells(self, row: _Raw) -> Cells:
        if None in row or None in row.values():
            raise ValueError("the number of cells is not that of the header")
        cells = {str(name): str(value).strip() for name, value in row.items()}
        empty = [name for name in self.layout.required if not cells[name]]
        if empty:
            raise ValueError(f"{', '.join(empty)} is empty")
        return cells


def open_csv(path: Path, layout: Layout) -> CsvFile:
    """Return the rows of a file.

    Raises:
        CommandError: It cannot be read, is not UTF-8 text, is not CSV, or its header is not of this layout.
    """
    content = _content(path)
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    rows = tuple(_rows(path, reader))
    _check_header(path, reader.fieldnames or (), layout)
    return CsvFile(path, layout, hashlib.sha256(content).hexdigest(), rows)


def moment_cell(cells: Cells, name: str) -> datetime:
    """Return the time in a cell; ValueError unless it names its zone."""
    text = cells[name]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} was {text!r}; expected a time such as 2026-11-20T15:04:05Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} was {text!r} without a time zone; write {text}Z for UTC, or the zone's offset such as {text}+01:00")
    return moment


def decimal_cell(cells: Cells, name: str) -> Decimal:
    """Return the number in a cell, exactly; ValueError for anything but a finite one in plain digits."""
    text = cells[name]
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not text.isascii():
        raise ValueError(f"{name} was {text!r}; expected a plain decimal such as -1250.75")
    return value


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        content.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text", next_step="save it as CSV in UTF-8") from None
    return content


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, _Raw]]:
    try:
        for row in reader:
            yield reader.line_num, row  # surplus cells are a list under the key None
    except csv.Error as error:
        raise CommandError(f"{path}, line {reader.line_num}: {error}") from None


def _check_header(path: Path, names: Sequence[str], layout: Layout) -> None:
    missing = [name for name in layout.required if name not in names]
    unknown = [name for name in names if name not in layout.columns]
    if not missing and not unknown and len(set(names)) == len(names):
        return
    parts = [f"{what} {', '.join(found)}" for what, found in (("missing", missing), ("unknown", unknown)) if found]
    optional = [name for name in layout.columns if name not in layout.required]
    spared = f" ({', '.join(optional)} may be left out)" if optional else ""
    raise CommandError(
        f"the first line of {path} is not a header of {layout.holds}: {'; '.join(parts) or 'a column appears twice'}",
        next_step=f"begin the file with: {','.join(layout.columns)}{spared}",
    )
