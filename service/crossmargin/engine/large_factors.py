"""The factors that move an account: groups of risk factors that belong together, the largest effect first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.domain.explanation import DirectionalConcentration, MarketMove
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import LOG_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor, ByRow, Index
from crossmargin.engine.moved_account import MovingAccount
from crossmargin.engine.portfolio_arrays import cents_to_decimal, fraction_to_decimal, requirement_to_cents
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

LARGE_FACTOR_COUNT: Final = 5
SMALLEST_SHARE: Final = 0.02
"""Of the largest effect: what moves the account by less is not large."""
_NOISE: Final = 1e-12
"""Of the account's value: what its float sum loses."""


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


@dataclass(frozen=True, slots=True, eq=False)
class BlockEffect:
    """What an account gains when a block falls, and when it rises, by its typical move; `noise` is what its float sum loses."""

    block: FactorBlock
    on_fall: float
    on_rise: float
    noise: float

    @property
    def size(self) -> float:
        """The larger of both, so that a book hedged to first order and hurt by either direction is seen too."""
        return max(abs(self.on_fall), abs(self.on_rise))

    @property
    def slope(self) -> float:
        """Half the difference between rise and fall: what has a direction."""
        return (self.on_rise - self.on_fall) / 2


def block_effects(account: MovingAccount, blocks: Sequence[FactorBlock]) -> list[BlockEffect]:
    """Return the effect of each block on the value of an account, by full revaluation."""
    moves = np.zeros((1 + 2 * len(blocks), account.factor_count))
    for place, block in enumerate(blocks):
        moves[1 + 2 * place : 3 + 2 * place, block.columns] = np.array([[-block.typical_move], [block.typical_move]])
    at_rest, *values = account.values(moves)
    noise = _NOISE * max(abs(at_rest), 1.0)
    pairs = zip(blocks, values[::2], values[1::2], strict=True)
    return [BlockEffect(block, fall - at_rest, rise - at_rest, noise) for block, fall, rise in pairs]


def large_blocks(effects: Sequence[BlockEffect]) -> list[FactorBlock]:
    """Return at most LARGE_FACTOR_COUNT blocks, the one with the largest effect first; none that leaves the account's value alone."""
    least = SMALLEST_SHARE * max((effect.size for effect in effects), default=0.0)
    ordered = sorted(effects, key=lambda effect: -effect.size)
    return [effect.block for effect in ordered if effect.size > max(least, effect.noise)][:LARGE_FACTOR_COUNT]


def directional_concentrations(effects: Sequence[BlockEffect], parameters: RiskParameters) -> tuple[DirectionalConcentration, ...]:
    """Return how much of the account goes one way in each kind of factor of each asset class, the largest amount first.

    Groups of one class tend to move together, so what goes one way in them is one bet, whatever the number of groups.
    """
    class_of = {group.group_id: group.asset_class for group in parameters.offset_groups}
    slopes: defaultdict[tuple[str, FactorKind], list[float]] = defaultdict(list)
    for effect in effects:
        if abs(effect.slope) > effect.noise:
            slopes[class_of[effect.block.group_id], effect.block.kind].append(effect.slope)
    found = [_concentration(*key, np.array(members)) for key, members in slopes.items()]
    return tuple(sorted(found, key=lambda one: (-one.amount, one.asset_class, one.kind.value)))


def _concentration(asset_class: str, kind: FactorKind, slopes: ByRow) -> DirectionalConcentration:
    net, gross = float(slopes.sum()), float(np.abs(slopes).sum())
    amount = cents_to_decimal(requirement_to_cents(abs(net), scale=gross))
    return DirectionalConcentration(asset_class, kind, net > 0, fraction_to_decimal(abs(net) / gross), amount)


def _block(group_id: OffsetGroupId, kind: FactorKind, columns: Index, scenarios: ScenarioSet) -> FactorBlock:
    shocks = scenarios.shocks[:, columns]
    typical = float(np.sqrt(np.einsum("s,sf->", scenarios.weights, shocks**2) / len(columns)))
    return FactorBlock(group_id, kind, columns, typical)
