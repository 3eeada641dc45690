"""How collateral counts, and what could be delivered."""

from __future__ import annotations

from typing import Final

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin_client.values.exact import Exact, exact_text, optional_text

RISKED: Final = collateral_service_pb2.COLLATERAL_POLICY_RISKED
PLEDGED: Final = collateral_service_pb2.COLLATERAL_POLICY_PLEDGED
AUTO: Final = collateral_service_pb2.COLLATERAL_POLICY_AUTO


def inventory_item(
    instrument_id: str,
    quantity: Exact,
    *,
    cost_rate: Exact = 0,
    lot_size: Exact | None = None,
    minimum_transfer: Exact | None = None,
) -> collateral_service_pb2.InventoryItem:
    """Return what a client could deliver of one instrument.

    Args:
        instrument_id: Cash, a stablecoin, a coin, a bill or a bond.
        quantity: Most that can be delivered, in units of the instrument.
        cost_rate: What a dollar of its market value costs to deliver, a fraction over a period that is the same for all items.
        lot_size: Deliveries are whole multiples of it.
        minimum_transfer: Less than this is not delivered.
    """
    return collateral_service_pb2.InventoryItem(
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        cost_rate=exact_text(cost_rate, field="cost_rate"),
        lot_size=optional_text(lot_size, field="lot_size"),
        minimum_transfer=optional_text(minimum_transfer, field="minimum_transfer"),
    )
