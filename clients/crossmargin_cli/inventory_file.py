"""What a client has at hand, in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin_cli.failures import CommandError
from crossmargin_cli.trade_file import BadRowsError
from crossmargin_client import inventory_item

COLUMNS: Final = ("instrument", "quantity", "cost_rate", "lot_size", "minimum_transfer")
_REQUIRED: Final = COLUMNS[:2]


def read_inventory_file(path: Path) -> list[collateral_service_pb2.InventoryItem]:
    """Return the items of a CSV file in its order; the last three columns may be left out or empty.

    Raises:
        CommandError: When the file or its header cannot be read.
        BadRowsError: Naming every row that is no item, by its line.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(
            f"{path} cannot be read: {error}", next_step=f"expected a CSV file with the columns {', '.join(COLUMNS)}"
        ) from None
    named = set(reader.fieldnames or ())
    if named - set(COLUMNS) or not set(_REQUIRED) <= named:
        raise CommandError(
            f"{path} has the columns {', '.join(reader.fieldnames or ()) or 'none'}",
            next_step=f"expected {', '.join(_REQUIRED)} and, if you like, {', '.join(COLUMNS[2:])}",
        )
    items, faults = [], []
    for line, row in rows:
        try:
            items.append(_item(row))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        raise BadRowsError(path, faults)
    return items


def _item(row: Mapping[str, str | None]) -> collateral_service_pb2.InventoryItem:
    if None in row or not row.get("instrument"):
        raise ValueError(f"expected {', '.join(COLUMNS)}, and an instrument such as RLUSD")
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    return inventory_item(
        cells["instrument"],
        cells["quantity"],
        cost_rate=cells["cost_rate"] or 0,
        lot_size=cells["lot_size"] or None,
        minimum_transfer=cells["minimum_transfer"] or None,
    )
