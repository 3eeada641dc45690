"""Margin by the standard schedule: rates on the notional of everything at risk, relieved by the net-to-gross ratio."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import Methodology, methodology_unavailable
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.methodologies.requirement_figures import MarginedAccount, RequirementFigures, by_group
from crossmargin.engine.methodologies.standard_schedule import ScheduleMargin, posted_margin, schedule_rates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


def schedule_margin(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginResult:
    """Return the margin by the standard schedule (BCBS-IOSCO d475, Appendix A).

    The schedule is one of uncleared derivatives. Here it is asked of all that is at risk, coins and bonds too: what is held against a
    debt would otherwise need nothing. Only contracts have a replacement cost, so they alone make the net-to-gross ratio. What comes out
    is the maintenance margin, as in the schedule floor: an amount that must be there at all times.

    Raises:
        DomainError: METHODOLOGY_UNAVAILABLE for an asset class without rates.
    """
    account = MarginedAccount(portfolio, market, parameters)
    gross = _gross(account)
    margin = _margin(account, gross)
    return account.result(
        RequirementFigures(
            gross=margin.gross,
            after_groups=margin.gross,
            market_requirement=margin.initial_margin,
            groups=by_group(account, gross),
            contribution=_contribution(account, gross, margin),
        )
    )


def at_risk(account: MarginedAccount) -> ByHolding:
    """Return [H] the notional of what is in the scenarios, signed, base currency; base currency itself is none."""
    market, row = account.market, account.arrays.row
    has_group = market.instrument_group[row] >= 0
    notional: ByHolding = np.where(has_group, account.split.scenario_quantity * market.notional_unit[row], 0.0)
    return notional


def _gross(account: MarginedAccount) -> ByHolding:
    """Return [H] |notional| x rate."""
    market, row = account.market, account.arrays.row
    notional, rate = at_risk(account), np.zeros(len(row))
    places = np.flatnonzero(notional)
    classes = [market.classes[each] for each in market.group_class[market.instrument_group[row[places]]].tolist()]
    try:
        rate[places] = schedule_rates(classes, market.residual_years[row[places]], account.rates.charges.schedule)
    except DomainError as error:
        missing = f"rates of the standard schedule for {error.facts['asset_class']}"
        raise methodology_unavailable(Methodology.STANDARD_SCHEDULE, account.parameters.set_id, missing) from None
    return np.asarray(np.abs(notional) * rate)


def _margin(account: MarginedAccount, gross: ByHolding) -> ScheduleMargin:
    gross_fraction = account.rates.charges.schedule.gross_fraction
    return posted_margin(gross, np.ones_like(gross), _present_value(account), gross_fraction=gross_fraction)


def _present_value(account: MarginedAccount) -> ByHolding:
    """Return [H] what each contract is worth to the client; 0 for everything else."""
    value = np.zeros(len(account.arrays.row))
    value[account.split.contract] = account.split.market_value[account.split.contract]
    return value


def _contribution(account: MarginedAccount, gross: ByHolding, margin: ScheduleMargin) -> ByHolding:
    """Return [H] Euler contributions: the schedule is homogeneous of degree one in notionals and replacement costs together.

    A holding counts with its own gross margin, and with what it does to the net-to-gross ratio, which is nothing over all holdings.
    """
    gross_fraction = account.rates.charges.schedule.gross_fraction
    cost = -_present_value(account)
    gross_cost = np.maximum(cost, 0.0).sum()
    contribution: ByHolding = gross * (gross_fraction + (1.0 - gross_fraction) * margin.net_to_gross_ratio)
    if gross_cost > 0 and margin.net_to_gross_ratio > 0:
        tilt = (cost - margin.net_to_gross_ratio * np.maximum(cost, 0.0)) / gross_cost
        contribution = contribution + (1.0 - gross_fraction) * margin.gross * tilt
    return contribution
