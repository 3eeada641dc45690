"""What a statement of somebody else says."""

from __future__ import annotations

from crossmargin.api.v1 import reconciliation_service_pb2
from crossmargin_client.values.exact import Exact, exact_text, optional_text


def statement_line(
    account: str, instrument_id: str, quantity: Exact, *, value: Exact | None = None, external_reference: str = ""
) -> reconciliation_service_pb2.StatementLine:
    """Return what a statement says of one holding.

    Args:
        account: Full name of the account.
        instrument_id: What is held.
        quantity: Signed, in units of the instrument, over all books of the account.
        value: What it is worth in the eyes of who says so; None when nothing is said.
        external_reference: Their own name for it; kept, never interpreted.
    """
    return reconciliation_service_pb2.StatementLine(
        account=account,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        value=optional_text(value, field="value"),
        external_reference=external_reference,
    )
