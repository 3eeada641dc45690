"""The largest value of a concave function less tail means, over a box: a linear program, solved by an interior-point method of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from crossmargin.engine.axes import ByEntry, ByEntryScenario, ByPlane, ByPlaneVariable, ByRow, ByRowScenario, ByVariable, Index

_STEP_SHARE: Final = 0.98
"""Of the way to the nearest bound: how far a step goes."""
_MOST_STEPS: Final = 60
_REGULARISATION: Final = 1e-13
"""Of the largest diagonal entry: keeps the system definite where a variable moves nothing."""
_FEW_ENTRIES: Final = 6
"""Rows with at most so many entries are worked on together, padded with zeros; the others one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class TailProgram:
    """Maximise min over planes of (constant + slope x) - linear x - sum over rows of level_r ES_r(base_r + sum of u_c profit), 0 <= x <= 1.

    u_c, what is risked of source c, is the sum of width x over its variables.

    Attributes:
        constant: [O]. slope: [O, V] the planes. linear: [V]. source: [V] along C. width: [V].
        level: [R] weight of each tail mean, above zero.
        base: [R, W] profits that no variable moves. cap: [R, W] most of a row's tail that one scenario takes, above zero: its
            probability over alpha.
        entry_row: [E] ascending, every row there at least once. entry_source: [E]. entry_profit: [E, W] profit at u = 1.
    """

    constant: ByPlane
    slope: ByPlaneVariable
    linear: ByVariable
    source: Index
    width: ByVariable
    level: ByRow
    base: ByRowScenario
    cap: ByRowScenario
    entry_row: Index
    entry_source: Index
    entry_profit: ByEntryScenario


@dataclass(frozen=True, slots=True, eq=False)
class TailSolution:
    """Near the maximum: `x` [V] inside the box, and `bound`, which no x exceeds."""

    x: ByVariable
    bound: float


def solve_tail_program(program: TailProgram, *, tolerance: float) -> TailSolution:
    """Return a point whose value is within `tolerance` of the maximum, with a bound that shows it.

    As a linear program (Rockafellar and Uryasev 2000): minimise level eta + level cap z - gain x with z >= 0, eta >= 0 and
    y = z + eta + profit(x) >= 0 in every row and scenario. The multipliers w of y are the tail weights, v = level cap - w those of z.
    The smallest of several planes is a row more: the tail mean of their distances to a value above all of them, with a tail that one
    of them can fill. Mehrotra's predictor and corrector (1992); what a scenario adds is eliminated first, then each row's eta, so that
    one step solves a system of one equation for each variable. The same program gives the same bits.
    """
    return _InteriorPoint(program).solve(tolerance)


class _InteriorPoint:
    """The unknowns of the program, all strictly inside their bounds.

    x, eta, z, y are primal; v, w, kappa, lower and upper multiply z, y, eta, x and 1 - x. y = z + eta + profit(x) and
    v = level cap - w hold from the start and are kept by every step. z, y, v and w are one array, so that the pairs that multiply are
    its halves.
    """

    def __init__(self, program: TailProgram) -> None:
        self.rows = rows = _Rows(program)
        self.x = np.full(len(program.width), 0.5)
        profit = rows.base + rows.moved(self.x)
        scenario_count = profit.shape[1]
        near_tail = max(1, scenario_count // 3)
        loss = np.partition(-profit, scenario_count - near_tail, axis=1)[:, scenario_count - near_tail]
        self.eta = np.maximum(loss, 1e-3 * np.abs(profit).max(axis=1) + 1e-9)
        beyond = self.eta[:, np.newaxis] + profit
        self.state = state = np.empty((4, *profit.shape))
        np.maximum(-beyond, 0.0, out=state[0])
        state[0] += 0.3 * np.maximum(np.abs(beyond).mean(axis=1), 1e-9)[:, np.newaxis]
        np.add(state[0], beyond, out=state[1])
        self.ceiling = rows.level[:, np.newaxis] * rows.cap
        np.multiply(self.ceiling, np.minimum(0.5, 0.9 / rows.cap.sum(axis=1))[:, np.newaxis], out=state[3])
        np.subtract(self.ceiling, state[3], out=state[2])
        self.kappa = np.maximum(rows.level - state[3].sum(axis=1), 0.05 * rows.level)
        slope = np.abs(rows.gain + rows.by_variable(rows.marginal(state[3])))
        self.lower = 0.5 * slope + 0.01 * slope.max(initial=0.0) + 1e-9
        self.upper = self.lower.copy()

    def solve(self, tolerance: float) -> TailSolution:
        bound = np.inf
        for _ in range(_MOST_STEPS):
            marginal, total = self.rows.marginal(self.state[3]), self.state[3].sum(axis=1)
            bound = min(bound, self._bound(marginal, total))
            if bound - self._value() <= tolerance:
                break
            self._step(marginal, total)
        return TailSolution(self.x, bound)

    def _bound(self, marginal: _Marginal, total: ByRow) -> float:
        """Return a value that the maximum does not exceed.

        A tail mean is the largest mean loss over all weights from zero to level x cap that sum to at most the level, so with any of them
        the objective is replaced by a linear one that is nowhere smaller, and that one is at its largest where every variable is at the
        end it prefers. The weights are w, taken down where a row's sum is above its level by what is left of its residual.
        """
        rows = self.rows
        share = np.minimum(1.0, rows.level / total)
        slopes = rows.gain + rows.by_variable(marginal, share)
        at_none = share @ np.einsum("rs,rs->r", self.state[3], rows.base)
        return float(rows.offset + at_none + np.maximum(slopes, 0.0).sum())

    def _value(self) -> float:
        """Return what is to be maximised at x, or a little less where eta is not the best one."""
        beyond = np.maximum(self.state[0] - self.state[1], 0.0)
        tails = self.rows.level @ self.eta + np.einsum("rs,rs->", self.ceiling, beyond)
        return float(self.rows.offset + self.rows.gain @ self.x - tails)

    def _step(self, marginal: _Marginal, total: ByRow) -> None:
        x, eta, state = self.x, self.eta, self.state
        pairs = state[:2] * state[2:]
        ends = np.stack((x * self.lower, (1.0 - x) * self.upper))
        rest = eta * self.kappa
        gap = float(pairs.sum() + ends.sum() + rest.sum())
        system = _System(self, marginal, total)
        affine = system.direction(_Targets(-pairs, -ends, -rest))
        primal, dual = self._lengths(affine)
        centre = (self._gap_after(affine, primal, dual) / gap) ** 3 * gap / (pairs.size + ends.size + rest.size)
        step = system.direction(
            _Targets(
                centre - pairs - affine.state[:2] * affine.state[2:],
                centre - ends - np.stack((affine.x * affine.lower, -affine.x * affine.upper)),
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
        nearest = (step.state / self.state).reshape(2, -1).min(axis=1).tolist()
        primal = min(nearest[0], _least(step.x / self.x), _least(step.x / (self.x - 1.0)), _least(step.eta / self.eta))
        dual = min(nearest[1], _least(step.lower / self.lower), _least(step.upper / self.upper), _least(step.kappa / self.kappa))
        return _length(primal), _length(dual)

    def _gap_after(self, step: _Direction, primal: float, dual: float) -> float:
        x = self.x + primal * step.x
        after = self.state[:2] + primal * step.state[:2]
        scenarios = np.einsum("prs,prs->", after, self.state[2:] + dual * step.state[2:])
        ends = x @ (self.lower + dual * step.lower) + (1.0 - x) @ (self.upper + dual * step.upper)
        return float(scenarios + ends + (self.eta + primal * step.eta) @ (self.kappa + dual * step.kappa))


@dataclass(slots=True, eq=False)
class _Direction:
    """A step of every unknown; names as in _InteriorPoint, `state` [4, R, W] being z, y, v and w."""

    x: ByVariable
    eta: ByRow
    state: NDArray[np.float64]
    lower: ByVariable
    upper: ByVariable
    kappa: ByRow


@dataclass(slots=True, eq=False)
class _Targets:
    """What each pair of unknowns is to multiply to, less what it does: [2, R, W] z v and y w, [2, V] the ends of x, [R] eta kappa."""

    pairs: NDArray[np.float64]
    ends: NDArray[np.float64]
    kappa: ByRow


class _System:
    """Newton's equations at one point, reduced to one for each variable and factored once for both directions."""

    def __init__(self, at: _InteriorPoint, marginal: _Marginal, total: ByRow) -> None:
        self._at = at
        rows, (_, _, v, w) = at.rows, at.state
        self._missing_x = at.upper - at.lower - rows.gain - rows.by_variable(marginal)
        self._missing_eta = rows.level - total - at.kappa
        crossed = at.state[1::-1] * at.state[2:]
        self._scale = 1.0 / (crossed[0] + crossed[1])
        self._slope = w * v * self._scale
        self._row_total = self._slope.sum(axis=1) + at.kappa / at.eta
        matrix = rows.squares(self._slope, self._row_total)
        diagonal = np.arange(len(at.x))
        matrix[diagonal, diagonal] += at.lower / at.x + at.upper / (1.0 - at.x)
        matrix[diagonal, diagonal] += _REGULARISATION * matrix[diagonal, diagonal].max()
        factor, info = dpotrf(matrix, lower=1, overwrite_a=1)
        if info != 0:
            raise FloatingPointError(f"the equations of a tail program are not definite: LAPACK dpotrf said {info}")
        self._factor = factor

    def direction(self, targets: _Targets) -> _Direction:
        at, rows = self._at, self._at.rows
        z, _, v, w = at.state
        rest = (targets.pairs[1] * v - targets.pairs[0] * w) * self._scale
        rest_eta = rest.sum(axis=1) - self._missing_eta + targets.kappa / at.eta
        pull = rows.by_variable(rows.marginal(rest - self._slope * (rest_eta / self._row_total)[:, np.newaxis]))
        ends = targets.ends[0] / at.x - targets.ends[1] / (1.0 - at.x)
        x = dpotrs(self._factor, pull - self._missing_x + ends, lower=1)[0]
        moved = rows.moved(x)
        eta = (rest_eta - np.einsum("rs,rs->r", self._slope, moved)) / self._row_total
        moved += eta[:, np.newaxis]
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


@dataclass(frozen=True, slots=True, eq=False)
class _Marginal:
    """What one more of each entry gains under some weights: [F, m] of the rows of few entries, of each of the others, and of the planes."""

    few: NDArray[np.float64]
    many: list[ByEntry]
    planes: ByVariable


class _Rows:
    """The rows of a program, that of the planes last, and the sums over them that every step needs.

    Rows of few entries are one array, padded with zeros; the others are gone through one by one.
    """

    def __init__(self, program: TailProgram) -> None:
        self._source, self._width = program.source, program.width
        self._count = int(program.source.max()) + 1
        self.level, self.base, self.cap = program.level, program.base, program.cap
        self.gain, self.offset = -program.linear, 0.0
        self._planes = np.zeros((0, 0))
        if len(program.constant) == 1 and len(program.level):
            self.gain, self.offset = program.slope[0] - program.linear, float(program.constant[0])
        else:
            self._add_planes(program.constant, program.slope)
        self._take_entries(program)

    def _add_planes(self, constant: ByPlane, slope: ByPlaneVariable) -> None:
        """Add the row of the planes; where it is shorter than the others, the newest plane stands in it more than once."""
        width = self.base.shape[1] if len(self.base) else len(constant)
        used = len(constant) - 1 - np.minimum(np.arange(width), len(constant) - 1)
        self.offset = float((constant + np.maximum(slope, 0.0).sum(axis=1)).max())
        self._planes = np.ascontiguousarray(slope[used].T)
        self.level = np.append(self.level, 1.0)
        self.base = np.vstack((self.base.reshape(-1, width), constant[used] - self.offset))
        self.cap = np.vstack((self.cap.reshape(-1, width), np.ones(width)))

    def _take_entries(self, program: TailProgram) -> None:
        first = np.searchsorted(program.entry_row, np.arange(len(program.level)))
        count = np.diff(first, append=len(program.entry_row))
        few = count <= _FEW_ENTRIES
        self._many = [
            (row, program.entry_source[first[row] : first[row] + count[row]], program.entry_profit[first[row] : first[row] + count[row]])
            for row in np.flatnonzero(~few).tolist()
        ]
        self._few = np.flatnonzero(few)
        own = few[program.entry_row]
        row = (np.cumsum(few) - 1)[program.entry_row[own]]
        slot = (np.arange(len(program.entry_row)) - first[program.entry_row])[own]
        shape = (len(self._few), int(count[few].max(initial=1)))
        self._padded = np.zeros((*shape, self.base.shape[1]))
        self._padded[row, slot] = program.entry_profit[own]
        # Padding belongs to a source past the last one, whose sums are dropped.
        self._padded_source = np.full(shape, self._count)
        self._padded_source[row, slot] = program.entry_source[own]
        pairs = self._padded_source[:, :, np.newaxis] * (self._count + 1) + self._padded_source[:, np.newaxis, :]
        self._pairs = pairs.ravel()

    def moved(self, x: ByVariable) -> ByRowScenario:
        """Return [R, W] what each row gains when x is chosen."""
        gained = np.empty(self.base.shape)
        risked = np.bincount(self._source, self._width * x, minlength=self._count + 1)
        gained[self._few] = np.einsum("fe,few->fw", risked[self._padded_source], self._padded)
        for row, source, profit in self._many:
            np.dot(risked[source], profit, out=gained[row])
        if len(self._planes):
            np.dot(x, self._planes, out=gained[-1])
        return gained

    def marginal(self, weights: ByRowScenario) -> _Marginal:
        """Return what one more of each entry gains under scenario `weights` [R, W]."""
        return _Marginal(
            np.einsum("few,fw->fe", self._padded, weights[self._few]),
            [profit @ weights[row] for row, _, profit in self._many],
            self._planes @ weights[-1] if len(self._planes) else np.zeros(0),
        )

    def by_variable(self, marginal: _Marginal, share: ByRow | None = None) -> ByVariable:
        """Return [V] what one more of each variable gains, each row's part times its `share`."""
        few = marginal.few if share is None else marginal.few * share[self._few, np.newaxis]
        sums = np.bincount(self._padded_source.ravel(), few.ravel(), minlength=self._count + 1).astype(np.float64)
        for (row, source, _), values in zip(self._many, marginal.many, strict=True):
            sums[source] += values if share is None else share[row] * values
        gains: ByVariable = sums[self._source] * self._width
        if len(self._planes):
            gains += marginal.planes if share is None else share[-1] * marginal.planes
        return gains

    def squares(self, slope: ByRowScenario, row_total: ByRow) -> NDArray[np.float64]:
        """Return [V, V] the sums over rows of profit x slope x profit, less what each row's eta takes back."""
        held, count = self.marginal(slope), self._count
        own = (self._padded * slope[self._few, np.newaxis, :]) @ self._padded.transpose(0, 2, 1)
        own -= held.few[:, :, np.newaxis] * (held.few / row_total[self._few, np.newaxis])[:, np.newaxis, :]
        by_source = np.bincount(self._pairs, own.ravel(), minlength=(count + 1) ** 2).astype(np.float64).reshape(count + 1, count + 1)
        for (row, source, profit), values in zip(self._many, held.many, strict=True):
            block = (profit * slope[row]) @ profit.T - np.outer(values, values / row_total[row])
            if len(source) == count:
                by_source[:count, :count] += block
            else:
                by_source[source[:, np.newaxis], source] += block
        squares: NDArray[np.float64] = by_source[self._source[:, np.newaxis], self._source]
        squares *= self._width[:, np.newaxis]
        squares *= self._width
        if len(self._planes):
            squares += (self._planes * slope[-1]) @ self._planes.T - np.outer(held.planes, held.planes / row_total[-1])
        return squares


def _least(ratios: NDArray[np.float64]) -> float:
    return float(ratios.min(initial=0.0))


def _length(nearest: float) -> float:
    """Return how far to go when the unknown that is nearest to its bound would have lost the share -`nearest` of its distance."""
    return 1.0 if nearest >= -_STEP_SHARE else -_STEP_SHARE / nearest
