"""The largest value of a concave function less tail means, over a box: a linear program, solved by an interior-point method of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from crossmargin.engine.axes import ByColumn, ByColumnVariable, ByPlane, ByPlaneVariable, ByRow, ByVariable, Index

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
    """Where to begin: `x` [V] in the box, and how far its value may be from the maximum, above zero. A guess costs steps, no more."""

    x: ByVariable
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class TailSolution:
    """Near the maximum: `x` [V] inside the box, and `bound`, which no x exceeds."""

    x: ByVariable
    bound: float


def solve_tail_program(program: TailProgram, start: Start, *, tolerance: float) -> TailSolution:
    """Return a point whose value is within `tolerance` of the maximum, with a bound that shows it.

    As a linear program (Rockafellar and Uryasev 2000): minimise level eta + level cap z - gain x with z >= 0, eta >= 0 and
    y = z + eta + profit(x) >= 0 in every column. The multipliers w of y are the tail weights, v = level cap - w those of z.
    The smallest of several planes is a row more: the largest of their distances to a value above all of them. Mehrotra's predictor and
    corrector (1992); what a column adds is eliminated first, then each row's eta, so that one step solves a system of one equation for
    each variable. The same program and start give the same bits.
    """
    return _InteriorPoint(_Rows.of(program), start).solve(tolerance)


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

    def sums(self, columns: ByColumn) -> ByRow:
        """Return the sum of each row."""
        total: ByRow = np.add.reduceat(columns, self.first)
        return total


class _InteriorPoint:
    """The unknowns of the program, all strictly inside their bounds.

    x, eta, z, y are primal; v, w, kappa, lower and upper multiply z, y, eta, x and 1 - x. y = z + eta + profit(x) and
    v = level cap - w hold from the start and are kept by every step. z, y, v and w are one array [4, N], so that the pairs that multiply
    are its halves.
    """

    def __init__(self, rows: _Rows, start: Start) -> None:
        """Start where every pair multiplies to the same, but for the ends, whose multipliers take up what the slopes ask for."""
        self.rows = rows
        self.x = np.clip(start.x, _FROM_THE_ENDS, 1.0 - _FROM_THE_ENDS)
        profit = rows.base + rows.profit @ self.x
        product = _START_SHARE * start.distance / (2 * len(profit) + 2 * len(self.x) + len(rows.level))
        self.eta = _balanced(rows, profit, product)
        beyond = profit + self.eta[rows.row]
        less = _lesser_weight(beyond, rows.ceiling, product)
        more = rows.ceiling - less
        near, far = product / more, product / more + np.abs(beyond)
        is_above = beyond > 0.0
        self.state = np.where(is_above, (near, far, more, less), (far, near, less, more))
        self.kappa = product / self.eta
        slope = rows.gain + self.state[3] @ rows.profit
        self.lower = np.maximum(-slope, 0.0) + product / self.x
        self.upper = np.maximum(slope, 0.0) + product / (1.0 - self.x)

    def solve(self, tolerance: float) -> TailSolution:
        bound = np.inf
        for _ in range(_MOST_STEPS):
            marginal, total = self.state[3] @ self.rows.profit, self.rows.sums(self.state[3])
            bound = min(bound, self._bound(total))
            if bound - self._value() <= tolerance:
                break
            self._step(marginal, total)
        return TailSolution(self.x, bound)

    def _bound(self, total: ByRow) -> float:
        """Return a value that the maximum does not exceed.

        A tail mean is the largest mean loss over all weights from zero to level x cap that sum to at most the level, so with any of them
        the objective is replaced by a linear one that is nowhere smaller, and that one is at its largest where every variable is at the
        end it prefers. The weights are w, taken down where a row's sum is above its level by what is left of its residual.
        """
        rows = self.rows
        weights = self.state[3] * np.minimum(1.0, rows.level / total)[rows.row]
        slopes = rows.gain + weights @ rows.profit
        return float(rows.offset + weights @ rows.base + np.maximum(slopes, 0.0).sum())

    def _value(self) -> float:
        """Return what is to be maximised at x, or a little less where eta is not the best one."""
        rows = self.rows
        tails = rows.level @ self.eta + rows.ceiling @ np.maximum(self.state[0] - self.state[1], 0.0)
        return float(rows.offset + rows.gain @ self.x - tails)

    def _step(self, marginal: ByVariable, total: ByRow) -> None:
        x, eta, state = self.x, self.eta, self.state
        pairs = state[:2] * state[2:]
        ends = np.array((x * self.lower, (1.0 - x) * self.upper))
        rest = eta * self.kappa
        gap = float(pairs.sum() + ends.sum() + rest.sum())
        system = _System(self, marginal, total)
        affine = system.direction(_Targets(-pairs, -ends, -rest))
        primal, dual = self._lengths(affine)
        centre = (self._gap_after(affine, primal, dual) / gap) ** 3 * gap / (pairs.size + ends.size + rest.size)
        step = system.direction(
            _Targets(
                centre - pairs - affine.state[:2] * affine.state[2:],
                centre - ends - np.array((affine.x * affine.lower, -affine.x * affine.upper)),
                centre - rest - affine.eta * affine.kappa,
            )
        )
        primal, dual = self._lengths(step)
        self.x, self.eta = x + primal * step.x, eta + primal * step.eta
        step.state[:2] *= primal
        step.state[2:] *= dual
        self.state = state + step.state
        self.lower, self.upper = self.lower + dual * step.lower, self.upper + dual * step.upper
        self.kappa = self.kappa + dual * step.kappa

    def _lengths(self, step: _Direction) -> tuple[float, float]:
        """Return how much of a step the primal and the dual unknowns may take so that everything stays above zero, at most all of it."""
        nearest = (step.state / self.state).reshape(2, -1).min(axis=1, initial=0.0).tolist()
        primal = min(nearest[0], _least(step.x / self.x), _least(step.x / (self.x - 1.0)), _least(step.eta / self.eta))
        dual = min(nearest[1], _least(step.lower / self.lower), _least(step.upper / self.upper), _least(step.kappa / self.kappa))
        return _length(primal), _length(dual)

    def _gap_after(self, step: _Direction, primal: float, dual: float) -> float:
        x = self.x + primal * step.x
        after = (self.state[:2] + primal * step.state[:2]) * (self.state[2:] + dual * step.state[2:])
        ends = x @ (self.lower + dual * step.lower) + (1.0 - x) @ (self.upper + dual * step.upper)
        return float(after.sum() + ends + (self.eta + primal * step.eta) @ (self.kappa + dual * step.kappa))


@dataclass(slots=True, eq=False)
class _Direction:
    """A step of every unknown; names as in _InteriorPoint, `state` [4, N] being z, y, v and w."""

    x: ByVariable
    eta: ByRow
    state: NDArray[np.float64]
    lower: ByVariable
    upper: ByVariable
    kappa: ByRow


@dataclass(slots=True, eq=False)
class _Targets:
    """What each pair of unknowns is to multiply to, less what it does: [2, N] z v and y w, [2, V] the ends of x, [R] eta kappa."""

    pairs: NDArray[np.float64]
    ends: NDArray[np.float64]
    kappa: ByRow


class _System:
    """Newton's equations at one point, reduced to one for each variable and factored once for both directions."""

    def __init__(self, at: _InteriorPoint, marginal: ByVariable, total: ByRow) -> None:
        self._at = at
        rows, (z, y, v, w) = at.rows, at.state
        self._missing_x = at.upper - at.lower - rows.gain - marginal
        self._missing_eta = rows.level - total - at.kappa
        self._scale = 1.0 / (y * v + z * w)
        self._slope = w * v * self._scale
        self._row_total = rows.sums(self._slope) + at.kappa / at.eta
        # With the root on both sides the product is one of a matrix with itself, which costs half.
        root = np.sqrt(self._slope)
        weighted = rows.profit * root[:, np.newaxis]
        held = (rows.members * root) @ weighted
        matrix = weighted.T @ weighted
        matrix -= (held / self._row_total[:, np.newaxis]).T @ held
        diagonal = matrix.ravel()[:: len(at.x) + 1]
        diagonal += at.lower / at.x + at.upper / (1.0 - at.x)
        diagonal += _REGULARISATION * diagonal.max(initial=0.0)
        # The matrix is its own transpose, which is the order that LAPACK wants.
        factor, info = dpotrf(matrix.T, lower=1, overwrite_a=1)
        if info:
            raise FloatingPointError(f"the program's system is not definite: LAPACK dpotrf said {info}")
        self._factor = factor

    def direction(self, targets: _Targets) -> _Direction:
        at, rows = self._at, self._at.rows
        z, _, v, w = at.state
        rest = (targets.pairs[1] * v - targets.pairs[0] * w) * self._scale
        rest_eta = rows.sums(rest) - self._missing_eta + targets.kappa / at.eta
        pull = (rest - self._slope * (rest_eta / self._row_total)[rows.row]) @ rows.profit
        ends = targets.ends[0] / at.x - targets.ends[1] / (1.0 - at.x)
        x = dpotrs(self._factor, pull - self._missing_x + ends, lower=1)[0]
        moved = rows.profit @ x
        eta = (rest_eta - rows.sums(self._slope * moved)) / self._row_total
        moved += eta[rows.row]
        state = np.empty_like(at.state)
        np.subtract(rest, self._slope * moved, out=state[3])
        np.negative(state[3], out=state[2])
        np.divide(targets.pairs[0] + z * state[3], v, out=state[0])
        np.add(state[0], moved, out=state[1])
        return _Direction(
            x=x,
            eta=eta,
            state=state,
            lower=(targets.ends[0] - at.lower * x) / at.x,
            upper=(targets.ends[1] + at.upper * x) / (1.0 - at.x),
            kappa=(targets.kappa - at.kappa * eta) / at.eta,
        )


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


def _least(ratios: NDArray[np.float64]) -> float:
    return float(ratios.min(initial=0.0))


def _length(nearest: float) -> float:
    """Return how far to go when the unknown that is nearest to its bound would have lost the share -`nearest` of its distance."""
    return 1.0 if nearest >= -_STEP_SHARE else -_STEP_SHARE / nearest
