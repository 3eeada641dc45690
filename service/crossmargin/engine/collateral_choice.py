"""Policy AUTO: the split of every holding into a risked and a pledged amount that leaves the account the most excess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByHolding, ByRow, ByRowScenario, ByScenario, ByVariable, Index
from crossmargin.engine.collateral_columns import scenario_columns, tangent_columns
from crossmargin.engine.collateral_program import Parts, Rows, parts_of, rows_of
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.collateral_tails import SplitTails, split_tails
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import worst_of_rows
from crossmargin.engine.tail_program import Start, TailProgram, solve_tail_program

TOLERANCE: Final = 9.5e-4
"""Of the excess before charges: what the chosen split may miss of the best one, a little less than is promised."""
_SOLVER_SHARE: Final = 0.6
"""Of the tolerance, for the program on some of the scenarios; the rest is for what it does not see."""
_LEAST_TOLERANCE: Final = 1e-6
"""Of the value that is split, where there is hardly any excess."""
_FIRST_STEP: Final = (0.8, 0.2)
"""Risked of every part that gains by it, and of every other."""
_STEPS: Final = (0.5, 0.25)
"""How much more is risked of every part that gains by it then, and less of every other: found by trying; any would do."""
_ROUNDS: Final = 8
_BENT_SHARE: Final = 0.5
"""Of the tolerance: how much of a row's tail mean tangents may miss before its scenarios are taken instead."""
_GIVEN_AWAY: Final = 0.2
"""Of the tolerance: how much settled parts may give away before nothing is settled any more."""
_NEAR_AN_END: Final = 0.01
_POLISHED: Final = 4
_FRACTION_PLACES: Final = 6
"""Of a risked fraction: far above the noise of the solver, far below what shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One way to split the holdings of policy AUTO.

    Attributes:
        risked_fraction: [H] for every holding, those of other policies as they are.
        excess: Equity less initial margin before charges, base currency: the excess with charges is not above it.
        bound: What no split exceeds before charges.
    """

    risked_fraction: ByHolding
    excess: float
    bound: float


def choices(arrays: PortfolioArrays, market: RevaluedMarket, held: HeldAssets, rates: MarginRates) -> list[Choice]:
    """Return splits worth looking at, the one with the most excess before charges first.

    Among them are the best split there is, within TOLERANCE, all risked and all pledged. Before charges the excess is concave in the
    split, because what counts is, and tail means are convex: the largest value is that of a linear program (Rockafellar and Uryasev 2000)
    over the parts of holdings between the bends of their haircuts. It is solved on what the splits looked at so far have shown: of most
    tail means their tangents, of the widest the scenarios that were in a tail. Neither says more than there is, so the solver's weights
    bound what any split could have; as long as the bound is too far off, what the split turned up is added, and the program is solved
    again.
    """
    undecided = np.isnan(arrays.risked_fraction)
    decided = np.where(undecided, 1.0, arrays.risked_fraction)
    chosen = [place for place, holding in enumerate(held.collateral) if undecided[holding] and held.terms[place].value > 0]
    if not chosen:
        return [Choice(decided, np.inf, np.inf)]
    parts = parts_of(held, decided, chosen)
    program = parts, rows_of(parts, held, arrays, market, rates)
    return _Search(decided, held, program, market.scenarios.weights, alpha=rates.tail_fraction).run()


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """A split that was looked at. `x` [V]; `slope` [V] of the excess; `cut`: the limits that bind; `tails` of all rows."""

    x: ByVariable
    excess: float
    slope: ByVariable
    cut: _Cut
    tails: SplitTails


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A plane that the value of all collateral nowhere exceeds: `constant` + `slope` [V] x, base currency."""

    constant: float
    slope: ByVariable


class _Search:
    """The splits of one account that were looked at, and what is known from them."""

    def __init__(
        self, risked_fraction: ByHolding, held: HeldAssets, program: tuple[Parts, Rows], weights: ByScenario, *, alpha: float
    ) -> None:
        self._risked_fraction, self._held, self._weights, self._alpha = risked_fraction, held, weights, alpha
        self._parts, self._rows = program
        others = [*held.liability, *held.contract]
        self._rest = float(held.market_value[others].sum()) - self._rows.constant
        self._points: list[_Point] = []
        self._bound = np.inf
        self._is_settling = True
        # Tails that few holdings move bend little, so that tangents at a few splits say what they are; of the widest row scenarios do.
        self._by_scenario = np.zeros(len(self._rows.level), dtype=np.bool_)
        self._by_scenario[np.bincount(self._rows.entries.row).argmax() if len(self._rows.level) else []] = True

    def run(self) -> list[Choice]:
        risked, pledged = (self._look(np.full(len(self._parts.source), share)) for share in (1.0, 0.0))
        # Steps towards a good split: tangents near it, and what lies in the tails there.
        towards = self._look(np.where(risked.slope + pledged.slope > 0.0, *_FIRST_STEP))
        for step in _STEPS:
            towards = self._look(np.clip(towards.x + step * np.sign(towards.slope), 0.0, 1.0))
        for _ in range(_ROUNDS):
            best = self._best()
            tolerance = max(
                TOLERANCE * abs(best.excess), _LEAST_TOLERANCE * float(self._held.market_value[list(self._held.collateral)].sum())
            )
            if self._improve(best, tolerance):
                break
        best = self._polished(self._best())
        return [self._choice(point) for point in sorted((best, risked, pledged), key=lambda point: -point.excess)]

    def _choice(self, point: _Point) -> Choice:
        """Return a split by holding, in whole millionths: the same on every machine."""
        fraction = self._risked_fraction.copy()
        risked = np.clip(self._parts.risked(point.x), 0.0, 1.0)
        fraction[np.array(self._held.collateral)[self._parts.chosen]] = np.round(risked, _FRACTION_PLACES)
        return Choice(fraction, point.excess, self._bound)

    def _best(self) -> _Point:
        return max(self._points, key=lambda point: point.excess)

    def _look(self, x: ByVariable) -> _Point:
        """Return a split with its excess before charges, and remember it with the bound that it gives."""
        rows, parts, entries = self._rows, self._parts, self._rows.entries
        alone = parts.values(x)
        limited = self._held.limited(alone)
        total = float(limited.counted.sum())
        value_slope = limited.slope[parts.chosen][parts.source] * parts.gain
        tails = split_tails(rows, parts.risked(x), self._weights, self._alpha)
        excess = self._rest + total - float(rows.linear @ x) - float(rows.level @ np.maximum(tails.mean, 0.0))
        by_source = np.bincount(entries.source, np.where(tails.mean > 0, rows.level, 0.0)[entries.row] * tails.gain, len(parts.chosen))
        slope = value_slope - rows.linear + by_source[parts.source] * parts.width
        cut = _Cut(total + float(limited.slope @ (parts.pledged_value - alone)), value_slope)
        point = _Point(x, excess, slope, cut, tails)
        self._points.append(point)
        reach = float(np.maximum(-x * slope, (1.0 - x) * slope).sum())  # the excess is concave
        self._bound = min(self._bound, excess + reach)
        return point

    def _improve(self, best: _Point, tolerance: float) -> bool:
        """Solve the program of what is known, and look at its split; return True when the best split known is good enough."""
        if self._bound - best.excess <= tolerance:
            return True
        settled = self._settled()
        x = np.where(settled == 0.0, self._points[-1].x, 0.5 + 0.5 * settled)
        start = Start(x, self._bound - best.excess, settled != 0.0)
        solution = solve_tail_program(self._program(), start, tolerance=_SOLVER_SHARE * tolerance)
        self._bound = min(self._bound, self._rest + solution.bound)
        near = _NEAR_AN_END
        point = self._look(np.where(solution.x < near, 0.0, np.where(solution.x > 1.0 - near, 1.0, solution.x)))
        if self._bound - max(best.excess, point.excess) <= tolerance:
            return True
        self._by_scenario |= self._bent(point, tolerance)
        self._is_settling = solution.given_away <= _GIVEN_AWAY * tolerance
        return False

    def _settled(self) -> ByVariable:
        """Return [V] 1 for what gains by being risked at every split looked at, -1 for what loses, and 0 for what has to be found.

        That settles about half of the parts. Should it be wrong, the bound shows it, and the next program finds them all.
        """
        if not self._is_settling:
            return np.zeros(len(self._parts.source))
        slopes = np.array([point.slope for point in self._points])
        return np.where((slopes > 0.0).all(axis=0), 1.0, np.where((slopes < 0.0).all(axis=0), -1.0, 0.0))

    def _bent(self, point: _Point, tolerance: float) -> NDArray[np.bool_]:
        """Return [R] whether the tangents at the other splits said too little of a row's tail mean at this one."""
        said = [other.tails.tangent(self._rows, point.tails.risked) for other in self._points if other is not point]
        missing = np.maximum(point.tails.mean, 0.0) - np.maximum(np.max(said, axis=0), 0.0)
        return np.asarray(self._rows.level * missing > _BENT_SHARE * tolerance)

    def _program(self) -> TailProgram:
        """Return the program on the limits, the tangents and the scenarios that are known."""
        cuts, looks = self._known_cuts(), [point.tails for point in self._points]
        rows, parts = self._rows, self._parts
        by_tangent, by_scenario = np.flatnonzero(~self._by_scenario), np.flatnonzero(self._by_scenario)
        blocks = [tangent_columns(looks, rows, by_tangent)]
        blocks += [scenario_columns(looks, rows, row, self._weights, self._alpha) for row in by_scenario.tolist()]
        count = np.array([each for block in blocks for each in block.count], dtype=np.int64)
        return TailProgram(
            constant=np.array([cut.constant for cut in cuts]),
            slope=np.array([cut.slope for cut in cuts]),
            linear=rows.linear,
            level=rows.level[np.concatenate((by_tangent, by_scenario))],
            first=np.cumsum(count) - count,
            base=np.concatenate([block.base for block in blocks]),
            cap=np.concatenate([block.cap for block in blocks]),
            profit=np.concatenate([block.by_source for block in blocks])[:, parts.source] * parts.width,
        )

    def _known_cuts(self) -> list[_Cut]:
        cuts: list[_Cut] = []
        for point in self._points:
            if not any(np.array_equal(point.cut.slope, cut.slope) for cut in cuts):
                cuts.append(point.cut)
        return cuts

    def _polished(self, best: _Point) -> _Point:
        """Return the split with the fractions that are neither 0 nor 1 moved, one by one, to the bend of the excess next to them."""
        inside = np.flatnonzero((best.x > 0.0) & (best.x < 1.0)).tolist()
        if not 0 < len(inside) <= _POLISHED:
            return best
        x, profit = best.x.copy(), self._rows.profits(self._parts.risked(best.x))
        for part in inside:
            line = _Line.of(part, self._parts, self._rows, profit, x)
            bend = line.bend(self._slope_of_value(part, x), self._weights, self._alpha)
            profit[line.rows] += (bend - x[part]) * line.profit
            x[part] = bend
        return max(best, self._look(x), key=lambda point: point.excess)

    def _slope_of_value(self, part: int, x: ByVariable) -> float:
        """Return what risking all of a part adds to the value of the collateral, less its own group's initial margin."""
        limited = self._held.limited(self._parts.values(x))
        place = self._parts.chosen[self._parts.source[part]]
        return float(limited.slope[place] * self._parts.gain[part] - self._rows.linear[part])


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """The excess along one part: the rows it moves, their profits [R, S] where it stands, and what it adds to them."""

    at: float
    rows: Index
    level: ByRow
    standing: ByRowScenario
    profit: ByRowScenario

    @staticmethod
    def of(part: int, parts: Parts, rows: Rows, profit: ByRowScenario, x: ByVariable) -> _Line:
        """Return the line through x along one part; `profit` [R, S] is what all rows gain at x."""
        own = rows.entries.take(rows.entries.source == parts.source[part])
        touched = own.row
        added = parts.width[part] * own.profits(rows.leg_pnl)
        return _Line(float(x[part]), touched, rows.level[touched], profit[touched], added)

    def bend(self, gain: float, weights: ByScenario, alpha: float) -> float:
        """Return the part's fraction at which the slope changes its sign near where it stands; where it stands if it does not."""
        below, above = max(self.at - _NEAR_AN_END, 0.0), min(self.at + _NEAR_AN_END, 1.0)
        rise, low = self._slope_and_cost(below, weights, alpha)
        fall, high = self._slope_and_cost(above, weights, alpha)
        rise, fall = gain - rise, gain - fall
        if rise <= 0.0 or fall >= 0.0:
            return self.at
        reach = above - below
        return float(below + (gain * reach - (high - low) - fall * reach) / (rise - fall))

    def _slope_and_cost(self, fraction: float, weights: ByScenario, alpha: float) -> tuple[float, float]:
        """Return how fast the initial margin of the rows rises at a fraction, and what it is there."""
        profit = self.standing + (fraction - self.at) * self.profit
        tails = worst_of_rows(profit, weights, alpha)
        means = -np.einsum("rs,rs->r", tails.weight, np.take_along_axis(profit, tails.scenario, axis=1)) / alpha
        rises = -np.einsum("rs,rs->r", tails.weight, np.take_along_axis(self.profit, tails.scenario, axis=1)) / alpha
        return float(self.level @ np.where(means > 0.0, rises, 0.0)), float(self.level @ np.maximum(means, 0.0))
