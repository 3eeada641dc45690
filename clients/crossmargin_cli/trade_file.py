"""Executed trades in a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli.failures import CommandError
from crossmargin_cli.render import counted
from crossmargin_client import trade

COLUMNS: Final = ("book", "instrument", "quantity", "price", "settlement", "executed_at", "reference", "settle_date")
REQUIRED: Final = ("instrument", "quantity", "price", "executed_at")
BATCH_SIZE: Final = 256


@dataclass(frozen=True, slots=True)
class TradeLine:
    """A trade and the line of the file it ends on."""

    line: int
    trade: book_service_pb2.Trade


@dataclass(frozen=True, slots=True)
class TradeFile:
    """The trades of a file, in its order. `digest` names its content."""

    digest: str
    lines: tuple[TradeLine, ...]


class BadRowsError(CommandError):
    """Rows that cannot be read. Nothing of the file is sent, so that it can be put right and sent whole."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        listed = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(
            f"{path}: {counted(len(faults), 'row')} cannot be read and nothing was sent\n{listed}",
            next_step="put them right and import again",
        )
        self.faults = tuple(faults)


def read_trade_file(path: Path) -> TradeFile:
    """Return the trades of a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    content = _content(path)
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    _check_header(path, reader.fieldnames)
    lines: list[TradeLine] = []
    faults: list[str] = []
    for line, row in _rows(path, reader):
        try:
            lines.append(TradeLine(line, _trade(row)))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        raise BadRowsError(path, faults)
    if not lines:
        raise CommandError(f"{path} has a header and no trades")
    return TradeFile(hashlib.sha256(content).hexdigest(), tuple(lines))


def batches(file: TradeFile, *, account: str) -> Iterator[tuple[str, tuple[TradeLine, ...]]]:
    """Yield batches that the service takes whole, each with a request id.

    The id follows from the file's content, the account and the place of the batch, so that importing a file again books nothing again.
    """
    key = hashlib.sha256(f"{account}\n{file.digest}".encode()).hexdigest()[:32]
    for number, start in enumerate(range(0, len(file.lines), BATCH_SIZE)):
        yield f"book-import-{key}-{number}", file.lines[start : start + BATCH_SIZE]


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
        what = "; ".join(
            part
            for part in (f"missing {', '.join(missing)}" if missing else "", f"unknown {', '.join(unknown)}" if unknown else "")
            if part
        )
        raise CommandError(
            f"the first line of {path} is not a header of trades: {what or 'a column appears twice'}",
            next_step=f"begin the file with: {','.join(COLUMNS)} (book, settlement, reference and settle_date may be left out)",
        )


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, Mapping[str | None, str | list[str] | None]]]:
    try:
        for row in reader:
            yield reader.line_num, row  # surplus cells are a list under the key None
    except csv.Error as error:
        raise CommandError(f"{path}, line {reader.line_num}: {error}") from None


def _trade(row: Mapping[str | None, str | list[str] | None]) -> book_service_pb2.Trade:
    if None in row or None in row.values():
        raise ValueError("the number of cells is not that of the header")
    cells = {str(name): str(value).strip() for name, value in row.items()}
    empty = [name for name in REQUIRED if not cells[name]]
    if empty:
        raise ValueError(f"{', '.join(empty)} is empty")
    return trade(
        cells["instrument"],
        cells["quantity"],
        cells["price"],
        executed_at=_moment(cells["executed_at"]),
        settlement=cells.get("settlement", ""),
        book=cells.get("book", ""),
        reference=cells.get("reference", ""),
        settle_date=_day(cells.get("settle_date", "")),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"settle_date was {text!r}; expected a day such as 2026-11-24, or nothing") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"executed_at was {text!r}; expected a time such as 2026-11-20T15:04:05Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"executed_at was {text!r} without a time zone; write {text}Z for UTC, or the zone's offset such as {text}+01:00")
    return moment
