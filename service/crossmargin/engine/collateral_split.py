"""What every holding adds to equity, and how much of it stays in the scenarios."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.instrument import AssetTerms, BondTerms
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.portfolio_arrays import HaircutRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_TOTAL_TOLERANCE: Final = 1e-13
"""Relative: limits that are met exactly, such as two halves, must not fail on the last bit."""


@dataclass(frozen=True, slots=True, eq=False)
class CollateralSplit:
    """Every holding's part in equity. Base currency; value_in_equity = market_value - haircut - over_limit.

    Attributes:
        collateral: Rows along axis H of assets and bonds that are not owed. liability: Of those that are. contract: Of everything else.
        market_value: [H] mark less cost; haircut: [H] zero or more; over_limit: [H] what counts zero.
        value_in_equity: [H] contracts and liabilities at full value.
        gross_value: [H] sum of the absolute amounts behind the market value: the scale of its float noise.
        scenario_quantity: [H] units whose profit and loss is in the scenarios; a cost is always in them.
    """

    collateral: Sequence[int]
    liability: Sequence[int]
    contract: Sequence[int]
    market_value: ByHolding
    haircut: ByHolding
    over_limit: ByHolding
    value_in_equity: ByHolding
    gross_value: ByHolding
    scenario_quantity: ByHolding

    @property
    def equity(self) -> float:
        """Sum of all values in equity."""
        return float(self.value_in_equity.sum())


def split_collateral(
    arrays: PortfolioArrays, market: RevaluedMarket, schedule: Mapping[str, HaircutRates], ineligible: Collection[int] = ()
) -> CollateralSplit:
    """Return what each holding counts for.

    A positive holding of an asset or bond counts by its policy. RISKED: market value less the residual haircut, and its profits and
    losses are in the scenarios. PLEDGED: market value less the flat haircut of its size and maturity, and less the FX mismatch haircut
    where the schedule asks for it, outside the scenarios. An asset without a row in the schedule, or at one of the `ineligible` places
    along axis H, counts zero and is outside the scenarios. Owed assets, contracts, forwards and options count at full value, without
    haircut, always in the scenarios.

    What is over a limit counts zero in equity. Of a RISKED asset the whole quantity stays in the scenarios all the same: it is there
    and is never worth less than nothing, so to leave its value out and keep its moves understates the account in every scenario,
    whereas to drop its moves would take a hedge away from what it hedges. Who wants it out of the scenarios pledges it.
    """
    market_value, gross_value = _market_values(arrays, market)
    haircut, over_limit, share_limit = np.zeros(len(arrays.row)), np.zeros(len(arrays.row)), np.full(len(arrays.row), math.inf)
    scenario_quantity = arrays.quantity.copy()
    assets = [holding for holding, instrument in enumerate(arrays.instruments) if isinstance(instrument.terms, AssetTerms + BondTerms)]
    collateral = [holding for holding in assets if arrays.quantity[holding] >= 0]
    for holding in collateral:
        row = None if holding in ineligible else arrays.instruments[holding].collateral_class
        value, rates = float(market_value[holding]), schedule.get(row or "")
        counted = 0.0 if rates is None else min(value, rates.absolute_limit)
        over_limit[holding] = value - counted
        if rates is not None:
            haircut[holding] = _haircut(counted, rates, arrays, market, holding)
            share_limit[holding] = rates.share_limit_fraction
        if rates is None or arrays.policies[holding] is CollateralPolicy.PLEDGED:
            scenario_quantity[holding] = 0.0
    kept = _kept_within_share_limits((market_value - haircut - over_limit)[collateral], share_limit[collateral])
    over_limit[collateral] += (1.0 - kept) * (market_value - over_limit)[collateral]
    haircut[collateral] *= kept
    return CollateralSplit(
        collateral=collateral,
        liability=[holding for holding in assets if arrays.quantity[holding] < 0],
        contract=sorted(set(range(len(arrays.row))).difference(assets)),
        market_value=market_value,
        haircut=haircut,
        over_limit=over_limit,
        value_in_equity=market_value - haircut - over_limit,
        gross_value=gross_value,
        scenario_quantity=scenario_quantity,
    )


def tiered_haircut(value: float, tiers: Sequence[tuple[float, float]]) -> float:
    """Return the haircut on a market value: each slice takes its own fraction, and above the last end nothing counts.

    >>> tiered_haircut(150.0, ((100.0, 0.1), (200.0, 0.5)))
    35.0
    >>> tiered_haircut(300.0, ((100.0, 0.1), (200.0, 0.5)))
    160.0
    """
    taken, lower = 0.0, 0.0
    for upper, fraction in tiers:
        taken += fraction * max(0.0, min(value, upper) - lower)
        lower = upper
    return taken + max(0.0, value - lower)


def share_limited(values: ByHolding, limits: ByHolding) -> ByHolding:
    """Return what each asset counts for when asset i may be at most share f_i of all that counts, its own value included.

    The largest y with y_i = min(c_i, f_i T) and T = sum y. T is the largest root of sum_i min(c_i, f_i T) = T, whose left side is
    concave and piecewise linear, so it is found exactly: with the assets sorted by the total c_i / f_i at which their limit stops
    binding, try from the top how many are free. The result does not depend on the order of the assets. When nothing unlimited is
    held and the limits add up to less than 1, only a total of zero satisfies them, and nothing counts.

    Args:
        values: [H] c, what each would count for alone, zero or more.
        limits: [H] f, above 0; inf for no limit.
    """
    totals = values / limits
    order = np.argsort(totals, kind="stable")
    free_value = np.cumsum(values[order])
    bound_share = np.append(np.cumsum(limits[order][::-1])[::-1], 0.0)
    total = 0.0
    for free_count in range(len(values), 0, -1):
        candidate = float(free_value[free_count - 1] / (1.0 - bound_share[free_count]))
        if candidate >= totals[order[free_count - 1]] * (1.0 - _TOTAL_TOLERANCE):
            total = candidate
            break
    return np.minimum(values, limits * total) if total > 0 else np.zeros_like(values)


def _market_values(arrays: PortfolioArrays, market: RevaluedMarket) -> tuple[ByHolding, ByHolding]:
    value = arrays.quantity * market.unit_value[arrays.row]
    cost = arrays.cost * market.settlement_price[arrays.row]
    return value - cost, np.abs(value) + np.abs(cost)


def _haircut(value: float, rates: HaircutRates, arrays: PortfolioArrays, market: RevaluedMarket, holding: int) -> float:
    if arrays.policies[holding] is CollateralPolicy.RISKED:
        return rates.residual_haircut_fraction * value
    row = arrays.row[holding]
    has_maturity = isinstance(arrays.instruments[holding].terms, BondTerms)
    years = float(market.residual_years[row]) if has_maturity else math.inf
    tiers = next(tiers for up_to_years, tiers in rates.bands if years <= up_to_years)
    # Translation days are zero for the base currency, so its own money never takes the mismatch haircut.
    mismatch = rates.fx_mismatch_fraction_per_root_day * math.sqrt(float(market.translation_days[row]))
    return min(value, tiered_haircut(value, tiers) + mismatch * value)


def _kept_within_share_limits(values: ByHolding, limits: ByHolding) -> ByHolding:
    if not np.isfinite(limits).any():
        return np.ones_like(values)
    return np.divide(share_limited(values, limits), values, out=np.ones_like(values), where=values > 0)
