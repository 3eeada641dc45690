"""Policy AUTO: the split of every holding into a risked and a pledged amount that leaves the account the most excess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByEntry, ByEntryScenario, ByHolding, ByRow, ByRowScenario, ByScenario, ByVariable, Index
from crossmargin.engine.collateral_program import Parts, Rows, parts_of, rows_of
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import WorstScenarios, worst_of_rows
from crossmargin.engine.tail_program import TailProgram, solve_tail_program

TOLERANCE: Final = 8e-4
"""Of the excess before charges: what the chosen split may miss of the best one, a little less than is promised."""
_SOLVER_SHARE: Final = 0.6
"""Of the tolerance, for the program on some of the scenarios; the rest is for what it does not see."""
_LEAST_TOLERANCE: Final = 1e-6
"""Of the value that is split, where there is hardly any excess."""
_FIRST_STEP: Final = (0.8, 0.2)
_STEPS: Final = (0.4, 0.2)
"""Of the way from all pledged to all risked, for every part that gains by it: found by trying; any would do."""
_ROUNDS: Final = 8
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
    over the parts of holdings between the bends of their haircuts. It is solved on the scenarios that were in a tail at the splits looked
    at so far. The solver's weights bound what any split could have; as long as the bound is too far off, the scenarios and limits that
    the split turned up are added, and the program is solved again.
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
    """A split that was looked at. `x` [V]; `tails` over alpha; `slope` [V] of the excess; `cut`: the limits that bind."""

    x: ByVariable
    excess: float
    tails: WorstScenarios
    slope: ByVariable
    cut: _Cut


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

    def run(self) -> list[Choice]:
        risked, pledged = (self._look(np.full(len(self._parts.source), share)) for share in (1.0, 0.0))
        # No splits that anybody wants: steps towards one, whose tails are most of those that the ends do not have.
        towards = self._look(np.where(risked.slope + pledged.slope > 0.0, *_FIRST_STEP))
        for step in _STEPS:
            towards = self._look(np.clip(towards.x + step * np.sign(towards.slope), 0.0, 1.0))
        for _ in range(_ROUNDS):
            best = max(self._points, key=lambda point: point.excess)
            tolerance = max(
                TOLERANCE * abs(best.excess), _LEAST_TOLERANCE * float(self._held.market_value[list(self._held.collateral)].sum())
            )
            if self._improve(best, tolerance):
                break
        best = self._polished(max(self._points, key=lambda point: point.excess))
        return [self._choice(point) for point in sorted((best, risked, pledged), key=lambda point: -point.excess)]

    def _choice(self, point: _Point) -> Choice:
        """Return a split by holding, in whole millionths: the same on every machine."""
        fraction = self._risked_fraction.copy()
        risked = np.clip(self._parts.risked(point.x), 0.0, 1.0)
        fraction[np.array(self._held.collateral)[self._parts.chosen]] = np.round(risked, _FRACTION_PLACES)
        return Choice(fraction, point.excess, self._bound)

    def _look(self, x: ByVariable) -> _Point:
        """Return a split with its excess before charges in all scenarios, and remember it."""
        rows, parts = self._rows, self._parts
        alone = parts.values(x)
        limited = self._held.limited(alone)
        total = float(limited.counted.sum())
        value_slope = limited.slope[parts.chosen][parts.source] * parts.gain
        profit = rows.profits(parts.risked(x))
        tails, means, by_entry = _tails_of(profit, rows.entry_profits, rows.entry_row, self._weights, self._alpha)
        excess = self._rest + total - float(rows.linear @ x) - float(rows.level @ np.maximum(means, 0.0))
        by_source = np.bincount(rows.entry_source, np.where(means > 0, rows.level, 0.0)[rows.entry_row] * by_entry, len(parts.chosen))
        slope = value_slope - rows.linear + by_source[parts.source] * parts.width
        cut = _Cut(total + float(limited.slope @ (parts.pledged_value - alone)), value_slope)
        point = _Point(x, excess, tails, slope, cut)
        self._points.append(point)
        return point

    def _improve(self, best: _Point, tolerance: float) -> bool:
        """Solve the program of what is known, and look at its split; return True when the best split known is good enough."""
        reach = np.maximum(-best.x * best.slope, (1.0 - best.x) * best.slope).sum()  # the excess is concave
        self._bound = min(self._bound, best.excess + float(reach))
        if self._bound - best.excess <= tolerance:
            return True
        solution = solve_tail_program(self._program(), tolerance=_SOLVER_SHARE * tolerance)
        self._bound = min(self._bound, self._rest + solution.bound)
        near = _NEAR_AN_END
        point = self._look(np.where(solution.x < near, 0.0, np.where(solution.x > 1.0 - near, 1.0, solution.x)))
        return self._bound - max(best.excess, point.excess) <= tolerance

    def _program(self) -> TailProgram:
        """Return the program on the limits and the scenarios that are known."""
        cuts = self._known_cuts()
        places = self._known_places(len(cuts))
        rows, parts = self._rows, self._parts
        return TailProgram(
            constant=np.array([cut.constant for cut in cuts]),
            slope=np.array([cut.slope for cut in cuts]),
            linear=rows.linear,
            source=parts.source,
            width=parts.width,
            level=rows.level,
            base=rows.base_at(places),
            cap=self._weights[places] / self._alpha,
            entry_row=rows.entry_row,
            entry_source=rows.entry_source,
            entry_profit=rows.entry_profits(places),
        )

    def _known_cuts(self) -> list[_Cut]:
        cuts: list[_Cut] = []
        for point in self._points:
            if not any(np.array_equal(point.cut.slope, cut.slope) for cut in cuts):
                cuts.append(point.cut)
        return cuts

    def _known_places(self, least: int) -> Index:
        """Return [R, W] the scenarios that were in each row's tail so far, filled up with others to the same number."""
        row_count, scenario_count = len(self._rows.level), len(self._weights)
        seen = np.zeros((row_count, scenario_count), dtype=np.bool_)
        for point in self._points:
            row, place = np.nonzero(point.tails.weight > 0)
            seen[row, point.tails.scenario[row, place]] = True
        width = min(max(int(seen.sum(axis=1).max(initial=1)), least), scenario_count)
        for each, missing in enumerate((width - seen.sum(axis=1)).tolist()):
            seen[each, np.flatnonzero(~seen[each])[:missing]] = True
        return np.flatnonzero(seen).reshape(row_count, width) % scenario_count

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


def _tails_of(
    profit: ByRowScenario, entry_profits: Callable[[Index], ByEntryScenario], entry_row: Index, weights: ByScenario, alpha: float
) -> tuple[WorstScenarios, ByRow, ByEntry]:
    """Return the tails of all rows, over alpha, their mean losses, and what each entry gains in the tail of its row."""
    tails = worst_of_rows(profit, weights, alpha)
    tails = WorstScenarios(tails.scenario, tails.weight / alpha)
    means = -np.einsum("rs,rs->r", tails.weight, np.take_along_axis(profit, tails.scenario, axis=1))
    return tails, means, np.einsum("es,es->e", entry_profits(tails.scenario), tails.weight[entry_row])


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
        own = np.flatnonzero(rows.entry_source == parts.source[part])
        touched = rows.entry_row[own]
        added = parts.width[part] * rows.entries_in_full(own)
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
