"""What it costs to close out: the spread, and the days that a large position takes beyond its margin period."""

from __future__ import annotations

import numpy as np

from crossmargin.engine.axes import ByGroup


def spread_cost(net_exposure: ByGroup, *, spread_fraction: ByGroup, spread_multiple: float) -> ByGroup:
    """Return [U] 1/2 spread_u k |V_u|: half the spread of each group, widened k times, on its net exposure V_u. Base currency.

    >>> spread_cost(np.array([-10e6]), spread_fraction=np.array([0.004]), spread_multiple=2.0).tolist()
    [40000.0]
    """
    cost: ByGroup = 0.5 * spread_fraction * spread_multiple * np.abs(net_exposure)
    return cost


def horizon_stretch(
    net_exposure: ByGroup, *, average_daily_volume: ByGroup, mpor_days: ByGroup, base_days: float, participation_fraction: float
) -> ByGroup:
    """Return [U] max(0, sqrt((h0 + T_u / 3) / h_u) - 1): what the tail mean of a group grows by when closing out takes longer.

    T_u = |Q_u| / (p ADV_u) days, Q_u being the net exposure, sold evenly at a share p of the daily volume: the variance left over
    the sale is that of T_u / 3 days. h0 is the time that the smallest position takes (ECC concentration margin, 0.3 days); h_u is
    what the tail mean spans already.

    >>> stretch = horizon_stretch(
    ...     np.array([10e6, 1e6]),
    ...     average_daily_volume=np.array([8e6, 8e6]),
    ...     mpor_days=np.array([2.0, 2.0]),
    ...     base_days=0.3,
    ...     participation_fraction=0.2,
    ... )
    >>> round(0.3 * 10e6 * float(stretch[0]), 2), float(stretch[1])
    (274904.58, 0.0)
    """
    days = np.abs(net_exposure) / (participation_fraction * average_daily_volume)
    stretch: ByGroup = np.maximum(0.0, np.sqrt((base_days + days / 3.0) / mpor_days) - 1.0)
    return stretch
