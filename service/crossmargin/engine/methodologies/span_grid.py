"""Sixteen price and volatility scenarios per offset group, in the standard order of SPAN (Chicago Mercantile Exchange, 1988)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from crossmargin.engine.axes import ByGroup
from crossmargin.engine.methodologies.largest_loss import ByGroupPoint, ByInstrumentPoint, ByPoint, largest_losses
from crossmargin.engine.methodologies.parameter_checks import require_parameter

_PRICE_THIRDS: Final = (0, 1, -1, 2, -2, 3, -3)
"""Price moves in thirds of the scan range, each with volatility up and then down; the two extreme moves follow."""
POINT_NAMES: Final = (
    *(
        f"{'price unchanged' if thirds == 0 else f'price {thirds:+d}/3 of range'}, volatility {direction}"
        for thirds in _PRICE_THIRDS
        for direction in ("up", "down")
    ),
    "price extreme up",
    "price extreme down",
)
"""[16] names of the scenarios, in their order."""
POINT_COUNT: Final = len(POINT_NAMES)
VOLATILITY_STEPS: Final = np.concatenate((np.tile([1.0, -1.0], len(_PRICE_THIRDS)), np.zeros(2)))
"""[16] volatility moves in scan ranges: up and down for each price move, and none for the extreme ones."""

PriceVolatilityRevaluer: TypeAlias = Callable[[ByPoint, ByPoint], ByInstrumentPoint]
"""Given [P] price moves and [P] volatility moves, both simple returns, returns [I, P] values of one unit of each instrument."""


@dataclass(frozen=True, slots=True)
class SpanGridParameters:
    """Scan ranges of one offset group.

    Attributes:
        price_scan_fraction: Price scan range as a fraction of the price: the whole move, up or down.
        volatility_scan_fraction: Volatility scan range as a fraction of the implied volatility.
        extreme_multiple: Extreme move as a multiple of the price scan range; above 1.
        cover_fraction: Share of the loss at an extreme move that counts.
    """

    price_scan_fraction: float
    volatility_scan_fraction: float
    extreme_multiple: float
    cover_fraction: float

    def __post_init__(self) -> None:
        require_parameter(self.price_scan_fraction > 0, "price_scan_fraction", self.price_scan_fraction, "above 0")
        require_parameter(0 <= self.volatility_scan_fraction < 1, "volatility_scan_fraction", self.volatility_scan_fraction, "in [0, 1)")
        require_parameter(self.extreme_multiple > 1, "extreme_multiple", self.extreme_multiple, "above 1")
        require_parameter(0 <= self.cover_fraction <= 1, "cover_fraction", self.cover_fraction, "in [0, 1]")
        largest_fall = self.extreme_multiple * self.price_scan_fraction
        require_parameter(largest_fall < 1, "extreme_multiple x price_scan_fraction", largest_fall, "below 1: a price stays above zero")


@dataclass(frozen=True, slots=True, eq=False)
class SpanGrid:
    """The sixteen scenarios of one group.

    Attributes:
        price_move: [16] simple returns of the price. volatility_move: [16] simple returns of implied volatilities.
        weight: [16] share of the profit or loss that counts: 1, and the cover fraction for the extreme moves.
    """

    price_move: ByPoint
    volatility_move: ByPoint
    weight: ByPoint


def span_grid(parameters: SpanGridParameters) -> SpanGrid:
    """Return the sixteen scenarios in the standard order.

    0, +1/3, -1/3, +2/3, -2/3, +1 and -1 price scan range, each with volatility up and then down; then the extreme moves up and down,
    with volatility unchanged.
    """
    return SpanGrid(
        price_move=parameters.price_scan_fraction * price_steps(parameters.extreme_multiple),
        volatility_move=parameters.volatility_scan_fraction * VOLATILITY_STEPS,
        weight=counted_shares(parameters.cover_fraction),
    )


def price_steps(extreme_multiple: float) -> ByPoint:
    """Return [16] the price moves in scan ranges: thirds of one, twice each, and the extreme moves."""
    return np.concatenate((np.repeat(_PRICE_THIRDS, 2) / 3.0, [extreme_multiple, -extreme_multiple]))


def counted_shares(cover_fraction: float) -> ByPoint:
    """Return [16] the share of the profit or loss that counts: 1, and `cover_fraction` at the extreme moves."""
    return np.concatenate((np.ones(2 * len(_PRICE_THIRDS)), np.full(2, cover_fraction)))


def risk_arrays(revalue: PriceVolatilityRevaluer, parameters: SpanGridParameters) -> ByInstrumentPoint:
    """Return [I, 16] profits (+) and losses (-) of one unit of each instrument, weighted, in the unit of the values.

    Every instrument is valued anew under every scenario and once under no move, all at the same moment: SPAN's look-ahead of one day,
    and the time value it costs an option, is left out. SPAN publishes these arrays with losses positive.

    Args:
        revalue: Values the instruments of one offset group under simple returns of their price and of their volatilities.
        parameters: Of that group.
    """
    grid, unmoved = span_grid(parameters), np.zeros(1)
    return grid.weight * (revalue(grid.price_move, grid.volatility_move) - revalue(unmoved, unmoved))


def scan_risks(group_pnl: ByGroupPoint) -> ByGroup:
    """Return [U] the scan risk of each group: its largest loss over the sixteen scenarios, base currency, at least 0.

    Subadditive and homogeneous in the holdings: it is the largest of linear functions of them.

    Args:
        group_pnl: [U, 16] quantities times risk arrays, added up over the group.

    Raises:
        ValueError: For another number of scenarios.
        FloatingPointError: When a profit is not finite.
    """
    if group_pnl.shape[-1] != POINT_COUNT:
        raise ValueError(f"{group_pnl.shape[-1]} scenarios instead of {POINT_COUNT}")
    return largest_losses(group_pnl)
