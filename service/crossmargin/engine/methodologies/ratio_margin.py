"""Margin by fixed rates on notional, as exchanges ask for it by leverage: nothing offsets anything."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

import numpy as np

from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.charges import ChargeLine
from crossmargin.engine.methodologies.ratio import holding_margins
from crossmargin.engine.methodologies.requirement_figures import MarginedAccount, RequirementFigures, by_group
from crossmargin.engine.methodologies.schedule_margin import at_risk
from crossmargin.engine.portfolio_arrays import NotionalRate, notional_rates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

INITIAL_RATE: Final = "initial rate"


def fixed_rate_margin(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginResult:
    """Return the margin by the initial and maintenance fraction of each instrument's notional.

    A bought option needs no more than it is worth, which is all that can be lost on it. The initial margin is that of the rates, and no
    less than the multiple of the maintenance margin: what it exceeds that by is a line of its own, for new risk only.
    """
    account = MarginedAccount(portfolio, market, parameters)
    notional, most = at_risk(account), _most_at_stake(account)
    by_group_rates = notional_rates(parameters)
    rates = [_rate(account, holding, by_group_rates) for holding in range(len(notional))]
    initial = holding_margins(notional, np.array([rate.initial_fraction for rate in rates]), most)
    maintenance = holding_margins(notional, np.array([rate.maintenance_fraction for rate in rates]), most)
    total = float(maintenance.sum())
    beyond = float(initial.sum()) - float(parameters.initial_margin_multiple) * total
    return account.result(
        RequirementFigures(
            gross=total,
            after_groups=total,
            market_requirement=total,
            groups=by_group(account, maintenance),
            contribution=maintenance,
            initial_only=(ChargeLine(INITIAL_RATE, max(0.0, beyond)),),
        )
    )


def _rate(account: MarginedAccount, holding: int, rates: Mapping[OffsetGroupId, tuple[NotionalRate, ...]]) -> NotionalRate:
    """Return the rates of one holding; what has no maturity takes those of the shortest, and base currency needs nothing."""
    row = account.arrays.row[holding]
    group = int(account.market.instrument_group[row])
    if group < 0:
        return NotionalRate(inf, 0.0, 0.0)
    years = float(account.market.residual_years[row])
    return next(rate for rate in rates[account.market.groups[group]] if years <= rate.up_to_years)


def _most_at_stake(account: MarginedAccount) -> ByHolding:
    """Return [H] what a bought option is worth; without limit for everything else."""
    market, row = account.market, account.arrays.row
    is_bought = market.is_option[row] & (account.arrays.quantity > 0)
    most: ByHolding = np.where(is_bought, np.maximum(0.0, account.arrays.quantity * market.unit_value[row]), np.inf)
    return most
