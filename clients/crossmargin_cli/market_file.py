"""A whole market in a CSV file: the level of each risk factor and the mark of each contract."""

from __future__ import annotations

import csv
import io
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from crossmargin_cli.failures import CommandError
from crossmargin_cli.trade_file import BadRowsError

COLUMNS: Final = ("subject", "value")
_FACTOR_MARK: Final = ":"


def read_market_file(path: Path) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return the levels of risk factors and the marks of instruments in a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read.
        BadRowsError: Naming every row that cannot be, by its line.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {error}", next_step="expected a CSV file that begins with: subject,value") from None
    if tuple(reader.fieldnames or ()) != COLUMNS:
        shown = ", ".join(reader.fieldnames or ()) or "none"
        raise CommandError(f"{path} has the columns {shown}", next_step="begin the file with: subject,value")
    found: dict[str, Decimal] = {}
    faults: list[str] = []
    for line, row in rows:
        try:
            _add(found, row)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        raise BadRowsError(path, faults)
    if not found:
        raise CommandError(f"{path} has a header and no rows")
    levels = {subject: value for subject, value in found.items() if _FACTOR_MARK in subject}
    return levels, {subject: value for subject, value in found.items() if _FACTOR_MARK not in subject}


def _add(found: dict[str, Decimal], row: dict[str, str | None]) -> None:
    subject, value = _row(row)
    if subject in found:
        raise ValueError(f"{subject} appears twice")
    found[subject] = value


def _row(row: dict[str, str | None]) -> tuple[str, Decimal]:
    if None in row or None in row.values():
        raise ValueError("the number of cells is not that of the header")
    subject, text = ((row[name] or "").strip() for name in COLUMNS)
    if not subject:
        raise ValueError("subject is empty; expected a risk factor such as spot:BTC or an instrument such as BTC-USD-PERP")
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise ValueError(f"value of {subject} was {text!r}; expected a number")
    return subject, value
