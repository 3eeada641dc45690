"""What would have to happen for an account to break: the most plausible such move, looked for by full revaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crossmargin.domain.explanation import MarketMove
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.stress import BreakLine, Plausibility, ReverseStress
from crossmargin.engine.axes import ByFactor, ByMoveFactor, ByScenario, Index
from crossmargin.engine.large_factors import factor_blocks
from crossmargin.engine.liquidation_distance import smallest_crossing
from crossmargin.engine.methodologies.moved_methodology import MovedMethodology
from crossmargin.engine.moved_account import MovedAccount, MovingAccount
from crossmargin.engine.netting import leg_holdings, netted_pnl
from crossmargin.engine.portfolio_arrays import fraction_to_decimal, portfolio_arrays
from crossmargin.engine.revaluation import required_factors
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.stress import PreparedAccount, own_market, stressed_by_own_move

DISTANCES: Final = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0)
"""Mahalanobis distances looked at in each direction before the crossing between two of them is refined."""
MOST_STEPS: Final = 5
"""Times that a direction is turned towards where it crosses the line."""
WORST_STARTS: Final = 4
"""Scenarios, the account's worst, from whose market a search sets out."""
SAME_DISTANCE: Final = 1e-3
"""Relative: a turn that brings the line nearer by less ends the search from one start."""
_BUMP: Final = 1e-3
"""Of each factor's own standard deviation, either way: small enough for a slope, large enough for float noise."""
_SAME_DIRECTION: Final = 0.999
"""Cosine by the covariance: two starts that agree so well are one."""


def reverse_stress(account: PreparedAccount, market: RevaluedMarket, parameters: RiskParameters, line: BreakLine) -> ReverseStress:
    """Return the most plausible move of the market that was found to bring an account to a line.

    Plausible is what the ordinary scenarios make so: the Mahalanobis distance sqrt(x' C^-1 x) of a move x, C being their second moments.
    Where the account's value falls along a slope g, the nearest move that loses any given amount is a multiple of -C g (Hasofer and Lind
    1974). So each search sets out along -C g, goes on by full revaluation to where the account breaks, takes the slope there, and turns
    to it, until the line comes no nearer (Rackwitz and Fiessler 1978). Searches start from the market at rest and from the markets of the
    account's worst scenarios, because a hedged or a short option book has no slope where it stands.

    The move is the nearest that was found, and a nearer one cannot be ruled out: a line that bends has several nearest points. Moves that
    no ordinary scenario has any part in, such as of a factor that never moved, are outside of C and are not looked at.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    own = own_market(account.portfolio, market)
    moving = _moving(account, own, parameters, line)
    search = _Search(moving, _columns(own), own.scenarios)
    found, starts = search.nearest(_starts(account, own))
    searched = fraction_to_decimal(DISTANCES[-1])
    if found is None:
        return ReverseStress(account.portfolio.account, line, (), None, None, searched, starts, moving.evaluation_count)
    distance, move = found
    outcome = stressed_by_own_move(account, own, parameters, move)
    return ReverseStress(
        account=account.portfolio.account,
        line=line,
        moves=_named_moves(move, own, parameters),
        outcome=outcome,
        plausibility=plausibility(distance, float(outcome.pnl), profits_in_scenarios(account, own), own.scenarios),
        searched_to=searched,
        start_count=starts,
        evaluation_count=moving.evaluation_count,
    )


def plausibility(distance: float, pnl: float, profits: ByScenario, scenarios: ScenarioSet) -> Plausibility:
    """Return how likely a move at a distance is; `profits` [S] are those of everything held.

    >>> from crossmargin.engine.scenarios.scenario_set import ScenarioSet
    >>> one = ScenarioSet((), np.zeros((2, 0)), np.array([0.9, 0.1]), ("a", "b"), 2, {}, {})
    >>> plausibility(3.0, -10.0, np.array([4.0, -12.0]), one)
    Plausibility(distance=Decimal('3.000000'), normal_probability=Decimal('0.001350'), greatest_probability=Decimal('0.100000'), \
scenario_weight=Decimal('0.100000'))
    """
    return Plausibility(
        distance=fraction_to_decimal(distance),
        normal_probability=fraction_to_decimal(float(ndtr(-distance))),
        greatest_probability=fraction_to_decimal(1.0 / (1.0 + distance**2)),
        scenario_weight=fraction_to_decimal(float(scenarios.weights[profits <= pnl].sum())),
    )


def profits_in_scenarios(account: PreparedAccount, market: RevaluedMarket) -> ByScenario:
    """Return [S] what everything held gains in each scenario of the margin, pledged collateral too."""
    arrays = portfolio_arrays(account.portfolio, market)
    return netted_pnl(leg_holdings(arrays, arrays.quantity, market), market).account_pnl


class _Counted:
    """An account that is asked how far it is from a line; counts how often it was revalued."""

    def __init__(self, account: MovingAccount, line: BreakLine) -> None:
        self._account, self._line = account, line
        self.evaluation_count = 0

    @property
    def factor_count(self) -> int:
        return self._account.factor_count

    def values(self, moves: ByMoveFactor) -> list[float]:
        self.evaluation_count += len(moves)
        return self._account.values(moves)

    def headrooms(self, moves: ByMoveFactor) -> list[float]:
        self.evaluation_count += len(moves)
        return self._account.headrooms(moves) if self._line is BreakLine.LIQUIDATION else self._account.equities(moves)

    def equities(self, moves: ByMoveFactor) -> list[float]:
        return self._account.equities(moves)

    def look_closely(self, moves: ByMoveFactor) -> bool:
        # Equity rests on no scenario.
        return self._line is BreakLine.LIQUIDATION and self._account.look_closely(moves)


class _Search:
    """Looks for the nearest move at which an account crosses its line; `columns` are the factors that it is valued from."""

    def __init__(self, account: _Counted, columns: Index, scenarios: ScenarioSet) -> None:
        self._account, self._columns = account, columns
        ordinary = scenarios.shocks[: scenarios.ordinary_count, columns]
        self._covariance: NDArray[np.float64] = ordinary.T @ ordinary / max(1, len(ordinary))
        self._deviation = np.sqrt(np.diag(self._covariance))

    def nearest(self, starts: Sequence[ByFactor]) -> tuple[tuple[float, ByFactor] | None, int]:
        """Return the distance and the move [F] of the nearest crossing, None if there is none, and how many directions were set out in."""
        best: tuple[float, ByFactor] | None = None
        tried: list[ByFactor] = []
        for start in starts:
            direction = self._steepest(start)
            if direction is None or any(self._cosine(direction, other) > _SAME_DIRECTION for other in tried):
                continue
            tried.append(direction)
            found = self._turned(direction)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
        if best is None and self._account.headrooms(np.zeros((1, self._account.factor_count)))[0] <= 0:
            return (0.0, np.zeros(self._account.factor_count)), len(tried)
        return best, len(tried)

    def _turned(self, direction: ByFactor) -> tuple[float, ByFactor] | None:
        """Return the crossing along a direction, turned to the slope there for as long as that brings it nearer."""
        best: tuple[float, ByFactor] | None = None
        for _ in range(MOST_STEPS):
            unit = direction
            distance = smallest_crossing(self._account, (DISTANCES,), lambda size, unit=unit: size * unit)  # type: ignore[misc]
            if distance is None or (best is not None and distance >= best[0]):
                break
            is_near = best is not None and best[0] - distance <= SAME_DISTANCE * best[0]
            best = (distance, distance * unit)
            turned = self._steepest(best[1])
            if is_near or turned is None or distance == 0.0:
                break
            direction = turned
        return best

    def _steepest(self, move: ByFactor) -> ByFactor | None:
        """Return [F] the move of distance 1 along which the account loses most where the market is at `move`; None where it is flat."""
        if not len(self._columns):
            return None
        bumps = _BUMP * self._deviation
        moves = np.repeat(move[np.newaxis], 2 * len(self._columns), axis=0)
        for place, column in enumerate(self._columns.tolist()):
            moves[2 * place, column] -= bumps[place]
            moves[2 * place + 1, column] += bumps[place]
        values = np.array(self._account.values(moves)).reshape(-1, 2)
        slope = np.divide(values[:, 1] - values[:, 0], 2 * bumps, out=np.zeros(len(bumps)), where=bumps > 0)
        against = -self._covariance @ slope
        size = math.sqrt(max(0.0, float(-slope @ against)))
        if not math.isfinite(size) or size <= 0.0:
            return None
        direction = np.zeros(len(move))
        direction[self._columns] = against / size
        return direction

    def _cosine(self, one: ByFactor, other: ByFactor) -> float:
        """Return the cosine between two directions of distance 1, by the shocks of single deviations."""
        with np.errstate(all="ignore"):
            first, second = (
                np.nan_to_num(direction[self._columns] / self._deviation, posinf=0.0, neginf=0.0) for direction in (one, other)
            )
        return float(first @ second / math.sqrt(float(first @ first) * float(second @ second)))


def _moving(account: PreparedAccount, market: RevaluedMarket, parameters: RiskParameters, line: BreakLine) -> _Counted:
    snapshot = market.snapshot
    if snapshot is None:
        raise ValueError("a market that has moved already has no snapshot to move again")
    kind = MovedAccount if account.portfolio.methodology is Methodology.EXPECTED_SHORTFALL else MovedMethodology
    return _Counted(kind(account.portfolio, snapshot, market, parameters), line)


def _columns(market: RevaluedMarket) -> Index:
    """Return the columns of the factors that the instruments of a market are valued from."""
    assert market.snapshot is not None  # noqa: S101 - checked above
    held = required_factors(market.instruments, market.snapshot)
    return np.array([column for column, factor in enumerate(market.scenarios.factors) if factor in held], dtype=np.int64)


def _starts(account: PreparedAccount, market: RevaluedMarket) -> list[ByFactor]:
    profits = profits_in_scenarios(account, market)
    worst = np.argsort(profits, kind="stable")[:WORST_STARTS].tolist()
    return [np.zeros(len(market.scenarios.factors)), *(market.scenarios.shocks[place] for place in worst if profits[place] < 0)]


def _named_moves(move: ByFactor, market: RevaluedMarket, parameters: RiskParameters) -> tuple[MarketMove, ...]:
    """Return how each block of factors moves on average, the largest against its own typical move first."""
    moved = [factor for factor, size in zip(market.scenarios.factors, move.tolist(), strict=True) if size]
    blocks = factor_blocks(moved, market.scenarios, parameters)

    def against_typical(size: ByFactor, typical: float) -> float:
        return float(np.abs(size).mean()) / typical if typical > 0 else 0.0

    ordered = sorted(blocks, key=lambda block: -against_typical(move[block.columns], block.typical_move))
    return tuple(block.read_from(move) for block in ordered)
