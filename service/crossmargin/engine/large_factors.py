"""The factors that move an account: groups of risk factors that belong together, the largest effect first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.domain.explanation import MarketMove
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import LOG_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor, Index
from crossmargin.engine.portfolio_arrays import fraction_to_decimal
from crossmargin.engine.scenarios.scenario_set import ScenarioSet


@dataclass(frozen=True, slots=True, eq=False)
class FactorBlock:
    """All factors of one kind in one offset group: they are one thing to a trader, and move together.

    Attributes:
        columns: Their places along axis F. typical_move: Root mean square of their shocks over the scenario set.
    """

    group_id: OffsetGroupId
    kind: FactorKind
    columns: Index
    typical_move: float

    def moved_by(self, size: float, factor_count: int) -> ByFactor:
        """Return [F] moves in which the block has moved by a simple return, or by a difference, and nothing else has."""
        moves = np.zeros(factor_count)
        moves[self.columns] = np.log1p(size) if self.kind in LOG_KINDS else size
        return moves

    def read_from(self, moves: ByFactor) -> MarketMove:
        """Return how the block moves on average in [F] moves."""
        natural = float(moves[self.columns].mean())
        return MarketMove(self.group_id, self.kind, fraction_to_decimal(np.expm1(natural) if self.kind in LOG_KINDS else natural))


def factor_blocks(factors: Sequence[FactorId], scenarios: ScenarioSet, parameters: RiskParameters) -> list[FactorBlock]:
    """Return the blocks that `factors` belong to, in the order of group and kind.

    A block holds every factor of its kind and group that the scenarios shock, so that a coin and its wrapped token move together.
    """
    held = {(parameters.group_of(factor).group_id, factor.kind) for factor in factors if factor in scenarios.column_of}
    members: dict[tuple[OffsetGroupId, FactorKind], list[int]] = {key: [] for key in sorted(held, key=lambda key: (key[0], key[1].value))}
    for column, factor in enumerate(scenarios.factors):
        key = (parameters.group_of(factor).group_id, factor.kind)
        if key in members:
            members[key].append(column)
    return [_block(*key, np.array(columns), scenarios) for key, columns in members.items()]


def _block(group_id: OffsetGroupId, kind: FactorKind, columns: Index, scenarios: ScenarioSet) -> FactorBlock:
    shocks = scenarios.shocks[:, columns]
    typical = float(np.sqrt(np.einsum("s,sf->", scenarios.weights, shocks**2) / len(columns)))
    return FactorBlock(group_id, kind, columns, typical)
