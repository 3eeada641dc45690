"""What one owner's accounts cost to close out together beyond what they cost one by one."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import AccountRef, OffsetGroupId
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.portfolio_arrays import cents_to_decimal, charge_rates, margin_rates, requirement_to_cents
from crossmargin.engine.portfolio_margin import MarginFigures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_mean

_LEAST: Final = 0.005
"""Base currency: half a cent. Less is noise of the sums, and not worth another view."""


def owner_liquidity(
    figures: Mapping[AccountRef, MarginFigures], isolated: AbstractSet[AccountRef], market: RevaluedMarket, parameters: RiskParameters
) -> Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]]:
    """Return what each account of one owner is charged beyond its own liquidity charge, by offset group, in whole cents.

    The charge grows faster than the position, so the charge on the positions of several accounts together may be more than the charges of
    the accounts. In each group the difference, if there is any, is shared pro rata to the accounts' absolute exposures: first among the
    cross accounts, as if there were no isolated ones, then what the isolated ones add to that among themselves. So the accounts together
    are never charged less than one account with everything in it, and no isolated account ever changes a cross account.
    `figures` are those of each account, margined by itself without any house view; `isolated` are the accounts that are.
    """
    added: dict[AccountRef, dict[OffsetGroupId, Decimal]] = {}
    for group in np.unique(np.concatenate([each.netted.groups for each in figures.values()])).tolist():
        parts = {account: _part(each, group) for account, each in figures.items() if group in each.netted.groups}
        cross = {account: part for account, part in parts.items() if account not in isolated}
        charged = _excess(group, cross, market, parameters)
        rest = _excess(group, parts, market, parameters) - charged
        buckets = {account: part for account, part in parts.items() if account in isolated}
        for account, cents in (_shared(charged, cross) | _shared(rest, buckets)).items():
            added.setdefault(account, {})[market.groups[group]] = cents_to_decimal(cents)
    return added


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one account has in an offset group: [S] profit, net exposure, and its own liquidity charge. Base currency."""

    profit: ByScenario
    net: float
    charge: float


def _part(figures: MarginFigures, group: int) -> _Part:
    place = int(np.searchsorted(figures.netted.groups, group))
    return _Part(figures.netted.group_pnl[place], float(figures.exposures.net[place]), float(figures.charges.liquidity[place]))


def _excess(group: int, parts: Mapping[AccountRef, _Part], market: RevaluedMarket, parameters: RiskParameters) -> float:
    """Return by how much the charge on all parts together exceeds the charges of the parts; zero when it does not."""
    if len(parts) < 2:
        return 0.0
    profit = sum(part.profit for part in parts.values())
    together = _charge(group, sum(part.net for part in parts.values()), np.asarray(profit), market, parameters)
    return max(0.0, together - sum(part.charge for part in parts.values()))


def _shared(excess: float, parts: Mapping[AccountRef, _Part]) -> dict[AccountRef, int]:
    """Return the cents that each account bears, pro rata to absolute exposure; none when nothing is worth another view."""
    scale = sum(abs(part.net) for part in parts.values())
    if excess < _LEAST or scale <= 0.0:
        return {}
    cents = {account: requirement_to_cents(excess * abs(part.net) / scale, scale=scale) for account, part in parts.items()}
    return {account: amount for account, amount in cents.items() if amount > 0}


def _charge(group: int, net: float, profit: ByScenario, market: RevaluedMarket, parameters: RiskParameters) -> float:
    """Return the liquidity charge of a group on the profits and the net exposure of several accounts."""
    rates = charge_rates(parameters)
    row = rates.groups[market.groups[group]]
    requirement = tail_mean(profit, market.scenarios.weights, margin_rates(parameters, AccountMode.CROSS).tail_fraction)
    stretch = horizon_stretch(
        np.array([net]),
        average_daily_volume=np.array([row.average_daily_volume]),
        mpor_days=np.array([row.mpor_days]),
        base_days=rates.base_days,
        participation_fraction=rates.participation_fraction,
    )
    spread = spread_cost(np.array([net]), spread_fraction=np.array([row.spread_fraction]), spread_multiple=rates.spread_multiple)
    return float(spread[0] + stretch[0] * requirement)
