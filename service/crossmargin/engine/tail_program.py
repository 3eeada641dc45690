"""The largest value of a linear function less tail means, over a box: a linear program, solved by an interior-point method of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from crossmargin.engine.axes import ByEntry, ByEntryScenario, ByRow, ByRowScenario, ByVariable, Index

_STEP_SHARE: Final = 0.98
"""Of the way to the nearest bound: how far a step goes."""
_MOST_STEPS: Final = 60
_REGULARISATION: Final = 1e-13
"""Of the largest diagonal entry: keeps the system definite where a variable moves nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class TailProgram:
    """Maximise gain x - sum over rows of level_r ES_r(base_r + sum over the row's entries of x_v profit) over 0 <= x <= 1.

    Attributes:
        gain: [V]. level: [R] weight of each tail mean, above zero.
        base: [R, S] profits that no variable moves. cap: [R, S] most of a row's tail that one scenario takes, above zero: its
            probability over alpha.
        entry_row: [E] ascending, every row there at least once. entry_variable: [E]. entry_profit: [E, S] profit at x = 1.
    """

    gain: ByVariable
    level: ByRow
    base: ByRowScenario
    cap: ByRowScenario
    entry_row: Index
    entry_variable: Index
    entry_profit: ByEntryScenario

    def profits(self, x: ByVariable) -> ByRowScenario:
        """Return [R, S] what the rows gain at x."""
        return self.base + self._row_sums(self.entry_profit * x[self.entry_variable, np.newaxis])

    def marginal_profits(self, weights: ByRowScenario) -> ByVariable:
        """Return [V] what one more of each variable gains under scenario `weights` [R, S]."""
        by_entry = np.einsum("es,es->e", self.entry_profit, weights[self.entry_row])
        return self.by_variable(by_entry)

    def upper_bound(self, weights: ByRowScenario) -> float:
        """Return a value that the maximum does not exceed, for `weights` [R, S] from zero to level x cap that sum to at most the level.

        A tail mean is the largest mean loss over all such weights, so with any of them the objective is replaced by a linear one that
        is nowhere smaller, and that one is at its largest where every variable is at the end it prefers.
        """
        slopes = self.gain + self.marginal_profits(weights)
        return float(np.einsum("rs,rs->", weights, self.base) + np.maximum(slopes, 0.0).sum())

    def by_variable(self, by_entry: ByEntry) -> ByVariable:
        """Return [V] sums of one number for each entry."""
        return np.bincount(self.entry_variable, weights=by_entry, minlength=len(self.gain)).astype(np.float64)

    def _row_sums(self, by_entry: ByEntryScenario) -> ByRowScenario:
        sums: ByRowScenario = np.add.reduceat(by_entry, self.first_entry(), axis=0)
        return sums

    def first_entry(self) -> Index:
        """Return [R] the place of each row's first entry."""
        return np.searchsorted(self.entry_row, np.arange(len(self.level)))


@dataclass(frozen=True, slots=True, eq=False)
class TailSolution:
    """Near the maximum: `x` [V] inside the box, and `weights` [R, S] of the scenarios, which bound what is missing."""

    x: ByVariable
    weights: ByRowScenario


def solve_tail_program(program: TailProgram, *, tolerance: float) -> TailSolution:
    """Return a point whose value is within about `tolerance` of the maximum, with the weights that show it.

    As a linear program (Rockafellar and Uryasev 2000): minimise level eta + level cap z - gain x with z >= 0, eta >= 0 and
    y = z + eta + profit(x) >= 0 in every row and scenario. The multipliers w of y are the tail weights, v = level cap - w those of z.
    Mehrotra's predictor and corrector (1992); what a scenario adds is eliminated first, then each row's eta, so that one step solves a
    system of one equation for each variable. The same program gives the same bits.
    """
    return _InteriorPoint(program).solve(tolerance)


@dataclass(slots=True, eq=False)
class _Direction:
    """A step of every unknown; names as in _InteriorPoint."""

    x: ByVariable
    eta: ByRow
    z: ByRowScenario
    y: ByRowScenario
    w: ByRowScenario
    lower: ByVariable
    upper: ByVariable
    kappa: ByRow


@dataclass(slots=True, eq=False)
class _Targets:
    """What each pair of unknowns is to multiply to, less what it does."""

    zv: ByRowScenario
    yw: ByRowScenario
    lower: ByVariable
    upper: ByVariable
    kappa: ByRow


class _InteriorPoint:
    """The unknowns of the program, all strictly inside their bounds.

    x, eta, z, y are primal; w (and v = level cap - w), kappa, lower and upper multiply y, (z), eta, x and 1 - x. y = z + eta + profit(x)
    and v = level cap - w hold from the start and are kept by every step.
    """

    def __init__(self, program: TailProgram) -> None:
        self.program = program
        scenario_count = program.base.shape[1]
        first = program.first_entry()
        count = np.diff(first, append=len(program.entry_row))
        self.alone = first[count == 1]
        self.row_alone = np.flatnonzero(count == 1)
        self.together = [(row, slice(first[row], first[row] + count[row])) for row in np.flatnonzero(count > 1).tolist()]
        self.first = first
        self.x = np.full(len(program.gain), 0.5)
        profit = program.profits(self.x)
        near_tail = max(1, scenario_count // 3)
        loss = np.partition(-profit, scenario_count - near_tail, axis=1)[:, scenario_count - near_tail]
        self.eta = np.maximum(loss, 1e-3 * np.abs(profit).max(axis=1) + 1e-9)
        beyond = self.eta[:, np.newaxis] + profit
        self.z = np.maximum(-beyond, 0.0) + 0.3 * np.maximum(np.abs(beyond).mean(axis=1), 1e-9)[:, np.newaxis]
        self.y = self.z + beyond
        ceiling = program.level[:, np.newaxis] * program.cap
        self.w = ceiling * np.minimum(0.5, 0.9 / program.cap.sum(axis=1))[:, np.newaxis]
        self.v = ceiling - self.w
        self.kappa = np.maximum(program.level - self.w.sum(axis=1), 0.05 * program.level)
        slope = np.abs(program.gain + program.marginal_profits(self.w))
        self.lower = 0.5 * slope + 0.01 * slope.max(initial=0.0) + 1e-9
        self.upper = self.lower.copy()

    def solve(self, tolerance: float) -> TailSolution:
        for _ in range(_MOST_STEPS):
            missing_x, missing_eta = self._missing()
            gap = self._gap()
            if gap < tolerance and np.abs(missing_x).sum() < tolerance:
                break
            self._step(missing_x, missing_eta, gap)
        return TailSolution(self.x, self._feasible_weights())

    def _missing(self) -> tuple[ByVariable, ByRow]:
        """Return what the conditions of x [V] and of eta [R] lack to zero."""
        slope = self.program.gain + self.program.marginal_profits(self.w)
        return self.upper - self.lower - slope, self.program.level - self.w.sum(axis=1) - self.kappa

    def _gap(self) -> float:
        scenarios = np.einsum("rs,rs->", self.z, self.v) + np.einsum("rs,rs->", self.y, self.w)
        return float(scenarios + self.x @ self.lower + (1.0 - self.x) @ self.upper + self.eta @ self.kappa)

    def _step(self, missing_x: ByVariable, missing_eta: ByRow, gap: float) -> None:
        system = _System(self, missing_x, missing_eta)
        current = _Targets(-self.z * self.v, -self.y * self.w, -self.x * self.lower, (self.x - 1.0) * self.upper, -self.eta * self.kappa)
        affine = system.direction(current)
        primal, dual = self._lengths(affine)
        unknown_count = 2 * self.z.size + 2 * len(self.x) + len(self.eta)
        centre = (self._gap_after(affine, primal, dual) / gap) ** 3 * gap / unknown_count
        corrected = _Targets(
            centre + current.zv + affine.z * affine.w,
            centre + current.yw - affine.y * affine.w,
            centre + current.lower - affine.x * affine.lower,
            centre + current.upper + affine.x * affine.upper,
            centre + current.kappa - affine.eta * affine.kappa,
        )
        step = system.direction(corrected)
        primal, dual = self._lengths(step)
        self.x, self.eta = self.x + primal * step.x, self.eta + primal * step.eta
        self.z, self.y = self.z + primal * step.z, self.y + primal * step.y
        self.w, self.v = self.w + dual * step.w, self.v - dual * step.w
        self.lower, self.upper = self.lower + dual * step.lower, self.upper + dual * step.upper
        self.kappa = self.kappa + dual * step.kappa

    def _lengths(self, step: _Direction) -> tuple[float, float]:
        primal = _length((self.x, step.x), (1.0 - self.x, -step.x), (self.z, step.z), (self.y, step.y), (self.eta, step.eta))
        multipliers = (self.lower, step.lower), (self.upper, step.upper), (self.kappa, step.kappa)
        return primal, _length((self.w, step.w), (self.v, -step.w), *multipliers)

    def _gap_after(self, step: _Direction, primal: float, dual: float) -> float:
        x, w = self.x + primal * step.x, dual * step.w
        scenarios = np.einsum("rs,rs->", self.z + primal * step.z, self.v - w)
        scenarios += np.einsum("rs,rs->", self.y + primal * step.y, self.w + w)
        ends = x @ (self.lower + dual * step.lower) + (1.0 - x) @ (self.upper + dual * step.upper)
        return float(scenarios + ends + (self.eta + primal * step.eta) @ (self.kappa + dual * step.kappa))

    def _feasible_weights(self) -> ByRowScenario:
        """Return w, taken down where a row's sum is above its level by what is left of its residual."""
        total = self.w.sum(axis=1)
        weights: ByRowScenario = self.w * np.minimum(1.0, self.program.level / total)[:, np.newaxis]
        return weights


class _System:
    """Newton's equations at one point, reduced to one for each variable and factored once for both directions."""

    def __init__(self, at: _InteriorPoint, missing_x: ByVariable, missing_eta: ByRow) -> None:
        self._at, self._missing_x, self._missing_eta = at, missing_x, missing_eta
        self._scale = 1.0 / (at.y * at.v + at.z * at.w)
        self._slope = at.w * at.v * self._scale
        profit = at.program.entry_profit
        weighted = profit * self._slope[at.program.entry_row]
        self._entry_total = weighted.sum(axis=1)
        self._row_total = self._slope.sum(axis=1) + at.kappa / at.eta
        self._factor = self._factored(weighted, profit)

    def _factored(self, weighted: ByEntryScenario, profit: ByEntryScenario) -> NDArray[np.float64]:
        at, total = self._at, self._entry_total
        alone, row = at.alone, at.row_alone
        own = np.einsum("es,es->e", weighted[alone], profit[alone]) - total[alone] ** 2 / self._row_total[row]
        count = len(at.x)
        matrix = np.zeros((count, count))
        variable = at.program.entry_variable
        for row_together, entries in at.together:
            held = total[entries]
            block = weighted[entries] @ profit[entries].T - np.outer(held, held / self._row_total[row_together])
            matrix[variable[entries][:, np.newaxis], variable[entries]] += block
        diagonal = np.arange(count)
        ends = at.lower / at.x + at.upper / (1.0 - at.x)
        matrix[diagonal, diagonal] += ends + np.bincount(variable[alone], weights=own, minlength=count)
        matrix[diagonal, diagonal] += _REGULARISATION * matrix[diagonal, diagonal].max()
        factor, info = dpotrf(matrix, lower=1, overwrite_a=1)
        if info != 0:
            raise FloatingPointError(f"the equations of a tail program are not definite: LAPACK dpotrf said {info}")
        return np.asarray(factor)

    def direction(self, targets: _Targets) -> _Direction:
        at, program = self._at, self._at.program
        rest = (targets.yw * at.v - targets.zv * at.w) * self._scale
        rest_eta = rest.sum(axis=1) - self._missing_eta + targets.kappa / at.eta
        by_entry = np.einsum("es,es->e", program.entry_profit, rest[program.entry_row])
        by_entry -= self._entry_total * (rest_eta / self._row_total)[program.entry_row]
        ends = targets.lower / at.x - targets.upper / (1.0 - at.x)
        x = dpotrs(self._factor, program.by_variable(by_entry) - self._missing_x + ends, lower=1)[0]
        x_of_entry = x[program.entry_variable]
        eta = (rest_eta - np.add.reduceat(self._entry_total * x_of_entry, at.first)) / self._row_total
        moved = np.add.reduceat(program.entry_profit * x_of_entry[:, np.newaxis], at.first, axis=0) + eta[:, np.newaxis]
        w = rest - self._slope * moved
        z = (targets.zv + at.z * w) / at.v
        return _Direction(
            x=x,
            eta=eta,
            z=z,
            y=z + moved,
            w=w,
            lower=(targets.lower - at.lower * x) / at.x,
            upper=(targets.upper + at.upper * x) / (1.0 - at.x),
            kappa=(targets.kappa - at.kappa * eta) / at.eta,
        )


def _length(*pairs: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
    """Return how much of a step may be taken so that everything stays above zero, at most all of it."""
    worst = min(float((step / value).min()) for value, step in pairs)
    return 1.0 if worst >= -_STEP_SHARE else -_STEP_SHARE / worst
