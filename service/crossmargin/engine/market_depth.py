"""How far flow moves the price of each offset group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.domain.cascade import CascadeTerms, DepthKind
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorKind
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor, Index
from crossmargin.engine.portfolio_arrays import charge_rates
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

_PRICES = frozenset({FactorKind.SPOT, FactorKind.FX})


@dataclass(frozen=True, slots=True, eq=False)
class GroupDepth:
    """What moves in a group when it is traded.

    Attributes:
        columns: Its prices and exchange rates along axis F. scale: Log-return of them when a whole day's volume is traded.
        volume: That volume, base currency.
    """

    columns: Index
    scale: float
    volume: float


class MarketDepth:
    """The depth of every group that has a price. Rates, spreads and carry are not moved by flow."""

    def __init__(self, scenarios: ScenarioSet, parameters: RiskParameters, terms: CascadeTerms) -> None:
        self._kind = terms.depth
        rates, impact = charge_rates(parameters).groups, float(terms.rules(parameters.liquidation).impact_coefficient)
        members: dict[OffsetGroupId, list[int]] = {}
        for column, factor in enumerate(scenarios.factors):
            if factor.kind in _PRICES:
                members.setdefault(parameters.group_of(factor).group_id, []).append(column)
        self._groups: Mapping[OffsetGroupId, GroupDepth] = {
            group: GroupDepth(
                np.array(columns),
                impact * _daily_volatility(scenarios, columns, rates[group].mpor_days),
                float(terms.depth_multiple) * rates[group].average_daily_volume,
            )
            for group, columns in members.items()
        }
        self._factor_count = len(scenarios.factors)

    def impact(self, group: OffsetGroupId, flow: float) -> float:
        """Return the log-return of a group's prices after a net flow since the round began; odd in the flow, zero where it has no price."""
        depth = self._groups.get(group)
        if depth is None or self._kind is DepthKind.INFINITE:
            return 0.0
        share = abs(flow) / depth.volume
        return math.copysign(depth.scale * (math.sqrt(share) if self._kind is DepthKind.SQUARE_ROOT else share), flow)

    def average(self, group: OffsetGroupId, start: float, end: float) -> float:
        """Return the mean log-return met by an order that takes the flow from `start` to `end`: what it trades at."""
        if start == end:
            return self.impact(group, start)
        return (self._area(group, end) - self._area(group, start)) / (end - start)

    def move(self, impacts: Mapping[OffsetGroupId, float]) -> ByFactor:
        """Return [F] the move that the impacts are."""
        moves = np.zeros(self._factor_count)
        for group, impact in impacts.items():
            if group in self._groups:
                moves[self._groups[group].columns] = impact
        return moves

    def _area(self, group: OffsetGroupId, flow: float) -> float:
        """Return the integral of the impact from no flow: even in the flow."""
        power = 1.5 if self._kind is DepthKind.SQUARE_ROOT else 2.0
        return abs(flow * self.impact(group, flow)) / power


def _daily_volatility(scenarios: ScenarioSet, columns: list[int], mpor_days: float) -> float:
    shocks = scenarios.shocks[: scenarios.ordinary_count, columns]
    return float(np.sqrt(np.mean(shocks**2))) / math.sqrt(mpor_days) if shocks.size else 0.0
