"""Moves of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from crossmargin.api.v1 import risk_service_pb2
from crossmargin_client.values.exact import Exact, exact_text


def stress_shock(
    size: Exact, *, factor: str = "", curve: str = "", group: str = "", asset_class: str = "", kind: str = ""
) -> risk_service_pb2.StressShock:
    """Return something to move: one factor, all nodes of a curve, or all factors of a kind in an offset group or an asset class.

    `size` is a simple return for prices, exchange rates and volatilities, otherwise a difference; `kind` is for a group or a class, whose
    prices and exchange rates move if it is empty.
    """
    named = {"factor": factor, "curve": curve, "group_id": group, "asset_class": asset_class}
    given = {name: value for name, value in named.items() if value}
    if len(given) != 1:
        raise ValueError(f"a shock was of {', '.join(given) or 'nothing'}; expected one of factor, curve, group and asset_class")
    return risk_service_pb2.StressShock(**given, factor_kind=kind, size=exact_text(size, field="size"))


def ad_hoc_scenario(
    name: str, shocks: Iterable[risk_service_pb2.StressShock], *, both_directions: bool = False
) -> risk_service_pb2.AdHocScenario:
    """Return a scenario of one's own; with `both_directions` its opposite is run as well."""
    return risk_service_pb2.AdHocScenario(name=name, shocks=shocks, both_directions=both_directions)
