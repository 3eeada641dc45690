"""A statement of a custodian or a venue in a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import reconciliation_service_pb2
from crossmargin_cli.connection import full_account_name
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.render import counted
from crossmargin_client import statement_line

COLUMNS: Final = ("as_of", "account", "instrument", "quantity", "value", "external_reference")
REQUIRED: Final = ("as_of", "account", "instrument", "quantity")
LARGEST: Final = 5000


@dataclass(frozen=True, slots=True)
class StatementFile:
    """The lines of a file, all of one moment. `digest` names its content."""

    digest: str
    as_of: datetime
    lines: tuple[reconciliation_service_pb2.StatementLine, ...]


def read_statement_file(path: Path) -> StatementFile:
    """Return the statement in a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read, or naming every row that cannot be, by its line.
    """
    content = _content(path)
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    _check_header(path, reader.fieldnames)
    lines: list[reconciliation_service_pb2.StatementLine] = []
    moments: dict[datetime, int] = {}
    seen: dict[tuple[str, str], int] = {}
    faults: list[str] = []
    for number, row in _rows(path, reader):
        try:
            moment, line = _line(row)
            moments.setdefault(moment, number)
            _check_once(seen, line, number)
            lines.append(line)
        except (ValueError, MisuseError) as error:
            faults.append(f"line {number}: {error.message if isinstance(error, MisuseError) else error}")
    if len(moments) > 1:
        first, second = sorted(moments.items(), key=lambda pair: pair[1])[:2]
        faults.append(
            f"line {second[1]}: as_of was {second[0].isoformat()}, in line {first[1]} {first[0].isoformat()}; expected one moment"
        )
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise CommandError(
            f"{path}: {counted(len(faults), 'row')} cannot be read and nothing was sent\n{listed}",
            next_step="put them right and send it again",
        )
    if not lines:
        raise CommandError(f"{path} has a header and no lines")
    if len(lines) > LARGEST:
        raise CommandError(f"{path} has {len(lines)} lines; expected at most {LARGEST}", next_step="split it by accounts")
    return StatementFile(hashlib.sha256(content).hexdigest(), next(iter(moments)), tuple(lines))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        content.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text", next_step="save it as CSV in UTF-8") from None
    return content


def _check_header(path: Path, names: Sequence[str] | None) -> None:
    names = names or ()
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) != len(names):
        parts = [f"{what} {', '.join(found)}" for what, found in (("missing", missing), ("unknown", unknown)) if found]
        raise CommandError(
            f"the first line of {path} is not a header of a statement: {'; '.join(parts) or 'a column appears twice'}",
            next_step=f"begin the file with: {','.join(COLUMNS)} (value and external_reference may be left out)",
        )


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, Mapping[str | None, str | list[str] | None]]]:
    try:
        for row in reader:
            yield reader.line_num, row  # surplus cells are a list under the key None
    except csv.Error as error:
        raise CommandError(f"{path}, line {reader.line_num}: {error}") from None


def _line(row: Mapping[str | None, str | list[str] | None]) -> tuple[datetime, reconciliation_service_pb2.StatementLine]:
    if None in row or None in row.values():
        raise ValueError("the number of cells is not that of the header")
    cells = {str(name): str(value).strip() for name, value in row.items()}
    empty = [name for name in REQUIRED if not cells[name]]
    if empty:
        raise ValueError(f"{', '.join(empty)} is empty")
    value = cells.get("value", "")
    line = statement_line(
        full_account_name(cells["account"]),
        cells["instrument"],
        _decimal(cells["quantity"], what="quantity"),
        value=_decimal(value, what="value") if value else None,
        external_reference=cells.get("external_reference", ""),
    )
    return _moment(cells["as_of"]), line


def _check_once(seen: dict[tuple[str, str], int], line: reconciliation_service_pb2.StatementLine, number: int) -> None:
    first = seen.setdefault((line.account, line.instrument_id), number)
    if first != number:
        raise ValueError(f"{line.instrument_id} of {line.account} is in line {first} already; expected one line for each holding")


def _decimal(text: str, *, what: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not text.isascii():
        raise ValueError(f"{what} was {text!r}; expected a plain decimal such as -1250.75")
    return value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"as_of was {text!r}; expected a time such as 2026-11-20T22:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"as_of was {text!r} without a time zone; write {text}Z for UTC, or the zone's offset such as {text}+01:00")
    return moment
