"""Policy AUTO: the split of every holding into a risked and a pledged amount that leaves the account the most excess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByHolding, ByRow, ByRowScenario, ByScenario, ByVariable, Index
from crossmargin.engine.collateral_program import Parts, Rows, parts_of, rows_of
from crossmargin.engine.collateral_split import HeldAssets
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_weights
from crossmargin.engine.tail_program import TailProgram, solve_tail_program

TOLERANCE: Final = 5e-4
"""Of the excess before charges: what the chosen split may miss of the best one, half of what is promised."""
_SOLVER_SHARE: Final = 0.4
"""Of the tolerance, for the program on some of the scenarios; the rest is for what it does not see."""
_LEAST_TOLERANCE: Final = 1e-6
"""Of the value that is split, where there is hardly any excess."""
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
    """A split that was looked at. `x` [V]; `tails` [R, S] weights over alpha; `slope` [V] of the excess; `cut`: the limits that bind."""

    x: ByVariable
    excess: float
    tails: ByRowScenario
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
        # Halfway is no split that anybody wants: its tails are most of those that the ends do not have.
        risked, pledged, _ = (self._look(np.full(len(self._parts.place), share)) for share in (1.0, 0.0, 0.5))
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
        by_place = np.bincount(self._parts.place, weights=point.x * self._parts.width, minlength=len(self._held.collateral))
        chosen = np.unique(self._parts.place)
        fraction[np.array(self._held.collateral)[chosen]] = np.round(np.clip(by_place[chosen], 0.0, 1.0), _FRACTION_PLACES)
        return Choice(fraction, point.excess, self._bound)

    def _look(self, x: ByVariable) -> _Point:
        """Return a split with its excess before charges in all scenarios, and remember it."""
        rows, parts = self._rows, self._parts
        alone = parts.values(x)
        limited = self._held.limited(alone)
        total = float(limited.counted.sum())
        value_slope = limited.slope[parts.place] * parts.gain
        profit = self._profits(x)
        tails = tail_weights(profit, self._weights, self._alpha) / self._alpha
        means = -np.einsum("rs,rs->r", tails, profit)
        tails[means <= 0] = 0.0
        excess = self._rest + total - float(rows.linear @ x) - float(rows.level @ np.maximum(means, 0.0))
        by_entry = np.einsum("es,es->e", rows.entry_profit, (rows.level[:, np.newaxis] * tails)[rows.entry_row])
        slope = value_slope - rows.linear + np.bincount(rows.entry_part, weights=by_entry, minlength=len(x))
        cut = _Cut(total + float(limited.slope @ (parts.pledged_value - alone)), value_slope)
        point = _Point(x, excess, tails, slope, cut)
        self._points.append(point)
        return point

    def _profits(self, x: ByVariable) -> ByRowScenario:
        rows = self._rows
        if not len(rows.level):
            return rows.base
        moved = rows.entry_profit * x[rows.entry_part, np.newaxis]
        first = np.searchsorted(rows.entry_row, np.arange(len(rows.level)))
        profit: ByRowScenario = rows.base + np.add.reduceat(moved, first, axis=0)
        return profit

    def _improve(self, best: _Point, tolerance: float) -> bool:
        """Solve the program of what is known, and look at its split; return True when the best split known is good enough."""
        cuts = self._known_cuts()
        bare = _Bare(self._rest, self._rows, cuts)
        self._bound = min(self._bound, bare.bound_at(best))
        if self._bound - best.excess <= tolerance:
            return True
        places = self._known_places(len(cuts))
        program, offset = bare.program(places, self._weights / self._alpha)
        solution = solve_tail_program(program, tolerance=_SOLVER_SHARE * tolerance)
        self._bound = min(self._bound, offset + program.upper_bound(solution.weights))
        near = _NEAR_AN_END
        point = self._look(np.where(solution.x < near, 0.0, np.where(solution.x > 1.0 - near, 1.0, solution.x)))
        return self._bound - max(best.excess, point.excess) <= tolerance

    def _known_cuts(self) -> list[_Cut]:
        cuts: list[_Cut] = []
        for point in self._points:
            if not any(np.array_equal(point.cut.slope, cut.slope) for cut in cuts):
                cuts.append(point.cut)
        return cuts

    def _known_places(self, least: int) -> Index:
        """Return [R, W] the scenarios that were in each row's tail so far, filled up with others to the same number."""
        seen = np.zeros_like(self._rows.base, dtype=np.bool_)
        for point in self._points:
            seen |= point.tails > 0
        width = min(max(int(seen.sum(axis=1).max(initial=1)), least), len(self._weights))
        return np.argsort(~seen, axis=1, kind="stable")[:, :width]

    def _polished(self, best: _Point) -> _Point:
        """Return the split with the fractions that are neither 0 nor 1 moved, one by one, to the bend of the excess next to them."""
        inside = np.flatnonzero((best.x > 0.0) & (best.x < 1.0)).tolist()
        if not 0 < len(inside) <= _POLISHED:
            return best
        x, profit = best.x.copy(), self._profits(best.x)
        for part in inside:
            line = _Line.of(part, self._rows, profit, x)
            bend = line.bend(self._slope_of_value(part, x), self._weights, self._alpha)
            profit[line.rows] += (bend - x[part]) * line.profit
            x[part] = bend
        return max(best, self._look(x), key=lambda point: point.excess)

    def _slope_of_value(self, part: int, x: ByVariable) -> float:
        """Return what risking all of a part adds to the value of the collateral, less its own group's initial margin."""
        limited = self._held.limited(self._parts.values(x))
        return float(limited.slope[self._parts.place[part]] * self._parts.gain[part] - self._rows.linear[part])


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """The excess along one part: the rows it moves, their profits [R, S] where it stands, and what it adds to them."""

    at: float
    rows: Index
    level: ByRow
    standing: ByRowScenario
    profit: ByRowScenario

    @staticmethod
    def of(part: int, rows: Rows, profit: ByRowScenario, x: ByVariable) -> _Line:
        """Return the line through x along one part; `profit` [R, S] is what all rows gain at x."""
        own = np.flatnonzero(rows.entry_part == part)
        touched = rows.entry_row[own]
        return _Line(float(x[part]), touched, rows.level[touched], profit[touched], rows.entry_profit[own])

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
        tails = tail_weights(profit, weights, alpha) / alpha
        means = -np.einsum("rs,rs->r", tails, profit)
        slopes = np.where(means > 0.0, -np.einsum("rs,rs->r", tails, self.profit), 0.0)
        return float(self.level @ slopes), float(self.level @ np.maximum(means, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Bare:
    """The program before its scenarios are chosen: `rest` counts whatever the split, `cuts` are above the value of the collateral."""

    rest: float
    rows: Rows
    cuts: list[_Cut]

    def bound_at(self, point: _Point) -> float:
        """Return what no split exceeds by the slopes at one point: the excess is concave."""
        return point.excess + float(np.maximum(-point.x * point.slope, (1.0 - point.x) * point.slope).sum())

    def program(self, places: Index, cap: ByScenario) -> tuple[TailProgram, float]:
        """Return the program on the scenarios at `places` [R, W], and what is to be added to its value.

        One cut is part of the gain. The smallest of several is a row more: the tail mean of their distances to a value above all of
        them, with a tail that one of them can fill.
        """
        rows = self.rows
        base = np.take_along_axis(rows.base, places, axis=1)
        profit = np.take_along_axis(rows.entry_profit, places[rows.entry_row], axis=1)
        if len(self.cuts) == 1 and len(rows.level):
            (cut,) = self.cuts
            gain = cut.slope - rows.linear
            return TailProgram(gain, rows.level, base, cap[places], rows.entry_row, rows.entry_part, profit), self.rest + cut.constant
        return self._with_cuts(base, profit, cap[places])

    def _with_cuts(self, base: ByRowScenario, profit: ByRowScenario, cap: ByRowScenario) -> tuple[TailProgram, float]:
        rows, part_count = self.rows, len(self.rows.linear)
        width = int(base.shape[1]) if len(base) else len(self.cuts)
        used = [self.cuts[-1 - min(place, len(self.cuts) - 1)] for place in range(width)]
        slopes = np.array([cut.slope for cut in used])
        top = max(cut.constant + float(np.maximum(cut.slope, 0.0).sum()) for cut in self.cuts)
        return (
            TailProgram(
                gain=-rows.linear,
                level=np.append(rows.level, 1.0),
                base=np.vstack((base.reshape(-1, width), [[cut.constant - top for cut in used]])),
                cap=np.vstack((cap.reshape(-1, width), np.ones((1, width)))),
                entry_row=np.append(rows.entry_row, np.full(part_count, len(rows.level))),
                entry_variable=np.append(rows.entry_part, np.arange(part_count)),
                entry_profit=np.vstack((profit.reshape(-1, width), slopes.T)),
            ),
            self.rest + top,
        )
