"""What a margin result says beyond the number: everything that is worked out only when somebody asks."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.explanation import MarginExplanation
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor
from crossmargin.engine.diversification import diversification, isolation_advice
from crossmargin.engine.large_factors import factor_blocks
from crossmargin.engine.liquidation_distance import large_blocks, liquidation_distance, worst_direction
from crossmargin.engine.moved_account import MovedAccount
from crossmargin.engine.portfolio_arrays import MarginRates, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import MarginFigures, compute_margin, margin_figures
from crossmargin.engine.revaluation import required_factors
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenario_diagnostics import block_days_of, requirement_interval, scenario_report, tail_report
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.tail_mean import tail_weights


def explain_margin(
    portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters, *, random: np.random.Generator
) -> MarginExplanation:
    """Return the margin of one account with what it says beyond the number; `snapshot` is the one that `market` was revalued from.

    `random` draws the bootstrap: the same generator state and inputs give the same bits.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    margin = compute_margin(portfolio, market, parameters)
    arrays, rates = portfolio_arrays(portfolio, market, parameters.default_policy), margin_rates(parameters, portfolio.mode)
    figures = margin_figures(arrays, market, rates, haircut_rates(parameters))
    account = MovedAccount(portfolio, snapshot, market, parameters)
    held = required_factors(account.instruments, snapshot)
    blocks = large_blocks(account, factor_blocks(sorted(held), market.scenarios, parameters))
    tail_move = average_tail_move(figures, market.scenarios, rates)
    groups = {market.groups[group] for group in figures.netted.groups.tolist()}
    block_days = block_days_of(groups, parameters)
    return MarginExplanation(
        margin=margin,
        distances=tuple(liquidation_distance(account, block) for block in blocks),
        worst_direction=worst_direction(account, tail_move, blocks) if figures.account_requirement > 0 else None,
        diversification=diversification(figures, market, rates),
        isolation_advice=isolation_advice(arrays, figures, market, rates, least_benefit=float(parameters.isolation_benefit_fraction)),
        interval=requirement_interval(figures, market.scenarios, rates, block_days=block_days, random=random),
        tail=tail_report(figures, market.scenarios, rates),
        scenarios=scenario_report(held, market.scenarios, block_days=block_days),
    )


def average_tail_move(figures: MarginFigures, scenarios: ScenarioSet, rates: MarginRates) -> ByFactor:
    """Return [F] the mean shock of the account's tail, by weight: the direction in which it loses most."""
    in_tail = tail_weights(figures.netted.account_pnl, scenarios.weights, rates.tail_fraction)
    move: ByFactor = np.einsum("s,sf->f", in_tail / in_tail.sum(), scenarios.shocks)
    return move
