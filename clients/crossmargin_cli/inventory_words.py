"""An item of an inventory as people write it in a command."""

from __future__ import annotations

import re
from typing import Final

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin_cli.failures import MisuseError
from crossmargin_client import inventory_item

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_ITEM: Final = re.compile(
    rf"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<quantity>{_NUMBER})(?:@(?P<rate>{_NUMBER}))?(?P<rest>(?:,(?:lot|min)={_NUMBER})*)", re.ASCII
)


def item_from_words(words: str) -> collateral_service_pb2.InventoryItem:
    """Return the item that INSTRUMENT=QUANTITY[@COST_RATE][,lot=LOT][,min=LEAST] says.

    Raises:
        MisuseError: For anything else.

    >>> item_from_words("RLUSD=2000000@0.01,lot=1000").lot_size
    '1000'
    """
    found = _ITEM.fullmatch(words)
    pairs = [] if found is None else [pair.split("=") for pair in found["rest"].split(",") if pair]
    rest = dict(pairs)
    if found is None or len(rest) < len(pairs):
        raise MisuseError(
            f"--have was {words!r}; expected INSTRUMENT=QUANTITY[@COST_RATE][,lot=LOT][,min=LEAST]",
            next_step="--have RLUSD=2000000@0.01,lot=1000,min=50000",
        )
    return inventory_item(
        found["name"], found["quantity"], cost_rate=found["rate"] or 0, lot_size=rest.get("lot"), minimum_transfer=rest.get("min")
    )
