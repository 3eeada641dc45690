"""What one owner's accounts cost to close out together beyond what they cost one by one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import AccountRef, OffsetGroupId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.charges.liquidity import horizon_stretch, spread_cost
from crossmargin.engine.portfolio_arrays import (
    cents_to_decimal,
    charge_rates,
    haircut_rates,
    margin_rates,
    portfolio_arrays,
    requirement_to_cents,
)
from crossmargin.engine.portfolio_margin import MarginFigures, margin_figures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_mean

_LEAST: Final = 0.005
"""Base currency: half a cent. Less is noise of the sums, and not worth another view."""


def owner_liquidity(
    portfolios: list[Portfolio], market: RevaluedMarket, parameters: RiskParameters
) -> Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]]:
    """Return what each account of one owner is charged beyond its own liquidity charge, by offset group, in whole cents.

    The charge grows faster than the position, so the charge on the positions of all accounts together may be more than the charges of the
    accounts. In each group the difference, if there is any, is shared pro rata to the accounts' absolute exposures. So the accounts
    together are never charged less than one account with everything in it. Isolated accounts are among them: their collateral is apart,
    but they are sold into the same market. Every account is margined by itself, without any house view.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    figures = {portfolio.account: _figures(portfolio, market, parameters) for portfolio in portfolios}
    added: dict[AccountRef, dict[OffsetGroupId, Decimal]] = {}
    for group in np.unique(np.concatenate([each.netted.groups for each in figures.values()])).tolist():
        places = {
            account: int(np.searchsorted(each.netted.groups, group)) for account, each in figures.items() if group in each.netted.groups
        }
        if len(places) < 2:
            continue
        net = {account: float(figures[account].exposures.net[place]) for account, place in places.items()}
        profit = sum(figures[account].netted.group_pnl[place] for account, place in places.items())
        together = _charge(group, sum(net.values()), np.asarray(profit), market, parameters)
        excess = together - sum(float(figures[account].charges.liquidity[place]) for account, place in places.items())
        scale = sum(map(abs, net.values()))
        if excess < _LEAST or scale <= 0.0:
            continue
        for account, exposure in net.items():
            cents = requirement_to_cents(excess * abs(exposure) / scale, scale=scale)
            if cents > 0:
                added.setdefault(account, {})[market.groups[group]] = cents_to_decimal(cents)
    return added


def _figures(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginFigures:
    arrays = portfolio_arrays(portfolio, market, parameters.default_policy)
    return margin_figures(arrays, market, margin_rates(parameters, portfolio.mode), haircut_rates(parameters))


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
