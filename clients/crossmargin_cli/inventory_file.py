"""What a client has at hand, in a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin_cli.csv_file import Cells, Layout, open_csv
from crossmargin_client import inventory_item

LAYOUT: Final = Layout("items", ("instrument", "quantity", "cost_rate", "lot_size", "minimum_transfer"), ("instrument", "quantity"))


def read_inventory_file(path: Path) -> list[collateral_service_pb2.InventoryItem]:
    """Return the items of a CSV file in its order; the last three columns may be left out or empty.

    Raises:
        CommandError: When the file or its header cannot be read, or there are no items.
        BadRowsError: Naming every row that is no item, by its line.
    """
    return list(open_csv(path, LAYOUT).read(lambda _, cells: _item(cells)))


def _item(cells: Cells) -> collateral_service_pb2.InventoryItem:
    return inventory_item(
        cells["instrument"],
        cells["quantity"],
        cost_rate=cells.get("cost_rate") or 0,
        lot_size=cells.get("lot_size") or None,
        minimum_transfer=cells.get("minimum_transfer") or None,
    )
