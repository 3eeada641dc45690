"""Payments on fixed days, valued on a zero curve: what bills, bonds and forwards are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import BondTerms, Instrument
from crossmargin.domain.market import FactorKind
from crossmargin.engine.axes import ByInstrument, ByInstrumentState, Index
from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Claim

_BASE: Final = slice(0, 1)
_STATES_IN_CACHE: Final = {Kernels.NUMPY: 128, Kernels.NUMBA: 64}
"""States whose discount factors are made and added up at once. No value depends on how many."""
_MAXIMUM_STEPS: Final = 100
_LOG_PRICE_TOLERANCE: Final = 1e-14
"""Relative: what is left between mark and value; some ten times the rounding of a sum of discounted payments."""


@dataclass(frozen=True, eq=False)
class Payments:
    """What one instrument still pays.

    Attributes:
        years: [D] actual/365 from now to the day whose discount factor values each amount.
        amounts: [D] per 100 of face.
        spread_years: [D] how long a spread over the curve lies on each, where that is not until the same day: a coupon that is projected
            as 1 at the start of its period less 1 at its end is paid, and may fail, at the end.
    """

    years: NDArray[np.float64]
    amounts: NDArray[np.float64]
    spread_years: NDArray[np.float64] | None = None

    @property
    def paid_years(self) -> NDArray[np.float64]:
        """[D] actual/365 from now to the payment of each amount."""
        return self.years if self.spread_years is None else self.spread_years


def discount_curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the curves that a bill or bond is discounted on: the zero rates of its currency and, if it has credit, its spreads."""
    spread = spread_curve(instrument)
    return frozenset({discount_curve(assets[instrument.settlement])} | ({spread} if spread is not None else set()))


def spread_curve(instrument: Instrument) -> str | None:
    """Return the name of the curve of credit spreads of a bill or bond; None for a government's own and for everything else."""
    credit = instrument.terms.credit_curve if isinstance(instrument.terms, BondTerms) else None
    return None if credit is None else f"{FactorKind.SPREAD.value}:{credit}"


def discount_factors(curve: ShockedCurve, years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [D, M] exp(-z(T) T) for D times in years, z continuously compounded."""
    return _Factors.of(curve, years).in_states(slice(None))


def present_values(curve: ShockedCurve, flows: Flows, marks: ByInstrument) -> ByInstrumentState:
    """Return [I, M] the value of each instrument's payments.

    An instrument with a mark [I], NaN without, is discounted at a constant spread over the curve, solved so that its base value is the mark
    and held fixed when the curve moves. NaN where no spread reaches the mark.

    All instruments share one grid of distinct times, so that each discount factor is computed once, and one sparse product.
    """
    factors = _Factors.of(curve, flows.years)
    amounts = _meeting_marks(flows, factors.in_states(_BASE)[:, 0], marks)
    values = np.empty((len(flows.starts) - 1, curve.moves.shape[1]))
    for states in _in_blocks(curve.moves.shape[1], curve.kernels):
        values[:, states] = _summed(amounts, flows, factors.in_states(states), curve.kernels)
    return values


def credit_present_values(
    curve: ShockedCurve, spreads: ShockedCurve, base_of: Index, flows: Flows, marks: ByInstrument
) -> tuple[ByInstrumentState, ByInstrumentState]:
    """Return the values [I, M] of payments that may fail, and what they would be had the credit spreads not moved.

    A payment at T that is at risk until R is discounted by exp(-z(T) T - s(R) R). The second array has the spreads of the state that
    each state is a move of (`base_of` [M]), so that between the two is what the spreads' own move gains. Marks as in `present_values`.
    """
    factors, survival = _Factors.of(curve, flows.years), _Factors.of(spreads, flows.paid_years)
    amounts = _meeting_marks(flows, factors.in_states(_BASE)[:, 0] * survival.in_states(_BASE)[:, 0], marks)
    bases, base = np.unique(base_of, return_inverse=True)
    at_bases = survival.in_states(bases)
    moved, in_calm_credit = np.empty((2, len(flows.starts) - 1, len(base_of)))
    for states in _in_blocks(len(base_of), curve.kernels):
        by_rates = factors.in_states(states)
        moved[:, states] = _summed(amounts, flows, by_rates * survival.in_states(states), curve.kernels)
        in_calm_credit[:, states] = _summed(amounts, flows, by_rates * at_bases[:, base[states]], curve.kernels)
    return moved, in_calm_credit


def _in_blocks(count: int, kernels: Kernels) -> Iterator[slice]:
    """Yield the states in blocks, each with no more factors than stay in the cache until they are added up."""
    step = _STATES_IN_CACHE[kernels]
    for start in range(0, count, step):
        yield slice(start, start + step)


@dataclass(frozen=True, eq=False)
class _Factors:
    """Discount factors on a curve at T times: where each time lies between the nodes, found once for all states."""

    curve: ShockedCurve
    years: NDArray[np.float64]
    levels: NDArray[np.float64]
    lower: Index
    upper: Index
    share: NDArray[np.float64]

    @classmethod
    def of(cls, curve: ShockedCurve, years: NDArray[np.float64]) -> _Factors:
        lower, upper, share = curve.between(years)
        return cls(curve, years, curve.levels_between(lower, upper, share), lower, upper, share)

    def in_states(self, states: slice | Index) -> NDArray[np.float64]:
        """Return [T, M] the factors in some of the states."""
        return functions_of(self.curve.kernels).discount_factors(
            years=self.years,
            levels=self.levels,
            moves=self.curve.moves[:, states],
            lower=self.lower,
            upper=self.upper,
            share=self.share,
        )


def discounted(asset: InstrumentId, payments: Payments, market: ShockedMarket) -> Claim:
    """Return the claim on payments of an asset: units of it, whatever the face, which change with its zero curve."""
    name = discount_curve(market.assets[asset])
    curve = market.curve(name)
    curve.check(payments.years)
    return Claim(asset, payments.amounts @ discount_factors(curve, payments.years), market.curve_group(name))


@dataclass(frozen=True, eq=False)
class Flows:
    """The payments of several instruments one after another, those of each from its start to the next.

    Attributes:
        years: [T] distinct times that factors are wanted at, with paid_years: [T] how long a spread lies on each.
        column: [D] which of them each payment is at. amounts: [D]. starts: [I + 1].
    """

    years: NDArray[np.float64]
    paid_years: NDArray[np.float64]
    column: Index
    amounts: NDArray[np.float64]
    starts: Index


def flows_of(payments: Sequence[Payments]) -> Flows:
    """Return payments of several instruments one after another, and the distinct times among them."""
    years = np.concatenate([item.years for item in payments])
    if all(item.spread_years is None for item in payments):
        grid, column = np.unique(years, return_inverse=True)
        paid = grid
    else:
        both = np.stack([years, np.concatenate([item.paid_years for item in payments])])
        (grid, paid), column = np.unique(both, axis=1, return_inverse=True)
    return Flows(
        years=grid,
        paid_years=paid,
        column=column,
        amounts=np.concatenate([item.amounts for item in payments]),
        starts=np.concatenate([[0], np.cumsum([len(item.years) for item in payments])]).astype(np.int64),
    )


def _meeting_marks(flows: Flows, base_factors: NDArray[np.float64], marks: ByInstrument) -> NDArray[np.float64]:
    """Return [D] the amounts, discounted at the spread at which each instrument is worth its mark; `base_factors` [T] discount the rest."""
    if np.isnan(marks).all():
        return flows.amounts
    paid_years = flows.paid_years[flows.column]
    spreads = _solve_spreads(flows.amounts * base_factors[flows.column], paid_years, flows.starts, marks)
    amounts: NDArray[np.float64] = flows.amounts * np.exp(-np.repeat(spreads, np.diff(flows.starts)) * paid_years)
    return amounts


def _summed(amounts: NDArray[np.float64], flows: Flows, factors: NDArray[np.float64], kernels: Kernels) -> ByInstrumentState:
    """Return [I, M] the sums of amounts [D] times the rows of `factors` [T, M] that the payments are at."""
    return functions_of(kernels).sparse_product(starts=flows.starts, columns=flows.column, values=amounts, dense=factors)


def _solve_spreads(values: NDArray[np.float64], years: NDArray[np.float64], starts: Index, targets: ByInstrument) -> ByInstrument:
    """Return [I] spreads s with sum(values exp(-s years)) = target, continuously compounded; 0 for NaN.

    Newton on the logarithm of the price, which is convex and decreasing in s with slope -duration: from any start the second step is
    on the side of the root from which the rest approach it monotonically; a single payment is solved in one step.
    """
    spreads = np.zeros(len(targets))
    unsolved = ~np.isnan(targets)
    for _ in range(_MAXIMUM_STEPS):
        discounted = values * np.exp(-np.repeat(spreads, np.diff(starts)) * years)
        price = np.add.reduceat(discounted, starts[:-1])
        duration = np.add.reduceat(discounted * years, starts[:-1]) / price
        gap = np.log(price / targets)
        unsolved &= ~(np.abs(gap) <= _LOG_PRICE_TOLERANCE)
        if not unsolved.any():
            break
        spreads = np.where(unsolved, spreads + gap / duration, spreads)
    return np.where(unsolved, np.nan, spreads)
