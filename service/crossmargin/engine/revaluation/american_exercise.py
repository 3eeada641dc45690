"""American options on a spot price: what the right to exercise early adds to a European option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from crossmargin.engine.axes import ByRow, Index
from crossmargin.engine.kernels.black76 import black76
from crossmargin.engine.revaluation.exercise_tree import tree_premium

_PASSES: Final = 14
_MOST_PASSES: Final = 10 * _PASSES
_CLOSE_ENOUGH: Final = 1e-3
"""Largest last step of a boundary that has arrived, in its logarithm. A price moves by the square of what is left: closer costs more time
and no digit changes."""
_SWINGING: Final = -0.5
"""Slope of the fixed point below which a plain iteration would converge slowly or not at all."""
_SMALLEST_RATIO: Final = 1e-12
_SMALLEST_TOTAL_VOLATILITY: Final = 1e-3
"""The boundary is found at no less than this; below it the value is European or intrinsic to a part in a thousand of spot."""
_NO_RATE: Final = 1e-9
"""A rate below zero by less is none: over five years it moves a price by less than a part in a hundred million."""
_STEEP: Final = 1.0
"""Carry over the life in deviations, from which the boundary bends so sharply that it takes the finer grid."""


_PutPremium: TypeAlias = Callable[[ByRow, ByRow, ByRow, ByRow, ByRow, float], ByRow]


def american_price(
    *, spot: ArrayLike, strike: ArrayLike, years: float, rate: ArrayLike, carry: ArrayLike, volatility: ArrayLike, sign: ArrayLike
) -> ByRow:
    """Return prices of options that may be exercised at any time, in the unit of spot, of the arguments' broadcast shape.

    The European value plus the early-exercise premium (Kim, 1990). For a put with exercise boundary B(t), q = rate - carry:

        premium = integral over t from 0 to T of r K e^(-r t) N(-d2(t, S / B(T - t))) - q S e^(-q t) N(-d1(t, S / B(T - t)))

    The boundary solves the fixed point B of Andersen, Lake and Offengenden (2016), "High performance American option pricing", on
    Chebyshev nodes in the square root of time. A call is the put with spot and strike, r and q exchanged (McDonald and Schroder, 1998).

    Never below the European value nor below exercise now. Where a put's rate is below zero and its income below that, the region of
    exercise has a second boundary, and a tree says what it adds.

    Args:
        spot: Price of the underlying, above zero.
        strike: Above zero.
        years: Actual/365 to expiry, above zero.
        rate: Continuously compounded rate of the settlement currency to expiry.
        carry: Annual growth of the forward: log(F / S) / T.
        volatility: Annualised, a fraction. 0 is allowed.
        sign: +1 for a call, -1 for a put.

    >>> put = american_price(spot=100.0, strike=100.0, years=1.0, rate=0.05, carry=0.05, volatility=0.2, sign=-1.0)
    >>> round(float(put[0]), 3)
    6.09
    """
    inputs = [np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (spot, strike, rate, carry, volatility, sign)]
    spot, strike, rate, carry, volatility, sign = np.broadcast_arrays(*inputs)
    forward = spot * np.exp(carry * years)
    european = np.exp(-rate * years) * black76(forward=forward, strike=strike, total_volatility=volatility * np.sqrt(years), sign=sign)
    is_call = sign > 0.0
    income = rate - carry
    premium = _put_premium(
        np.where(is_call, strike, spot),
        np.where(is_call, spot, strike),
        np.where(is_call, income, rate),
        np.where(is_call, rate, income),
        np.maximum(volatility, _SMALLEST_TOTAL_VOLATILITY / np.sqrt(years)),
        years,
    )
    price: ByRow = np.maximum(european + premium, np.maximum(sign * (spot - strike), 0.0))
    return price


def _put_premium(  # noqa: PLR0917 - the six parameters of a put, in their usual order
    spot: ByRow, strike: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, years: float
) -> ByRow:
    """Return [R] what early exercise adds to puts. Without interest on the strike waiting costs nothing, and it adds nothing."""
    premium = np.zeros_like(spot)
    # A rate that is zero but for its rounding must not choose the method.
    rate = np.where((rate > -_NO_RATE) & (rate < 0.0), 0.0, rate)
    between_two = (rate < 0.0) & (income < rate)
    below_one = (rate > 0.0) | ((rate == 0.0) & (income < 0.0))
    steep = np.abs(rate - income) * np.sqrt(years) > _STEEP * volatility
    for rows, of_puts in (
        (between_two, tree_premium),
        (below_one & ~steep, _boundary_premium(_GRID)),
        (below_one & steep, _boundary_premium(_FINE_GRID)),
    ):
        if rows.any():
            premium[rows] = of_puts(spot[rows], strike[rows], rate[rows], income[rows], volatility[rows], years)
    return premium


def _boundary_premium(grid: _Grid) -> _PutPremium:
    """Return the function that finds the premium of puts with one boundary on a grid."""

    def premium(  # noqa: PLR0917 - the six parameters of a put, in their usual order
        spot: ByRow, strike: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, years: float
    ) -> ByRow:
        terms = (spot / strike, rate, income, volatility)
        found: ByRow = strike * np.clip(_integrate_premium(*terms, years, grid), 0.0, _largest_premium(*terms, years))
        return found

    return premium


def _largest_premium(moneyness: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, years: float) -> ByRow:
    """Return [R] a bound on the premium over the strike, which takes over where there is hardly any volatility.

    A put is worth more with less interest and more income, and without interest it is not exercised early.
    """
    total = volatility * np.sqrt(years)
    bound = black76(forward=moneyness * np.exp(-np.maximum(income, 0.0) * years), strike=1.0, total_volatility=total, sign=-1.0)
    forward = moneyness * np.exp((rate - income) * years)
    european = np.exp(-rate * years) * black76(forward=forward, strike=1.0, total_volatility=total, sign=-1.0)
    largest: ByRow = np.maximum(bound - european, 0.0)
    return largest


def _integrate_premium(  # noqa: PLR0917 - one formula's symbols
    moneyness: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, years: float, grid: _Grid
) -> ByRow:
    start, log_ratio = _boundary(rate, income, volatility, years, grid)
    boundary = start * np.exp(-np.sqrt(np.maximum(grid.to_expiry @ log_ratio, 0.0)))
    elapsed = (years * grid.elapsed)[:, np.newaxis]
    d1, d2 = _d1_d2(moneyness / boundary, elapsed, rate, income, volatility)
    earned = rate * np.exp(-rate * elapsed) * ndtr(-d2) - income * moneyness * np.exp(-income * elapsed) * ndtr(-d1)
    integral: ByRow = years * grid.elapsed_weights @ earned
    return integral


def _boundary(rate: ByRow, income: ByRow, volatility: ByRow, years: float, grid: _Grid) -> tuple[ByRow, NDArray[np.float64]]:
    """Return [R] the boundary at expiry, over the strike, and [N + 1, R] log(boundary / that)^2 at the nodes, expiry last."""
    with np.errstate(all="ignore"):  # an income of zero starts at the strike
        start = np.maximum(np.where(income > rate, rate / income, 1.0), np.finfo(np.float64).tiny)
    problem = _Problem(start, _perpetual(start, rate, income, volatility), rate, income, volatility)
    node_years = (years * grid.node_roots[:-1] ** 2)[:, np.newaxis]
    guess = np.log(_first_guess(start, problem.perpetual, rate, income, volatility, node_years) / start)
    search = _passed(_Search(guess, None), problem, node_years, grid)
    # Most have arrived. Where the strike bears hardly any interest steps shrink slowly, and those rows go on alone.
    far = np.flatnonzero(search.last_step > _CLOSE_ENOUGH)
    passes = _PASSES
    while len(far) and passes < _MOST_PASSES:
        further = _passed(search.of(far), problem.of(far), node_years, grid)
        search.put(far, further)
        far = far[further.last_step > _CLOSE_ENOUGH]
        passes += _PASSES
    return start, np.concatenate((search.depth**2, np.zeros((1, len(rate)))))


class _Problem(NamedTuple):
    """[R] what the boundary of each option depends on, time apart."""

    start: ByRow
    perpetual: ByRow
    rate: ByRow
    income: ByRow
    volatility: ByRow

    def of(self, rows: Index) -> _Problem:
        return _Problem(*(values[rows] for values in self))


@dataclass(eq=False)
class _Search:
    """[N, R] log(boundary / that at expiry) at the nodes, and the point tried before it with what came of that."""

    depth: NDArray[np.float64]
    before: tuple[NDArray[np.float64], NDArray[np.float64]] | None

    @property
    def last_step(self) -> ByRow:
        """[R] how far the last pass moved the boundary, at the node where it moved farthest."""
        step: ByRow = np.zeros(self.depth.shape[1]) if self.before is None else np.abs(self.before[1] - self.before[0]).max(axis=0)
        return step

    def of(self, rows: Index) -> _Search:
        return _Search(self.depth[:, rows], None if self.before is None else (self.before[0][:, rows], self.before[1][:, rows]))

    def put(self, rows: Index, other: _Search) -> None:
        self.depth[:, rows] = other.depth
        if self.before is not None and other.before is not None:
            for mine, theirs in zip(self.before, other.before, strict=True):
                mine[:, rows] = theirs


def _passed(search: _Search, problem: _Problem, node_years: NDArray[np.float64], grid: _Grid) -> _Search:
    """Return the search after some more passes of the fixed point."""
    start, perpetual = problem.start, problem.perpetual
    deepest = np.log(perpetual / start)
    log_ratio = np.zeros((len(grid.node_roots), len(start)))
    depth, before = search.depth, search.before
    for _ in range(_PASSES):
        log_ratio[:-1] = depth**2
        at_times = start * np.exp(-np.sqrt(np.maximum(grid.to_nodes @ log_ratio, 0.0)))
        with np.errstate(all="ignore"):  # a boundary at zero has no depth, and the last one found stays
            improved = np.log(_fixed_point(start * np.exp(depth), at_times, node_years, problem, grid) / start)
        improved = np.where(np.isfinite(improved), improved, depth)
        tried = (depth, improved)
        depth = np.clip(_next_depth(depth, improved, before), deepest, 0.0)
        before = tried
    return _Search(depth, before)


def _next_depth(
    depth: NDArray[np.float64], improved: NDArray[np.float64], before: tuple[NDArray[np.float64], NDArray[np.float64]] | None
) -> NDArray[np.float64]:
    """Return the next point of a fixed-point iteration from this and the last: Wegstein's (1958), where a plain one may swing for ever."""
    if before is None:
        return improved
    moved = depth - before[0]
    slope = np.divide(improved - before[1], moved, out=np.zeros_like(moved), where=np.abs(moved) > _SMALLEST_RATIO)
    damping = np.where(slope < _SWINGING, 1.0 - np.maximum(slope, -5.0), 1.0)
    step: NDArray[np.float64] = depth + (improved - depth) / damping
    return step


def _fixed_point(
    at_nodes: NDArray[np.float64], at_times: NDArray[np.float64], node_years: NDArray[np.float64], problem: _Problem, grid: _Grid
) -> NDArray[np.float64]:
    """Return [N, R] the boundary e^(-(r - q) t) n / d: n and d integrate the discounted chances to end below the boundary."""
    _, _, rate, income, volatility = problem
    nodes, points = len(node_years), len(grid.elapsed)
    left = np.repeat(node_years, points, axis=0) * np.tile(grid.elapsed, nodes)[:, np.newaxis]
    d1, d2 = _d1_d2(np.repeat(at_nodes, points, axis=0) / at_times, left, rate, income, volatility)
    weights = node_years * grid.elapsed_weights
    shape = (nodes, points, len(rate))
    # Both sides carry e^(-r t) and e^(-q t), so that nothing grows without bound.
    earned = np.einsum("np,npr->nr", weights, (np.exp(-rate * left) * ndtr(d2)).reshape(shape))
    lost = np.einsum("np,npr->nr", weights, (np.exp(-income * left) * ndtr(d1)).reshape(shape))
    d1, d2 = _d1_d2(at_nodes, node_years, rate, income, volatility)
    numerator = np.exp(-rate * node_years) * ndtr(d2) + rate * earned
    denominator = np.exp(-income * node_years) * ndtr(d1) + income * lost
    with np.errstate(all="ignore"):
        improved: NDArray[np.float64] = numerator / denominator
    return improved


def _perpetual(start: ByRow, rate: ByRow, income: ByRow, volatility: ByRow) -> ByRow:
    """Return [R] the boundary of a put that never expires, over the strike, below which no boundary falls (Merton, 1973)."""
    variance = volatility**2
    drift = rate - income - 0.5 * variance
    root = (-drift - np.sqrt(drift**2 + 2.0 * variance * rate)) / variance
    boundary: ByRow = np.clip(root / (root - 1.0), _SMALLEST_RATIO * start, start)
    return boundary


def _first_guess(  # noqa: PLR0917 - one formula's symbols
    start: ByRow, perpetual: ByRow, rate: ByRow, income: ByRow, volatility: ByRow, node_years: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return [N, R] a boundary that falls from that at expiry to that of a perpetual put (after Bjerksund and Stensland, 1993)."""
    gap = np.maximum(start - perpetual, _SMALLEST_RATIO * start)
    decay = (2.0 * volatility * np.sqrt(node_years) + np.abs(rate - income) * node_years) * start / gap
    guess: NDArray[np.float64] = perpetual + (start - perpetual) * np.exp(-decay)
    return guess


def _d1_d2(
    ratio: NDArray[np.float64], years: NDArray[np.float64], rate: ByRow, income: ByRow, volatility: ByRow
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    deviation = volatility * np.sqrt(years)
    d1 = (np.log(ratio) + (rate - income) * years) / deviation + 0.5 * deviation
    return d1, d1 - deviation


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Nodes of the boundary and times of the quadrature. Fractions of the time to expiry, the same for all options, and found once.

    Attributes:
        node_roots: [N + 1] square roots of the Chebyshev nodes, expiry last.
        elapsed: [P] times of the quadrature. Flat at both ends, where the integrands have a root of time and the boundary starts steeply.
        elapsed_weights: [P] of the quadrature.
        to_expiry: [P, N + 1] from values at the nodes to values at what is left at those times.
        to_nodes: [N x P, N + 1] the same for what is left at those fractions of each node's time.
    """

    node_roots: NDArray[np.float64]
    elapsed: NDArray[np.float64]
    elapsed_weights: NDArray[np.float64]
    to_expiry: NDArray[np.float64]
    to_nodes: NDArray[np.float64]


def _grid(nodes: int, points: int) -> _Grid:
    roots = 0.5 * (1.0 + np.cos(np.pi * np.arange(nodes + 1) / nodes))
    legendre, weights = np.polynomial.legendre.leggauss(points)
    unit = 0.5 * (1.0 + legendre)
    elapsed = (unit**2 * (3.0 - 2.0 * unit)) ** 2
    left = np.sqrt(1.0 - elapsed)
    return _Grid(
        node_roots=roots,
        elapsed=elapsed,
        elapsed_weights=6.0 * unit**3 * (3.0 - 2.0 * unit) * (1.0 - unit) * weights,
        to_expiry=_chebyshev(left, roots),
        to_nodes=_chebyshev(np.outer(roots[:-1], left).ravel(), roots),
    )


def _chebyshev(roots: NDArray[np.float64], node_roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [Q, N + 1] the matrix from values at the nodes to values at Q square roots of time, both as fractions of the longest."""
    signs = (-1.0) ** np.arange(len(node_roots))
    signs[[0, -1]] *= 0.5
    apart = roots[:, np.newaxis] - node_roots
    if (apart == 0.0).any():
        raise ValueError("a time of the quadrature is a node; choose another number of points")
    weights = signs / apart
    matrix: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return matrix


_GRID: Final = _grid(nodes=10, points=25)
_FINE_GRID: Final = _grid(nodes=16, points=35)
