"""Bond revaluation: 2,000 bonds of 40 payments in 500 scenarios of the curve, beside C that takes one exponential for each payment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation.discounting import Payments, flows_of, present_values
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, compare
from tests.benchmarks.opponents.compiled import call

BONDS, FLOWS, STATES = 2_000, 40, 501


def run(plan: Plan) -> list[Measured]:
    """Return the row against C."""
    random = np.random.default_rng(11)
    nodes = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30])
    moves = np.column_stack((np.zeros(len(nodes)), 0.01 * random.standard_normal((len(nodes), STATES - 1))))
    curve = ShockedCurve(nodes, 0.03 + 0.0005 * nodes, moves, {})
    payments = [_payments(random) for _ in range(BONDS)]
    c = _InC(curve, payments)
    return [_against_c(replace(curve, kernels=kernels), payments, c, plan) for kernels in Kernels]


def _against_c(curve: ShockedCurve, payments: list[Payments], c: _InC, plan: Plan) -> Measured:
    np.testing.assert_allclose(c.values(), present_values(curve, flows_of(payments), np.full(BONDS, np.nan)), rtol=1e-11)
    return compare(
        f"bond revaluation 2,000 x 40 x 500, {curve.kernels.value}",
        "C, one exponential per payment",
        Goal(Ratio.SPEED, 0.9),
        ours=lambda: present_values(curve, flows_of(payments), np.full(BONDS, np.nan)),
        theirs=c.values,
        plan=plan,
        note="C is given the nodes on either side of each payment; the engine finds them, and the distinct days, each time",
    )


def _payments(random: np.random.Generator) -> Payments:
    """Half-yearly coupons on whole days, twenty years of them."""
    days = int(random.integers(1, 183)) + np.round(182.5 * np.arange(FLOWS))
    amounts = np.full(FLOWS, random.uniform(0.5, 3))
    amounts[-1] += 100.0
    return Payments(days / 365, amounts)


class _InC:
    def __init__(self, curve: ShockedCurve, payments: list[Payments]) -> None:
        self._years = np.concatenate([each.years for each in payments])
        self._amounts = np.concatenate([each.amounts for each in payments])
        self._first = np.arange(0, BONDS * FLOWS + 1, FLOWS)
        last = len(curve.years) - 2
        self._node = np.clip(np.searchsorted(curve.years, self._years, side="right") - 1, 0, last)
        span = np.diff(curve.years)[self._node]
        self._share = np.clip((self._years - curve.years[self._node]) / span, 0.0, 1.0)
        self._zero = np.ascontiguousarray(curve.levels[:, np.newaxis] + curve.moves)

    def values(self) -> np.ndarray:
        value = np.empty((BONDS, STATES))
        call("bonds", *value.shape, self._first, self._years, self._amounts, self._node, self._share, self._zero, value)
        return value
