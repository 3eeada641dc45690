"""Ten price moves per offset group and a minimum for each derivative contract: FINRA Rule 4210(g) and the TIMS grid of the OCC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.axes import ByGroup, Index
from crossmargin.engine.methodologies.largest_loss import ByGroupPoint, ByInstrumentPoint, ByPoint, largest_losses
from crossmargin.engine.methodologies.parameter_checks import require_parameter

ByContract: TypeAlias = NDArray[np.float64]
"""[C] holdings of derivative contracts: options, futures and unlisted derivatives"""

_POINTS_PER_SIDE: Final = 5
POINT_COUNT: Final = 2 * _POINTS_PER_SIDE
POINT_NAMES: Final = (
    *(f"{count}/{_POINTS_PER_SIDE} of range down" for count in range(_POINTS_PER_SIDE, 0, -1)),
    *(f"{count}/{_POINTS_PER_SIDE} of range up" for count in range(1, _POINTS_PER_SIDE + 1)),
)
"""[10] names of the points, lowest first."""

PriceRevaluer: TypeAlias = Callable[[ByPoint], ByInstrumentPoint]
"""Given [P] simple returns of the price, returns [I, P] values of one unit of each instrument."""


@dataclass(frozen=True, slots=True)
class MoveRange:
    """The largest moves of one class of underlyings, as simple returns: `lowest_fraction` below 0, `highest_fraction` above."""

    lowest_fraction: float
    highest_fraction: float

    def __post_init__(self) -> None:
        require_parameter(-1 < self.lowest_fraction < 0, "lowest_fraction", self.lowest_fraction, "between -1 and 0")
        require_parameter(self.highest_fraction > 0, "highest_fraction", self.highest_fraction, "above 0")


@dataclass(frozen=True, eq=False)
class TimsGridParameters:
    """Parameters of the ten-point grid.

    Attributes:
        ranges: Range of moves of each class of underlyings, such as high-capitalisation index, broad index, other.
        contract_minimum: Least requirement of one derivative contract, base currency for each unit of its multiplier.
    """

    ranges: Mapping[str, MoveRange]
    contract_minimum: float

    def __post_init__(self) -> None:
        require_parameter(len(self.ranges) > 0, "ranges", "empty", "at least one class of underlyings")
        require_parameter(self.contract_minimum >= 0, "contract_minimum", self.contract_minimum, "zero or more")

    def range_of(self, underlying_class: str) -> MoveRange:
        """Return the range of a class of underlyings.

        Raises:
            DomainError: INVALID_RISK_PARAMETERS for a class without one.
        """
        try:
            return self.ranges[underlying_class]
        except KeyError:
            raise DomainError(
                Reason.INVALID_RISK_PARAMETERS,
                f"the valuation grid has no range for {underlying_class}; expected one of {', '.join(sorted(self.ranges))}",
                underlying_class=underlying_class,
                expected=sorted(self.ranges),
            ) from None


def valuation_moves(moves: MoveRange) -> ByPoint:
    """Return [10] the price moves, lowest first: five down and five up, equidistant on each side, and none at zero.

    FINRA Rule 4210(g) asks for ten equidistant points over the range. Each side is cut in five, so that a range that reaches further
    down than up (-8/+6%) keeps as many points on either side; the ends, where most books lose most, are the same either way.

    >>> valuation_moves(MoveRange(lowest_fraction=-0.15, highest_fraction=0.15)).round(10).tolist()
    [-0.15, -0.12, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09, 0.12, 0.15]
    """
    return equidistant_moves(moves.lowest_fraction, moves.highest_fraction)


def equidistant_moves(lowest: float, highest: float) -> ByPoint:
    """Return [10] five moves down to `lowest`, below zero, and five up to `highest`, the lowest first."""
    share = np.arange(1, _POINTS_PER_SIDE + 1) / _POINTS_PER_SIDE
    return np.concatenate((lowest * share[::-1], highest * share))


def valuation_pnl(revalue: PriceRevaluer, moves: MoveRange) -> ByInstrumentPoint:
    """Return [I, 10] theoretical profits (+) and losses (-) of one unit of each instrument, in the unit of the values.

    Args:
        revalue: Values the instruments of one offset group under simple returns of its price, volatilities unchanged.
        moves: Range of the group's class.
    """
    return revalue(valuation_moves(moves)) - revalue(np.zeros(1))


def contract_minimums(contracts: ByContract, multiplier: ByContract, group: Index, *, group_count: int, contract_minimum: float) -> ByGroup:
    """Return [U] the least requirement of each group: contract_minimum x multiplier for each derivative contract in it, base currency.

    Options and futures count, bought or sold, and do not offset one another; shares, coins and cash are no contracts and stay out of
    the arguments.

    Args:
        contracts: [C] signed quantities.
        multiplier: [C] units of the underlying in one contract.
        group: [C] row of each contract's group along axis U.
        group_count: Length of axis U.
        contract_minimum: Base currency for each unit of the multiplier.

    >>> put, call = 1.0, -2.0
    >>> contract_minimums(
    ...     np.array([put, call]), np.array([100.0, 100.0]), np.array([0, 0]), group_count=2, contract_minimum=0.375
    ... ).tolist()
    [112.5, 0.0]
    """
    units = np.bincount(group, np.abs(contracts) * multiplier, minlength=group_count)
    return np.asarray(contract_minimum * units, dtype=np.float64)


def tims_requirements(group_pnl: ByGroupPoint, minimum: ByGroup) -> ByGroup:
    """Return [U] the requirement of each group: its largest loss over the ten points, or its contract minimum if that is more.

    Args:
        group_pnl: [U, 10] quantities times theoretical profits, added up over the group, base currency.
        minimum: [U] from `contract_minimums`.

    Raises:
        ValueError: For another number of points.
        FloatingPointError: When a profit is not finite.
    """
    return np.maximum(worst_losses(group_pnl), minimum)


def worst_losses(group_pnl: ByGroupPoint) -> ByGroup:
    """Return [U] the largest loss of each group over the ten points, base currency, at least 0. Errors as `tims_requirements`."""
    if group_pnl.shape[-1] != POINT_COUNT:
        raise ValueError(f"{group_pnl.shape[-1]} valuation points instead of {POINT_COUNT}")
    return largest_losses(group_pnl)
