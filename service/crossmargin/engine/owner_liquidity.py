"""What one owner's accounts cost to close out together beyond what they cost one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import AccountRef, OffsetGroupId
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByGroup, ByGroupScenario, ByScenario, Index
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.portfolio_arrays import cents_to_decimal, charge_rates, margin_rates, requirement_to_cents
from crossmargin.engine.portfolio_margin import MarginFigures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_mean

_LEAST: Final = 0.005
"""Base currency: half a cent. Less is noise of the sums, and not worth another view."""


@dataclass(frozen=True, slots=True, eq=False)
class LiquidityPart:
    """What one account, margined by itself without any house view, brings into its owner's charge. Axis U are the groups it touches.

    Attributes:
        groups: [U] rows among the market's groups, ascending. profit: [U, S]. net: [U] net exposure, signed.
        charge: [U] its own liquidity charge. All in base currency.
    """

    groups: Index
    profit: ByGroupScenario
    net: ByGroup
    charge: ByGroup


def liquidity_part(figures: MarginFigures) -> LiquidityPart:
    """Return what an account of these figures brings in."""
    return LiquidityPart(figures.netted.groups, figures.netted.group_pnl, figures.exposures.net, figures.charges.liquidity)


class OwnerLiquidity:
    """Adds up the accounts of one owner, and keeps of their profits nothing but the sums: an owner may have ten thousand accounts.

    The charge grows faster than the position, so the charge on the positions of several accounts together may be more than the charges of
    the accounts. In each group the difference, if there is any, is shared pro rata to the accounts' absolute exposures: first among the
    cross accounts, as if there were no isolated ones, then what the isolated ones add to that among themselves. So the accounts together
    are never charged less than one account with everything in it, and no isolated account ever changes a cross account.
    """

    def __init__(self, market: RevaluedMarket) -> None:
        self._market = market
        self._profit: ByGroupScenario = np.zeros((len(market.groups), market.leg_pnl.shape[1]))
        self._cross_profit = self._profit
        self._own: defaultdict[int, dict[AccountRef, _Own]] = defaultdict(dict)
        self._isolated: set[AccountRef] = set()

    def add(self, account: AccountRef, part: LiquidityPart, *, is_isolated: bool) -> None:
        """Add an account; in the order of their names, because what they have together is a sum of floats."""
        if is_isolated and not self._isolated:
            # Until then both are the same sum.
            self._cross_profit = self._profit.copy()
        if is_isolated:
            self._isolated.add(account)
        elif self._isolated:
            self._cross_profit[part.groups] += part.profit
        self._profit[part.groups] += part.profit
        for group, net, charge in zip(part.groups.tolist(), part.net.tolist(), part.charge.tolist(), strict=True):
            self._own[group][account] = _Own(net, charge)

    def added(self, parameters: RiskParameters) -> Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]]:
        """Return what each account is charged beyond its own liquidity charge, by offset group, in whole cents."""
        added: dict[AccountRef, dict[OffsetGroupId, Decimal]] = {}
        for group in sorted(self._own):
            own = self._own[group]
            cross = {account: each for account, each in own.items() if account not in self._isolated}
            charged = self._excess(group, cross, self._cross_profit, parameters)
            rest = self._excess(group, own, self._profit, parameters) - charged if self._isolated else 0.0
            buckets = {account: each for account, each in own.items() if account in self._isolated}
            for account, cents in (_shared(charged, cross) | _shared(rest, buckets)).items():
                added.setdefault(account, {})[self._market.groups[group]] = cents_to_decimal(cents)
        return added

    def _excess(self, group: int, own: Mapping[AccountRef, _Own], profit: ByGroupScenario, parameters: RiskParameters) -> float:
        """Return by how much the charge on some accounts together exceeds the charges of the accounts; zero when it does not."""
        if len(own) < 2:
            return 0.0
        together = _charge(group, sum(each.net for each in own.values()), profit[group], self._market, parameters)
        return max(0.0, together - sum(each.charge for each in own.values()))


class _Own(NamedTuple):
    """What one account has in an offset group: net exposure, and its own liquidity charge. Base currency."""

    net: float
    charge: float


def _shared(excess: float, own: Mapping[AccountRef, _Own]) -> dict[AccountRef, int]:
    """Return the cents that each account bears, pro rata to absolute exposure; none when nothing is worth another view."""
    scale = sum(abs(each.net) for each in own.values())
    if excess < _LEAST or scale <= 0.0:
        return {}
    cents = {account: requirement_to_cents(excess * abs(each.net) / scale, scale=scale) for account, each in own.items()}
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
