"""All charges of one account, line by line, and the maintenance margin they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.engine.axes import ByGroup, ByHolding
from crossmargin.engine.charges.basis import BasisCharge, basis_charge, tiered_contributions
from crossmargin.engine.charges.charged_groups import ChargedGroups
from crossmargin.engine.charges.exposures import Exposures
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.charges.market_rates import market_rates
from crossmargin.engine.charges.minimums import group_minimums, schedule_weights, share_short_options, short_notional
from crossmargin.engine.charges.wrong_way import WrongWayCharge, wrong_way_charge, wrong_way_contributions
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
class OutsideGroups:
    """What charges rest on beside the groups. Base currency.

    Attributes:
        haircut_taken: [J] what haircuts take of each joint shock. schedule_floor: Least maintenance margin by the standard schedule.
        owner_liquidity: What the owner's liquidity charge adds to the account, by offset group. owner_basis: What the owner's tiers of
            the basis charge add to it.
    """

    haircut_taken: ByGroup
    schedule_floor: float
    owner_liquidity: Mapping[OffsetGroupId, float]
    owner_basis: float


@dataclass(frozen=True, slots=True, eq=False)
class AccountCharges:
    """Charges of one account. Base currency; U runs over the touched groups.

    Attributes:
        stretch: [U] share of its own tail mean that each group is charged for the time a close-out takes. spread: [U] half the spread.
        liquidity: [U] both together. owner: [U] what the owner's liquidity charge adds. owner_basis: What the owner's tiers add.
        basis, wrong_way: With their parts.
        for_options, for_rate: [U] what the groups lack to their minimums. for_floor: What the account lacks to the standard schedule's.
        minimums: What the maintenance margin may not fall below.
        lines: What each charge adds to the market requirement; a minimum adds what is lacking.
        maintenance_margin: max(market + liquidity + basis + wrong_way, minimums), the owner's parts included.
        scale: Sum of the absolute amounts behind the charges: the scale of their float noise.
    """

    stretch: ByGroup
    spread: ByGroup
    liquidity: ByGroup
    owner: ByGroup
    owner_basis: float
    basis: BasisCharge
    wrong_way: WrongWayCharge
    for_options: ByGroup
    for_rate: ByGroup
    for_floor: float
    minimums: float
    lines: tuple[ChargeLine, ...]
    maintenance_margin: float
    scale: float


def account_charges(
    charged: ChargedGroups,
    outside: OutsideGroups,
    market: RevaluedMarket,
    rates: ChargeRates,
    *,
    group_requirement: ByGroup,
    market_requirement: float,
) -> AccountCharges:
    """Return the charges of an account on top of its market requirement.

    A group's minimum stands against the rest of the requirement of that group: its share of the market requirement, which is pro rata
    to its tail mean `group_requirement` [U], its liquidity charge and its basis charge. What the rest lacks is added.
    """
    groups = charged.groups
    spread, stretch = _spread(charged, market, rates), _stretch(charged, market, rates)
    liquidity = spread + stretch * group_requirement
    market_share = _pro_rata(market_requirement, group_requirement)
    owner = _owner_liquidity(charged, outside, market)
    basis = basis_charge(charged.matched, groups, market, rates)
    wrong_way = wrong_way_charge(
        charged.joint, market, rates, groups=groups, market_share=market_share, haircut_taken=outside.haircut_taken
    )
    owner_basis = outside.owner_basis if basis.has_tiers else 0.0
    before_minimums = market_requirement + float(liquidity.sum() + owner.sum()) + owner_basis + basis.total + wrong_way.total
    by_group = group_minimums(groups, net=charged.net, short_notional=charged.short_notional, market=market, rates=rates)
    for_options, for_rate = by_group.shortfalls(market_share + liquidity + basis.by_group)
    group_level = before_minimums + float(for_options.sum() + for_rate.sum())
    for_floor = max(0.0, outside.schedule_floor - group_level)
    lines = (
        ChargeLine(LIQUIDITY, float(liquidity.sum())),
        ChargeLine(OWNER_LIQUIDITY, float(owner.sum())),
        ChargeLine(BASIS, basis.total),
        ChargeLine(OWNER_BASIS, owner_basis),
        ChargeLine(WRONG_WAY, wrong_way.total),
        ChargeLine(SHORT_OPTION_MINIMUM, float(for_options.sum())),
        ChargeLine(GROUP_MINIMUM, float(for_rate.sum())),
        ChargeLine(SCHEDULE_FLOOR, for_floor),
    )
    minimums = max(group_level, outside.schedule_floor)
    return AccountCharges(
        stretch=stretch,
        spread=spread,
        liquidity=liquidity,
        owner=owner,
        owner_basis=owner_basis,
        basis=basis,
        wrong_way=wrong_way,
        for_options=for_options,
        for_rate=for_rate,
        for_floor=for_floor,
        minimums=minimums,
        lines=lines,
        maintenance_margin=max(before_minimums, minimums),
        scale=float(charged.gross.sum()),
    )


def charge_contributions(
    charges: AccountCharges, exposures: Exposures, arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates
) -> ByHolding:
    """Return [H] what the charges add to the holdings' contributions.

    But for the stretched horizon of the liquidity charge, which is part of the tail mean's own contributions.
    """
    tiered = tiered_contributions(charges.basis, exposures, arrays.row, market, rates)
    contribution = _signed_share(charges.spread, exposures) + exposures.share(charges.owner)
    contribution += exposures.share(charges.basis.carry) + tiered
    contribution += wrong_way_contributions(charges.wrong_way, arrays, market)
    contribution += _pro_rata(charges.owner_basis, tiered)
    notional = short_notional(exposures, arrays.row, arrays.quantity, market)
    contribution += share_short_options(charges.for_options, exposures, notional) + exposures.share(charges.for_rate)
    contribution += charges.for_floor * _pro_rata(1.0, schedule_weights(arrays.row, arrays.quantity, market, rates))
    return contribution


def _stretch(charged: ChargedGroups, market: RevaluedMarket, rates: ChargeRates) -> ByGroup:
    """Return [U] the share of its own tail mean that each touched group is charged for the time a close-out takes."""
    by_market = market_rates(market, rates)
    return horizon_stretch(
        charged.net,
        average_daily_volume=by_market.average_daily_volume[charged.groups],
        mpor_days=by_market.mpor_days[charged.groups],
        base_days=rates.base_days,
        participation_fraction=rates.participation_fraction,
    )


def _spread(charged: ChargedGroups, market: RevaluedMarket, rates: ChargeRates) -> ByGroup:
    fraction = market_rates(market, rates).spread_fraction[charged.groups]
    return spread_cost(charged.net, spread_fraction=fraction, spread_multiple=rates.spread_multiple)


def _owner_liquidity(charged: ChargedGroups, outside: OutsideGroups, market: RevaluedMarket) -> ByGroup:
    """Return [U] the account's part of what its owner is charged beyond the charges of the accounts; nothing where it has no exposure."""
    if not outside.owner_liquidity:
        return np.zeros(len(charged.groups))
    added = np.array([outside.owner_liquidity.get(market.groups[group], 0.0) for group in charged.groups.tolist()])
    owner: ByGroup = np.where(charged.gross > 0.0, added, 0.0)
    return owner


def _pro_rata(amount: float, weight: ByGroup) -> ByGroup:
    total = weight.sum()
    return amount * weight / total if total > 0 else np.zeros_like(weight)


def _signed_share(spread: ByGroup, exposures: Exposures) -> ByHolding:
    """Return [H] the spread cost by holding: it follows the net exposure, so a holding on the smaller side takes off."""
    net = exposures.net
    per_exposure = np.divide(spread, net, out=np.zeros_like(spread), where=net != 0)
    return per_exposure @ exposures.by_holding
