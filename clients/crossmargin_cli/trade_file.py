"""Executed trades in a CSV file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli.csv_file import Cells, Layout, moment_cell, open_csv
from crossmargin_client import trade

LAYOUT: Final = Layout(
    "trades",
    ("book", "instrument", "quantity", "price", "settlement", "executed_at", "reference", "settle_date"),
    ("instrument", "quantity", "price", "executed_at"),
)
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


def read_trade_file(path: Path) -> TradeFile:
    """Return the trades of a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read, or there are no trades.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    file = open_csv(path, LAYOUT)
    return TradeFile(file.digest, file.read(lambda line, cells: TradeLine(line, _trade(cells))))


def batches(file: TradeFile, *, account: str) -> Iterator[tuple[str, tuple[TradeLine, ...]]]:
    """Yield batches that the service takes whole, each with a request id.

    The id follows from the file's content, the account and the place of the batch, so that importing a file again books nothing again.
    """
    key = hashlib.sha256(f"{account}\n{file.digest}".encode()).hexdigest()[:32]
    for number, start in enumerate(range(0, len(file.lines), BATCH_SIZE)):
        yield f"book-import-{key}-{number}", file.lines[start : start + BATCH_SIZE]


def _trade(cells: Cells) -> book_service_pb2.Trade:
    return trade(
        cells["instrument"],
        cells["quantity"],
        cells["price"],
        executed_at=moment_cell(cells, "executed_at"),
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
