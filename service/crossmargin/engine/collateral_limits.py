"""How much collateral counts at most: limits of one asset, of an issuer, and of a share of all that counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.engine.axes import ByGroup, ByHolding, Index
from crossmargin.engine.portfolio_arrays import HaircutRates, HaircutSchedule, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import price_factor

NO_ISSUER: Final = -1
_TOTAL_TOLERANCE: Final = 1e-13
"""Relative: limits that are met exactly, such as two halves, must not fail on the last bit."""


def largest_counted(row: int, rates: HaircutRates, schedule: HaircutSchedule, market: RevaluedMarket) -> float:
    """Return the largest market value that counts of the instrument at `row` along axis I, base currency.

    The tightest of the limits that know nothing of the rest of the account. A share of the circulating supply is a number of units, so
    it moves with the price. Without a supply to take a share of, nothing counts; what belongs to no offset group, the base currency, has
    no volume and no limit by volume.
    """
    limit = rates.absolute_limit
    group = int(market.instrument_group[row])
    if math.isfinite(rates.volume_limit_fraction) and group >= 0:
        limit = min(limit, rates.volume_limit_fraction * schedule.average_daily_volume[market.groups[group]])
    if math.isfinite(rates.supply_limit_fraction):
        limit = min(limit, rates.supply_limit_fraction * _circulating(row, schedule, market) * float(market.unit_value[row]))
    return limit


def house_cap(row: int, rates: HaircutRates, schedule: HaircutSchedule, market: RevaluedMarket) -> float:
    """Return how many units of an instrument count over all clients together; inf where there is no limit."""
    price = float(market.unit_value[row])
    cap = rates.house_limit / price if price > 0 else math.inf
    if math.isfinite(rates.house_supply_fraction):
        cap = min(cap, rates.house_supply_fraction * _circulating(row, schedule, market))
    return cap


def house_share(cap: float, held_by_all: float) -> float:
    """Return the share of every holding of an instrument that counts, from 0 to 1: min(1, cap / held by all clients).

    Both in units. Less than a share counts for everybody alike, so that nobody gains by having come first.
    """
    return min(1.0, cap / held_by_all) if held_by_all > 0 else 1.0


def _circulating(row: int, schedule: HaircutSchedule, market: RevaluedMarket) -> float:
    """Return the units in circulation, counted as holdings are; nothing for an asset whose supply the parameters do not say."""
    units = schedule.circulating_supply.get(price_curve(market.instruments[row]), 0.0)
    return units * float(market.used_fraction[row])


def issuer_of(instrument: Instrument, schedule: HaircutSchedule) -> int:
    """Return the place among `schedule.issuer_limits` of the issuer that an asset belongs to, or NO_ISSUER."""
    curve = price_curve(instrument)
    return next((place for place, (curves, _) in enumerate(schedule.issuer_limits) if curve in curves), NO_ISSUER)


def issuer_limits(collateral: Sequence[int], arrays: PortfolioArrays, market: RevaluedMarket, schedule: HaircutSchedule) -> ByGroup:
    """Return [J] what the account's assets of each limited issuer may add to equity together, base currency.

    The limit is the owner's: the account has its share of it by market value, and an isolated account its share of what the cross accounts
    of its owner leave, counting them at market value.
    """
    if not schedule.issuer_limits:
        return np.zeros(0)
    own = np.zeros(len(schedule.issuer_limits))
    for holding in collateral:
        row = int(arrays.row[holding])
        place = issuer_of(market.instruments[row], schedule)
        if place != NO_ISSUER:
            own[place] += float(arrays.quantity[holding]) * float(market.unit_value[row])
    owned = np.maximum(own, _issuer_values(arrays.owner_units, market, schedule))
    before = _issuer_values(arrays.owner_units_before, market, schedule)
    largest = np.array([limit for _, limit in schedule.issuer_limits])
    shares = np.divide(own, owned, out=np.ones_like(own), where=owned > 0)
    limits: ByGroup = shares * np.maximum(0.0, largest - before)
    return limits


def _issuer_values(units: Mapping[InstrumentId, Decimal], market: RevaluedMarket, schedule: HaircutSchedule) -> ByGroup:
    values = np.zeros(len(schedule.issuer_limits))
    for name, held in units.items():
        row = market.row_of.get(name)
        place = NO_ISSUER if row is None else issuer_of(market.instruments[row], schedule)
        if row is not None and place != NO_ISSUER:
            values[place] += float(held) * float(market.used_fraction[row]) * float(market.unit_value[row])
    return values


def price_curve(instrument: Instrument) -> str:
    """Return the curve that an asset's price follows; empty for the base currency and for what is no asset."""
    factor = price_factor(instrument) if instrument.is_asset else None
    return "" if factor is None else factor.curve


@dataclass(frozen=True, slots=True, eq=False)
class Limited:
    """What assets count for together under limits on shares and issuers.

    Attributes:
        counted: [H] base currency.
        slope: [H] how much more the total would be if an asset alone counted for one more. The total is concave in what the assets count
            for alone, so it nowhere exceeds the plane that these slopes span.
    """

    counted: ByHolding
    slope: ByHolding


def share_limited(values: ByHolding, limits: ByHolding, *, issuer: Index | None = None, issuer_limits: ByGroup | None = None) -> Limited:
    """Return what each asset counts for when asset i may be at most share f_i of all that counts, and an issuer's assets at most its limit.

    The largest y with y_i <= c_i, y_i <= f_i T, T = sum y, and sum of y over the assets of issuer j <= L_j. With S(T) what counts when
    the total is taken to be T, T is the largest root of S(T) = T. S is concave and piecewise linear, so Newton's steps from the right
    never pass the root and reach it in as many steps as there are pieces. The result does not depend on the order of the assets. What
    an issuer's limit takes, it takes from its assets pro rata. When nothing unlimited is held and the shares add up to less than 1,
    only a total of zero satisfies them, and nothing counts.

    Args:
        values: [H] c, what each would count for alone, zero or more.
        limits: [H] f, above 0; inf for no limit.
        issuer: [H] place of the asset's issuer along `issuer_limits`, or NO_ISSUER; without it no issuer is limited.
        issuer_limits: [J] L, base currency.
    """
    owner = np.full(len(values), NO_ISSUER) if issuer is None else issuer
    largest = np.zeros(0) if issuer_limits is None else issuer_limits
    total = float(values.sum())
    for _ in range(2 * (len(values) + len(largest)) + 2):
        at = _counted_at(total, values, limits, owner, largest)
        missing = total - float(at.counted.sum())
        if missing <= _TOTAL_TOLERANCE * total:
            break
        total = max(0.0, total - missing * at.growth)
    # What is left of a total of zero is the noise of the last step.
    at = _counted_at(total if total > _TOTAL_TOLERANCE * float(values.sum()) else 0.0, values, limits, owner, largest)
    return Limited(at.counted, np.where(at.is_free, at.growth, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _At:
    """What counts when the total is taken to be something. [H] `share` of the total that a bound asset takes; `is_free`: nothing binds."""

    counted: ByHolding
    share: ByHolding
    is_free: NDArray[np.bool_]

    @property
    def growth(self) -> float:
        """How much more the total is for one more that counts: what is bound to a share of it grows with it."""
        return 1.0 / max(_TOTAL_TOLERANCE, 1.0 - float(self.share.sum()))


def _counted_at(total: float, values: ByHolding, limits: ByHolding, owner: Index, largest: ByGroup) -> _At:
    # A share of all is no limit, and a limit that is only just met does not bind: what binds takes less than all of the total.
    bound = np.multiply(limits, total, out=np.full_like(values, math.inf), where=limits < 1.0)
    is_bound = bound < values * (1.0 - _TOTAL_TOLERANCE)
    counted, share, is_free = np.minimum(values, bound), np.where(is_bound, limits, 0.0), ~is_bound
    for place, limit in enumerate(largest.tolist()):
        own = owner == place
        held = float(counted[own].sum())
        if held >= limit * (1.0 - _TOTAL_TOLERANCE):
            counted[own] *= min(1.0, limit / held) if held > 0 else 0.0
            share[own], is_free[own] = 0.0, False
    return _At(counted, share, is_free)
