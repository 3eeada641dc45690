"""Quotes of one source in a CSV file."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import market_service_pb2
from crossmargin_cli.csv_file import Cells, Layout, moment_cell, open_csv
from crossmargin_client import quote

LAYOUT: Final = Layout("quotes", ("subject", "value", "observed_at"), ("subject", "value"))


def read_quote_file(path: Path, *, after_sequence: int, now: datetime) -> tuple[market_service_pb2.Quote, ...]:
    """Return the quotes of a CSV file, numbered from `after_sequence` + 1 in its order; a row without a time was seen now.

    Values are sent as they stand: whether one can be is for the service to say, quote by quote.

    Raises:
        CommandError: When the file or its header cannot be read, or there are no quotes.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    numbers = itertools.count(after_sequence + 1)
    return open_csv(path, LAYOUT).read(lambda _, cells: _quote(cells, next(numbers), now))


def _quote(cells: Cells, sequence: int, now: datetime) -> market_service_pb2.Quote:
    observed_at = moment_cell(cells, "observed_at") if cells.get("observed_at") else now
    made = quote(cells["subject"], 0, sequence=sequence, observed_at=observed_at.astimezone(UTC))
    made.value = cells["value"]
    return made
