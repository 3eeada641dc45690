"""The largest value of a concave function less tail means, over a box: a linear program, solved by an interior-point method of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from crossmargin.engine.axes import ByColumn, ByColumnVariable, ByPair, ByPlane, ByPlaneVariable, ByRow, ByVariable, Index

_STEP_SHARE: Final = 0.98
"""Of the way to the nearest bound: how far a step goes."""
_MOST_STEPS: Final = 60
_REGULARISATION: Final = 1e-13
"""Of the largest diagonal entry: keeps the system definite where a variable moves nothing."""
_FROM_THE_ENDS: Final = 0.02
"""Where a variable starts at least: next to an end it would take many steps to come away from it."""
_START_SHARE: Final = 4.0
"""Of the distance that is thought to be left: how much the start leaves open. Found by trying; a start too near the end is slow."""
_HALVINGS: Final = 12
"""Of the range of each eta at the start, which has to be about right only."""


@dataclass(frozen=True, slots=True, eq=False)
class TailProgram:
    """Maximise min over planes of (constant + slope x) - linear x - sum over rows of level_r ES_r(base_r + profit_r x), 0 <= x <= 1.

    ES_r is the largest mean loss over all weights of the row's columns that are at most `cap` and sum to at most 1. A column is a
    scenario, or all of a tail: with caps of 1 the row is the largest of some linear functions.

    Attributes:
        constant: [O]. slope: [O, V] the planes. linear: [V].
        level: [R] weight of each row, above zero. first: [R] where its columns begin; every row has some.
        base: [N] profits that no variable moves. profit: [N, V] what each variable adds. cap: [N] above zero; of each row 1 together
            at least.
    """

    constant: ByPlane
    slope: ByPlaneVariable
    linear: ByVariable
    level: ByRow
    first: Index
    base: ByColumn
    cap: ByColumn
    profit: ByColumnVariable


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where to begin: `x` [V] in the box, and how far its value may be from the maximum, above zero. A guess costs steps, no more.

    `is_settled` [V]: variables that stay where `x` has them. Where that is not the best place, the bound says by how much.
    """

    x: ByVariable
    distance: float
    is_settled: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TailSolution:
    """Near the maximum: `x` [V] in the box, and `bound`, which no x exceeds, wherever the settled variables are.

    `given_away`: the part of the bound that is there because the settled variables might be better elsewhere.
    """

    x: ByVariable
    bound: float
    given_away: float


def solve_tail_program(program: TailProgram, start: Start, *, tolerance: float) -> TailSolution:
    """Return a point whose value is within `tolerance` of the maximum for the settled variables where they are, with a bound.

    As a linear program (Rockafellar and Uryasev 2000): minimise level eta + level cap z - gain x with z >= 0, eta >= 0 and
    y = z + eta + profit(x) >= 0 in every column. The multipliers w of y are the tail weights, v = level cap - w those of z.
    The smallest of several planes is a row more: the largest of their distances to a value above all of them. Mehrotra's predictor and
    corrector (1992); what a column adds is eliminated first, then each row's eta, so that one step solves a system of one equation for
    each variable. The same program and start give the same bits.
    """
    rows, free = _Rows.of(program), ~start.is_settled
    x, bound, weights = _InteriorPoint(rows.settled(start), start.x[free], start.distance).solve(tolerance)
    # The weights bound the whole program, once the settled variables may go to the ends that they prefer under them.
    settled_x = start.x[start.is_settled]
    slopes = rows.gain[start.is_settled] + weights @ rows.profit[:, start.is_settled]
    found = start.x.copy()
    found[free] = x
    given_away = float((np.maximum(slopes, 0.0) - slopes * settled_x).sum())
    return TailSolution(found, bound + given_away, given_away)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of a program, that of the planes last, as maximise offset + gain x - the tail means of base + profit x under ceilings.

    `ceiling` [N] is level x cap; `row` [N] is the row of each column, `members` [R, N] 1 where a column is a row's.
    """

    offset: float
    gain: ByVariable
    level: ByRow
    first: Index
    row: Index
    members: NDArray[np.float64]
    base: ByColumn
    ceiling: ByColumn
    profit: ByColumnVariable

    @staticmethod
    def of(program: TailProgram) -> _Rows:
        """Return the rows; a single plane is no row, but part of the gain."""
        level, first, base, profit = program.level, program.first, program.base, program.profit
        ceiling = np.repeat(level, np.diff(first, append=len(base))) * program.cap
        offset, gain = float(program.constant[0]), program.slope[0] - program.linear
        if len(program.constant) > 1:
            offset, gain = float((program.constant + np.maximum(program.slope, 0.0).sum(axis=1)).max()), -program.linear
            level, first = np.append(level, 1.0), np.append(first, len(base))
            base, ceiling = np.append(base, program.constant - offset), np.append(ceiling, np.ones(len(program.constant)))
            profit = np.concatenate((profit, program.slope))
        row = np.repeat(np.arange(len(level)), np.diff(first, append=len(base)))
        members = (np.arange(len(level))[:, np.newaxis] == row).astype(np.float64)
        return _Rows(offset, gain, level, first, row, members, base, ceiling, profit)

    def settled(self, start: Start) -> _Rows:
        """Return the rows of the variables that are not settled, with what the others make of them where they are."""
        if not start.is_settled.any():
            return self
        x = np.where(start.is_settled, start.x, 0.0)
        free = ~start.is_settled
        return replace(
            self,
            offset=self.offset + float(self.gain @ x),
            gain=self.gain[free],
            base=self.base + self.profit @ x,
            profit=np.compress(free, self.profit, axis=1),
        )

    def cut(self, pairs: ByPair) -> _Pairs:
        """Return the parts of a vector over all pairs of unknowns; views of it."""
        columns, ends = len(self.base), 2 * len(self.base) + len(self.gain)
        x = pairs[2 * columns : ends]
        return _Pairs(pairs[:columns], pairs[columns : 2 * columns], x, pairs[ends : ends + len(x)], pairs[ends + len(x) :])

    def sums(self, columns: ByColumn) -> ByRow:
        """Return the sum of each row."""
        total: ByRow = np.add.reduceat(columns, self.first)
        return total


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """A vector over all pairs of unknowns, named after the primal ones: [N] z and y, [V] x and what is left of it to 1, [R] eta."""

    z: ByColumn
    y: ByColumn
    x: ByVariable
    left: ByVariable
    eta: ByRow


class _InteriorPoint:
    """The unknowns of the program, all strictly inside their bounds, as pairs of a primal and a dual one that multiply to zero at the end.

    `primal` [D] is z, y, x, 1 - x and eta, `dual` [D] what multiplies them: v, w, lower, upper and kappa. y = z + eta + profit(x) and
    v = level cap - w hold from the start and are kept by every step.
    """

    def __init__(self, rows: _Rows, start: ByVariable, distance: float) -> None:
        """Start where every pair multiplies to the same, but for the ends, whose multipliers take up what the slopes ask for."""
        self.rows = rows
        x = np.clip(start, _FROM_THE_ENDS, 1.0 - _FROM_THE_ENDS)
        profit = rows.base + rows.profit @ x
        product = _START_SHARE * distance / (2 * len(profit) + 2 * len(x) + len(rows.level))
        eta = _balanced(rows, profit, product)
        beyond = profit + eta[rows.row]
        less = _lesser_weight(beyond, rows.ceiling, product)
        more = rows.ceiling - less
        near, far = product / more, product / more + np.abs(beyond)
        is_above = beyond > 0.0
        w = np.where(is_above, less, more)
        slope = rows.gain + w @ rows.profit
        lower, upper = np.maximum(-slope, 0.0) + product / x, np.maximum(slope, 0.0) + product / (1.0 - x)
        self.primal = np.concatenate((np.where(is_above, near, far), np.where(is_above, far, near), x, 1.0 - x, eta))
        self.dual = np.concatenate((np.where(is_above, more, less), w, lower, upper, product / eta))
        self.at, self.by = rows.cut(self.primal), rows.cut(self.dual)

    def solve(self, tolerance: float) -> tuple[ByVariable, float, ByColumn]:
        """Return x, a value that the maximum does not exceed, and the weights of the columns that say so."""
        bound, weights = np.inf, self.by.y
        for _ in range(_MOST_STEPS):
            marginal, total = self.by.y @ self.rows.profit, self.rows.sums(self.by.y)
            at_most, allowed = self._bound(total)
            if at_most < bound:
                bound, weights = at_most, allowed
            if bound - self._value() <= tolerance:
                break
            self._step(marginal, total)
        return self.at.x, bound, weights

    def _bound(self, total: ByRow) -> tuple[float, ByColumn]:
        """Return a value that the maximum does not exceed, and the weights of the columns that say so.

        A tail mean is the largest mean loss over all weights from zero to level x cap that sum to at most the level, so with any of them
        the objective is replaced by a linear one that is nowhere smaller, and that one is at its largest where every variable is at the
        end it prefers. The weights are w, taken down where a row's sum is above its level by what is left of its residual.
        """
        rows = self.rows
        weights = self.by.y * np.minimum(1.0, rows.level / total)[rows.row]
        slopes = rows.gain + weights @ rows.profit
        return float(rows.offset + weights @ rows.base + np.maximum(slopes, 0.0).sum()), weights

    def _value(self) -> float:
        """Return what is to be maximised at x, or a little less where eta is not the best one."""
        rows, at = self.rows, self.at
        tails = rows.level @ at.eta + rows.ceiling @ np.maximum(at.z - at.y, 0.0)
        return float(rows.offset + rows.gain @ at.x - tails)

    def _step(self, marginal: ByVariable, total: ByRow) -> None:
        pairs = self.primal * self.dual
        gap = float(pairs.sum())
        system = _System(self, marginal, total)
        affine, counter = system.direction(-pairs)
        far, counter_far = _length(affine / self.primal), _length(counter / self.dual)
        after = float(((self.primal + far * affine) * (self.dual + counter_far * counter)).sum())
        centre = (after / gap) ** 3 * gap / len(pairs)
        step, counter = system.direction(centre - pairs - affine * counter)
        step *= _length(step / self.primal)
        counter *= _length(counter / self.dual)
        self.primal += step
        self.dual += counter


class _System:
    """Newton's equations at one point, reduced to one for each variable and factored once for both directions."""

    def __init__(self, point: _InteriorPoint, marginal: ByVariable, total: ByRow) -> None:
        self._point = point
        rows, at, by = point.rows, point.at, point.by
        self._missing_x = by.left - by.x - rows.gain - marginal
        self._missing_eta = rows.level - total - by.eta
        self._scale = 1.0 / (at.y * by.z + at.z * by.y)
        self._slope = by.y * by.z * self._scale
        self._row_total = rows.sums(self._slope) + by.eta / at.eta
        matrix = self._matrix()
        diagonal = matrix.ravel(order="F")[:: len(at.x) + 1]
        diagonal += by.x / at.x + by.left / at.left
        diagonal += _REGULARISATION * diagonal.max(initial=0.0)
        factor, info = dpotrf(matrix, lower=1, overwrite_a=1)
        if info:
            raise FloatingPointError(f"the program's system is not definite: LAPACK dpotrf said {info}")
        self._factor = factor

    def _matrix(self) -> NDArray[np.float64]:
        """Return [V, V] what the columns make of the system, in Fortran's order, of which the lower triangle counts.

        It is the sum over the columns of slope p p' less that over the rows of m m' / row_total, where m is the sum of slope p. With
        p - share m / sum of slope in the place of p the second sum is in the first, if share (2 - share) is sum of slope / row_total.
        """
        rows = self._point.rows
        slope = rows.sums(self._slope)
        share = 1.0 - np.sqrt((self._row_total - slope) / self._row_total)
        weighted = rows.profit * self._slope[:, np.newaxis]
        mean = np.add.reduceat(weighted, rows.first, axis=0) * (share / slope)[:, np.newaxis]
        np.subtract(rows.profit, mean[rows.row], out=weighted)
        weighted *= np.sqrt(self._slope)[:, np.newaxis]
        return dsyrk(1.0, weighted.T, lower=1)

    def direction(self, targets: ByPair) -> tuple[ByPair, ByPair]:
        """Return the steps [D] of the primal and of the dual unknowns that add `targets` [D] to what the pairs multiply to."""
        point, rows, at, by = self._point, self._point.rows, self._point.at, self._point.by
        wanted = rows.cut(targets)
        rest = (wanted.y * by.z - wanted.z * by.y) * self._scale
        rest_eta = rows.sums(rest) - self._missing_eta + wanted.eta / at.eta
        pull = (rest - self._slope * (rest_eta / self._row_total)[rows.row]) @ rows.profit
        x = dpotrs(self._factor, pull - self._missing_x + wanted.x / at.x - wanted.left / at.left, lower=1)[0]
        moved = rows.profit @ x
        eta = (rest_eta - rows.sums(self._slope * moved)) / self._row_total
        moved += eta[rows.row]
        rest -= self._slope * moved
        z = (wanted.z + at.z * rest) / by.z
        primal = np.concatenate((z, z + moved, x, -x, eta))
        others = slice(2 * len(z), None)
        ends = (targets[others] - point.dual[others] * primal[others]) / point.primal[others]
        return primal, np.concatenate((-rest, rest, ends))


def _balanced(rows: _Rows, profit: ByColumn, product: float) -> ByRow:
    """Return the eta of each row at which its weights fill it, or about so, when all pairs multiply to `product`."""
    low = np.zeros(len(rows.level))
    high = np.maximum(-np.minimum.reduceat(profit, rows.first), 0.0) + product * (len(profit) + 1) / rows.level
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        beyond = profit + middle[rows.row]
        less = _lesser_weight(beyond, rows.ceiling, product)
        weights = np.where(beyond > 0.0, less, rows.ceiling - less)
        is_full = rows.sums(weights) + product / middle > rows.level
        low, high = np.where(is_full, middle, low), np.where(is_full, high, middle)
    return high


def _lesser_weight(beyond: ByColumn, ceiling: ByColumn, product: float) -> ByColumn:
    """Return the smaller of w and v where z v = y w = product, y - z = beyond and v + w = ceiling; it is w where beyond is above zero."""
    reach = np.abs(beyond) * ceiling
    weight: ByColumn = 2.0 * product * ceiling / (reach + 2.0 * product + np.sqrt(reach * reach + 4.0 * product * product))
    return weight


def _length(ratios: ByPair) -> float:
    """Return how much of a step may be taken, at most all of it, when it takes the shares `ratios` [D] of what unknowns above zero are."""
    nearest = float(ratios.min())
    return 1.0 if nearest >= -_STEP_SHARE else -_STEP_SHARE / nearest
