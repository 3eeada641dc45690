"""All charges of one account, line by line, and the maintenance margin they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByGroup, ByHolding
from crossmargin.engine.charges.basis import BasisCharge, basis_charge
from crossmargin.engine.charges.exposures import Exposures
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.charges.minimums import group_minimums, schedule_floor
from crossmargin.engine.charges.wrong_way import WrongWayCharge, wrong_way_charge
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

LIQUIDITY: Final = "liquidity"
OWNER_LIQUIDITY: Final = "owner liquidity"
BASIS: Final = "basis"
OWNER_BASIS: Final = "owner basis"
WRONG_WAY: Final = "wrong-way"
SHORT_OPTION_MINIMUM: Final = "short-option minimum"
GROUP_MINIMUM: Final = "group minimum"
SCHEDULE_FLOOR: Final = "schedule floor"


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One charge, base currency, zero or more."""

    name: str
    amount: float


@dataclass(frozen=True, slots=True, eq=False)
class AccountCharges:
    """Charges of one account. Base currency.

    Attributes:
        liquidity: [U] by touched group. basis, wrong_way: With their parts.
        minimums: What the maintenance margin may not fall below.
        lines: What each charge adds to the market requirement; a minimum adds what is lacking.
        maintenance_margin: max(market + liquidity + basis + wrong_way, minimums), the owner's parts included.
        contribution: [H] what the charges add to the holdings' contributions, but for the stretched horizon of the liquidity charge,
            which is part of the tail mean's own contributions.
        scale: Sum of the absolute amounts behind the charges: the scale of their float noise.
    """

    liquidity: ByGroup
    basis: BasisCharge
    wrong_way: WrongWayCharge
    minimums: float
    lines: tuple[ChargeLine, ...]
    maintenance_margin: float
    contribution: ByHolding
    scale: float


def account_charges(
    arrays: PortfolioArrays,
    market: RevaluedMarket,
    split: CollateralSplit,
    exposures: Exposures,
    rates: ChargeRates,
    *,
    group_requirement: ByGroup,
    stretch: ByGroup,
    market_requirement: float,
) -> AccountCharges:
    """Return the charges of an account on top of its market requirement.

    A group's minimum stands against the rest of the requirement of that group: its share of the market requirement, which is pro rata
    to its tail mean `group_requirement` [U], its liquidity charge and its basis charge. What the rest lacks is added. `stretch` [U] is
    that of the liquidity charge.
    """
    spread = _spread(exposures, market, rates)
    liquidity = spread + stretch * group_requirement
    market_share = _pro_rata(market_requirement, group_requirement)
    owner = _owner_liquidity(exposures, arrays, market)
    basis = basis_charge(exposures, arrays, market, rates)
    wrong_way = wrong_way_charge(arrays, market, split, rates, groups=exposures.groups, market_share=market_share)
    owner_basis = _owner_basis(basis, arrays)
    before_minimums = market_requirement + float(liquidity.sum() + owner.sum() + owner_basis.sum()) + basis.total + wrong_way.total
    by_group = group_minimums(exposures, arrays, market, rates)
    for_options, for_rate = by_group.shortfalls(market_share + liquidity + basis.by_group)
    floor, schedule_weight = schedule_floor(arrays, market, split.market_value, rates)
    group_level = before_minimums + float(for_options.sum() + for_rate.sum())
    for_floor = max(0.0, floor - group_level)
    lines = (
        ChargeLine(LIQUIDITY, float(liquidity.sum())),
        ChargeLine(OWNER_LIQUIDITY, float(owner.sum())),
        ChargeLine(BASIS, basis.total),
        ChargeLine(OWNER_BASIS, float(owner_basis.sum())),
        ChargeLine(WRONG_WAY, wrong_way.total),
        ChargeLine(SHORT_OPTION_MINIMUM, float(for_options.sum())),
        ChargeLine(GROUP_MINIMUM, float(for_rate.sum())),
        ChargeLine(SCHEDULE_FLOOR, for_floor),
    )
    contribution = _signed_share(spread, exposures) + exposures.share(owner) + basis.contribution + wrong_way.contribution
    contribution += owner_basis + by_group.share_short_options(for_options) + exposures.share(for_rate)
    contribution += for_floor * _pro_rata(1.0, schedule_weight)
    minimums = max(group_level, floor)
    return AccountCharges(
        liquidity=liquidity,
        basis=basis,
        wrong_way=wrong_way,
        minimums=minimums,
        lines=lines,
        maintenance_margin=max(before_minimums, minimums),
        contribution=contribution,
        scale=exposures.scale,
    )


def liquidity_stretch(exposures: Exposures, market: RevaluedMarket, rates: ChargeRates) -> ByGroup:
    """Return [U] the share of its own tail mean that each touched group is charged for the time a close-out takes."""
    groups = [rates.groups[market.groups[group]] for group in exposures.groups.tolist()]
    return horizon_stretch(
        exposures.net,
        average_daily_volume=np.array([group.average_daily_volume for group in groups]),
        mpor_days=np.array([group.mpor_days for group in groups]),
        base_days=rates.base_days,
        participation_fraction=rates.participation_fraction,
    )


def _spread(exposures: Exposures, market: RevaluedMarket, rates: ChargeRates) -> ByGroup:
    fraction = np.array([rates.groups[market.groups[group]].spread_fraction for group in exposures.groups.tolist()])
    return spread_cost(exposures.net, spread_fraction=fraction, spread_multiple=rates.spread_multiple)


def _owner_liquidity(exposures: Exposures, arrays: PortfolioArrays, market: RevaluedMarket) -> ByGroup:
    """Return [U] the account's part of what its owner is charged beyond the charges of the accounts; nothing where it has no exposure."""
    added = np.array([arrays.owner_liquidity.get(market.groups[group], 0.0) for group in exposures.groups.tolist()])
    has_exposure = np.abs(exposures.by_holding).sum(axis=1) > 0.0
    owner: ByGroup = np.where(has_exposure, added, 0.0)
    return owner


def _owner_basis(basis: BasisCharge, arrays: PortfolioArrays) -> ByHolding:
    """Return [H] the account's part of what its owner is charged beyond the tiers of the accounts; nothing where it has nothing matched."""
    return _pro_rata(arrays.owner_basis, basis.tiered_contribution)


def _pro_rata(amount: float, weight: ByGroup) -> ByGroup:
    total = weight.sum()
    return amount * weight / total if total > 0 else np.zeros_like(weight)


def _signed_share(spread: ByGroup, exposures: Exposures) -> ByHolding:
    """Return [H] the spread cost by holding: it follows the net exposure, so a holding on the smaller side takes off."""
    net = exposures.net
    per_exposure = np.divide(spread, net, out=np.zeros_like(spread), where=net != 0)
    return per_exposure @ exposures.by_holding
