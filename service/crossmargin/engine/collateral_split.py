"""What every holding adds to equity, and how much of it stays in the scenarios."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.instrument import AssetTerms, BondTerms
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.collateral_limits import NO_ISSUER, issuer_of, largest_counted, share_limited
from crossmargin.engine.portfolio_arrays import HaircutRates, HaircutSchedule, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


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
    arrays: PortfolioArrays, market: RevaluedMarket, schedule: HaircutSchedule, ineligible: Collection[int] = ()
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

    Limits that know nothing of the rest of the account (absolute, by volume, by supply) are on the market value and come first; those on
    shares of what counts and on issuers are on what is left after haircuts.
    """
    market_value, gross_value = _market_values(arrays, market)
    haircut, over_limit, share_limit = np.zeros(len(arrays.row)), np.zeros(len(arrays.row)), np.full(len(arrays.row), math.inf)
    issuer = np.full(len(arrays.row), NO_ISSUER)
    scenario_quantity = arrays.quantity.copy()
    assets = [holding for holding, instrument in enumerate(arrays.instruments) if isinstance(instrument.terms, AssetTerms + BondTerms)]
    collateral = [holding for holding in assets if arrays.quantity[holding] >= 0]
    for holding in collateral:
        row = None if holding in ineligible else arrays.instruments[holding].collateral_class
        value, rates = float(market_value[holding]), schedule.rows.get(row or "")
        counted = 0.0 if rates is None else min(value, largest_counted(int(arrays.row[holding]), rates, schedule, market))
        over_limit[holding] = value - counted
        if rates is not None:
            haircut[holding] = _haircut(counted, rates, arrays, market, holding)
            share_limit[holding] = rates.share_limit_fraction
            issuer[holding] = issuer_of(arrays.instruments[holding], schedule)
        if rates is None or arrays.policies[holding] is CollateralPolicy.PLEDGED:
            scenario_quantity[holding] = 0.0
    alone = (market_value - haircut - over_limit)[collateral]
    issuer_limits = np.array([limit for _, limit in schedule.issuer_limits])
    counts = share_limited(alone, share_limit[collateral], issuer=issuer[collateral], issuer_limits=issuer_limits)
    kept = np.divide(counts, alone, out=np.ones_like(alone), where=alone > 0)
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
    # By slice and at most the slice, so that no slice takes anything off the others.
    return tiered_haircut(value, [(upper, min(1.0, fraction + mismatch)) for upper, fraction in tiers])
