"""Quotes of one source in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import market_service_pb2
from crossmargin_cli.failures import CommandError
from crossmargin_cli.trade_file import BadRowsError
from crossmargin_client import quote

COLUMNS: Final = ("subject", "value", "observed_at")
_REQUIRED: Final = ("subject", "value")


def read_quote_file(path: Path, *, after_sequence: int, now: datetime) -> list[market_service_pb2.Quote]:
    """Return the quotes of a CSV file, numbered from `after_sequence` + 1 in its order; a row without a time was seen now.

    Values are sent as they stand: whether one can be is for the service to say, quote by quote.

    Raises:
        CommandError: When the file or its header cannot be read.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(
            f"{path} cannot be read: {error}", next_step=f"expected a CSV file with the columns {', '.join(COLUMNS)}"
        ) from None
    unknown = sorted(set(reader.fieldnames or ()) - set(COLUMNS))
    if unknown or not set(_REQUIRED) <= set(reader.fieldnames or ()):
        raise CommandError(
            f"{path} has the columns {', '.join(reader.fieldnames or ()) or 'none'}",
            next_step=f"expected {', '.join(_REQUIRED)} and, if you like, observed_at",
        )
    quotes, faults = [], []
    for sequence, (line, row) in enumerate(rows, start=after_sequence + 1):
        try:
            quotes.append(_quote(row, sequence, now))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        raise BadRowsError(path, faults)
    return quotes


def _quote(row: Mapping[str, str | None], sequence: int, now: datetime) -> market_service_pb2.Quote:
    if None in row or not row.get("subject"):
        raise ValueError(f"expected {', '.join(COLUMNS)}, and a subject such as spot:BTC")
    text = (row.get("observed_at") or "").strip()
    observed_at = datetime.fromisoformat(text) if text else now
    if observed_at.tzinfo is None:
        raise ValueError(f"observed_at was {text}; expected a time with its zone, such as 2026-11-20T12:00:00Z")
    made = quote(row["subject"] or "", 0, sequence=sequence, observed_at=observed_at.astimezone(UTC))
    made.value = (row["value"] or "").strip()
    return made
