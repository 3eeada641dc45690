"""A whole market in a CSV file: the level of each risk factor and the mark of each contract."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from crossmargin_cli.csv_file import Cells, Layout, decimal_cell, open_csv

LAYOUT: Final = Layout("values", ("subject", "value"), ("subject", "value"))
_FACTOR_MARK: Final = ":"


def read_market_file(path: Path) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return the levels of risk factors and the marks of instruments in a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read, or there are no values.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    found: dict[str, Decimal] = {}

    def add(_: int, cells: Cells) -> None:
        if cells["subject"] in found:
            raise ValueError(f"{cells['subject']} appears twice")
        found[cells["subject"]] = decimal_cell(cells, "value")

    open_csv(path, LAYOUT).read(add)
    levels = {subject: value for subject, value in found.items() if _FACTOR_MARK in subject}
    return levels, {subject: value for subject, value in found.items() if _FACTOR_MARK not in subject}
