"""Payments on fixed days, valued on a zero curve: what bills, bonds and forwards are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import PER_HUNDRED, Instrument
from crossmargin.engine.axes import ByInstrument, ByInstrumentState, Index
from crossmargin.engine.revaluation.shocked_curve import ShockedCurve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Claim, Outcome, Valuation, attempt

_MAXIMUM_STEPS: Final = 100
_ROWS_IN_CACHE: Final = 64
"""Times worked on at once, so that the rates of all scenarios are still in the cache when they are exponentiated."""
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

    `remaining` returns what an instrument still pays or raises INSTRUMENT_EXPIRED. Instruments of one currency are valued together.
    """
    outcomes: dict[InstrumentId, Outcome] = {}
    payments: dict[InstrumentId, Payments] = {}
    by_settlement: defaultdict[InstrumentId, list[Instrument]] = defaultdict(list)
    for instrument in instruments:
        prepared = attempt(lambda each, state: _readable(each, state, remaining(each, state)), instrument, market)
        if isinstance(prepared, Payments):
            payments[instrument.instrument_id] = prepared
            by_settlement[instrument.settlement].append(instrument)
        else:
            outcomes[instrument.instrument_id] = prepared
    for settlement, members in by_settlement.items():
        outcomes |= _revalue_currency(members, [payments[member.instrument_id] for member in members], settlement, market)
    return [outcomes[instrument.instrument_id] for instrument in instruments]


def zero_curve_of_settlement(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the curve that a bill or bond is discounted on."""
    return frozenset({discount_curve(assets[instrument.settlement])})


def discount_factors(curve: ShockedCurve, years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [D, M] exp(-z(T) T) for D times in years, z continuously compounded."""
    factors = np.empty((len(years), curve.moves.shape[1]))
    for start in range(0, len(years), _ROWS_IN_CACHE):
        block = years[start : start + _ROWS_IN_CACHE]
        rates = curve.moves_at(block)
        rates += curve.levels_at(block)[:, np.newaxis]
        rates *= -block[:, np.newaxis]
        np.exp(rates, out=factors[start : start + _ROWS_IN_CACHE])
    return factors


def present_values(curve: ShockedCurve, payments: Sequence[Payments], marks: Sequence[float | None]) -> ByInstrumentState:
    """Return [I, M] the value of each instrument's payments.

    An instrument with a mark is discounted at a constant spread over the curve, solved so that its base value is the mark and held
    fixed when the curve moves. NaN where no spread reaches the mark.

    All instruments share one grid of distinct times, so that each discount factor is computed once, and one sparse product.
    """
    flow_years = np.concatenate([item.years for item in payments])
    paid_years = np.concatenate([item.paid_years for item in payments])
    amounts = np.concatenate([item.amounts for item in payments])
    starts = np.concatenate([[0], np.cumsum([len(item.years) for item in payments])]).astype(np.int64)
    grid, column = np.unique(flow_years, return_inverse=True)
    factors = discount_factors(curve, grid)
    spreads = _solve_spreads(amounts * factors[column, 0], paid_years, starts, marks)
    spread_by_flow = np.repeat(spreads, np.diff(starts))
    weights = csr_array((amounts * np.exp(-spread_by_flow * paid_years), column, starts), shape=(len(payments), len(grid)))
    return np.asarray(weights @ factors)


def discounted(asset: InstrumentId, payments: Payments, market: ShockedMarket) -> Claim:
    """Return the claim on payments of an asset: units of it, whatever the face, which change with its zero curve."""
    name = discount_curve(market.assets[asset])
    curve = market.curve(name)
    curve.check(payments.years)
    return Claim(asset, payments.amounts @ discount_factors(curve, payments.years), market.curve_group(name))


def _readable(instrument: Instrument, market: ShockedMarket, payments: Payments) -> Payments:
    """Return the payments if every node of the curve that they need has scenarios."""
    curve = discount_curve(market.assets[instrument.settlement])
    market.curve(curve).check(payments.years)
    market.curve_group(curve)
    return payments


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
