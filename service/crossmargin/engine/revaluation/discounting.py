"""Payments on fixed days, valued on a zero curve: what bills, bonds and forwards are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import PER_HUNDRED, BondTerms, Instrument
from crossmargin.domain.market import FactorKind
from crossmargin.engine.axes import ByInstrument, ByInstrumentState, Index
from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Claim, Outcome, Valuation, attempt

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


def revalue_payments(
    instruments: Sequence[Instrument], market: ShockedMarket, remaining: Callable[[Instrument, ShockedMarket], Payments]
) -> list[Outcome]:
    """Return the outcomes of bills or bonds of one kind: 0.01 x price per unit of face, in the settlement asset.

    `remaining` returns what an instrument still pays or raises INSTRUMENT_EXPIRED. Instruments of one currency and one credit are
    valued together.
    """
    outcomes: dict[InstrumentId, Outcome] = {}
    payments: dict[InstrumentId, Payments] = {}
    by_discounting: defaultdict[tuple[InstrumentId, str | None], list[Instrument]] = defaultdict(list)
    for instrument in instruments:
        prepared = attempt(lambda each, state: _readable(each, state, remaining(each, state)), instrument, market)
        if isinstance(prepared, Payments):
            payments[instrument.instrument_id] = prepared
            by_discounting[instrument.settlement, spread_curve(instrument)].append(instrument)
        else:
            outcomes[instrument.instrument_id] = prepared
    for (settlement, spread), members in by_discounting.items():
        paid = [payments[member.instrument_id] for member in members]
        if spread is None:
            outcomes |= _revalue_currency(members, paid, settlement, market)
        else:
            outcomes |= _revalue_credit(members, paid, settlement, spread, market)
    return [outcomes[instrument.instrument_id] for instrument in instruments]


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
    lower, upper, share = curve.between(years)
    return functions_of(curve.kernels).discount_factors(
        years=years, levels=curve.levels_at(years), moves=curve.moves, lower=lower, upper=upper, share=share
    )


def present_values(curve: ShockedCurve, payments: Sequence[Payments], marks: Sequence[float | None]) -> ByInstrumentState:
    """Return [I, M] the value of each instrument's payments.

    An instrument with a mark is discounted at a constant spread over the curve, solved so that its base value is the mark and held
    fixed when the curve moves. NaN where no spread reaches the mark.

    All instruments share one grid of distinct times, so that each discount factor is computed once, and one sparse product.
    """
    flows = _flows(payments)
    grid, column = np.unique(flows.years, return_inverse=True)
    factors = discount_factors(curve, grid)
    return _summed(_meeting_marks(flows, factors[column, 0], marks), column, flows, factors, curve.kernels)


def credit_present_values(
    curve: ShockedCurve, spreads: ShockedCurve, base_of: Index, payments: Sequence[Payments], marks: Sequence[float | None]
) -> tuple[ByInstrumentState, ByInstrumentState]:
    """Return the values [I, M] of payments that may fail, and what they would be had the credit spreads not moved.

    A payment at T that is at risk until R is discounted by exp(-z(T) T - s(R) R). The second array has the spreads of the state that
    each state is a move of (`base_of` [M]), so that between the two is what the spreads' own move gains. Marks as in `present_values`.
    """
    flows = _flows(payments)
    pairs, column = np.unique(np.stack([flows.years, flows.paid_years]), axis=1, return_inverse=True)
    years, paid_years = pairs
    survival = discount_factors(spreads, paid_years)
    factors = discount_factors(curve, years)
    amounts = _meeting_marks(flows, (factors[:, 0] * survival[:, 0])[column], marks)
    moved, in_calm_credit = (
        _summed(amounts, column, flows, each, curve.kernels) for each in (factors * survival, factors * survival[:, base_of])
    )
    return moved, in_calm_credit


def discounted(asset: InstrumentId, payments: Payments, market: ShockedMarket) -> Claim:
    """Return the claim on payments of an asset: units of it, whatever the face, which change with its zero curve."""
    name = discount_curve(market.assets[asset])
    curve = market.curve(name)
    curve.check(payments.years)
    return Claim(asset, payments.amounts @ discount_factors(curve, payments.years), market.curve_group(name))


def _readable(instrument: Instrument, market: ShockedMarket, payments: Payments) -> Payments:
    """Return the payments if every node of the curves that they need has scenarios."""
    curve, spread = discount_curve(market.assets[instrument.settlement]), spread_curve(instrument)
    market.curve(curve).check(payments.years)
    market.curve_group(curve)
    if spread is not None:
        market.curve(spread).check(payments.paid_years)
        market.curve_group(spread)
    return payments


def _revalue_credit(
    members: Sequence[Instrument], payments: Sequence[Payments], settlement: InstrumentId, spread: str, market: ShockedMarket
) -> dict[InstrumentId, Outcome]:
    """Return the outcomes of bonds with credit: what rates do is one claim, what the credit does on top of it is another."""
    zero = discount_curve(market.assets[settlement])
    marks = [market.mark(member) for member in members]
    prices, in_calm_credit = credit_present_values(market.curve(zero), market.curve(spread), market.base_of, payments, marks)
    rates_group, credit_group = market.curve_group(zero), market.curve_group(spread)
    face, unit = np.ones(len(market.bases)), float(PER_HUNDRED)
    return {
        member.instrument_id: Valuation(
            (
                Claim(settlement, unit * calm, rates_group),
                Claim(settlement, unit * (price - calm), credit_group, exposure=unit * price[market.bases]),
            ),
            float(paid.years.max()),
            notional=face,
        )
        for member, paid, price, calm in zip(members, payments, prices, in_calm_credit, strict=True)
    }


def _revalue_currency(
    members: Sequence[Instrument], payments: Sequence[Payments], settlement: InstrumentId, market: ShockedMarket
) -> dict[InstrumentId, Outcome]:
    curve = discount_curve(market.assets[settlement])
    prices = present_values(market.curve(curve), payments, [market.mark(member) for member in members])
    group = market.curve_group(curve)
    face = np.ones(len(market.bases))
    return {
        member.instrument_id: Valuation((Claim(settlement, float(PER_HUNDRED) * price, group),), float(paid.years.max()), notional=face)
        for member, paid, price in zip(members, payments, prices, strict=True)
    }


@dataclass(frozen=True, eq=False)
class _Flows:
    """The payments of several instruments one after another, those of each from its start to the next. `starts`: [I + 1]; the rest [D]."""

    years: NDArray[np.float64]
    paid_years: NDArray[np.float64]
    amounts: NDArray[np.float64]
    starts: Index


def _flows(payments: Sequence[Payments]) -> _Flows:
    return _Flows(
        years=np.concatenate([item.years for item in payments]),
        paid_years=np.concatenate([item.paid_years for item in payments]),
        amounts=np.concatenate([item.amounts for item in payments]),
        starts=np.concatenate([[0], np.cumsum([len(item.years) for item in payments])]).astype(np.int64),
    )


def _meeting_marks(flows: _Flows, base_factors: NDArray[np.float64], marks: Sequence[float | None]) -> NDArray[np.float64]:
    """Return [D] the amounts, discounted at the spread at which each instrument is worth its mark; `base_factors` [D] discount the rest."""
    spreads = _solve_spreads(flows.amounts * base_factors, flows.paid_years, flows.starts, marks)
    amounts: NDArray[np.float64] = flows.amounts * np.exp(-np.repeat(spreads, np.diff(flows.starts)) * flows.paid_years)
    return amounts


def _summed(
    amounts: NDArray[np.float64], column: Index, flows: _Flows, factors: NDArray[np.float64], kernels: Kernels
) -> ByInstrumentState:
    """Return [I, M] the sums of amounts [D] times the rows of `factors` [G, M] that `column` [D] names."""
    return functions_of(kernels).sparse_product(starts=flows.starts, columns=column, values=amounts, dense=factors)


def _solve_spreads(values: NDArray[np.float64], years: NDArray[np.float64], starts: Index, marks: Sequence[float | None]) -> ByInstrument:
    """Return [I] spreads s with sum(values exp(-s years)) = mark, continuously compounded; 0 without a mark.

    Newton on the logarithm of the price, which is convex and decreasing in s with slope -duration: from any start the second step is
    on the side of the root from which the rest approach it monotonically; a single payment is solved in one step.
    """
    targets = np.array([np.nan if mark is None else mark for mark in marks])
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
