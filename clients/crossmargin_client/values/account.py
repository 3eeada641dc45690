"""Names, limits and methodologies of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client.values.exact import Exact, exact_text, optional_text

EXPECTED_SHORTFALL: Final = account_service_pb2.METHODOLOGY_EXPECTED_SHORTFALL
SPAN_GRID: Final = account_service_pb2.METHODOLOGY_SPAN_GRID
TIMS_GRID: Final = account_service_pb2.METHODOLOGY_TIMS_GRID
STANDARD_SCHEDULE: Final = account_service_pb2.METHODOLOGY_STANDARD_SCHEDULE
RATIO: Final = account_service_pb2.METHODOLOGY_RATIO


def account_name(client_id: str, account_id: str) -> str:
    """Return the resource name of an account.

    >>> account_name("alpha", "core")
    'clients/alpha/accounts/core'
    """
    return f"clients/{client_id}/accounts/{account_id}"


def exposure_limits(
    scope: str,
    *,
    gross: Exact | None = None,
    net: Exact | None = None,
    order_notional: Exact | None = None,
    groups: Mapping[str, Exact] | None = None,
) -> account_service_pb2.ExposureLimits:
    """Return limits in base currency for clients/{client}, or for clients/{client}/accounts/{account}; None where there is no limit."""
    return account_service_pb2.ExposureLimits(
        scope=scope,
        gross=optional_text(gross, field="gross"),
        net=optional_text(net, field="net"),
        order_notional=optional_text(order_notional, field="order_notional"),
        groups={name: exact_text(limit, field=f"groups[{name}]") for name, limit in (groups or {}).items()},
    )
