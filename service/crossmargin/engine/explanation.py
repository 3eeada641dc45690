"""What a margin result says beyond the number: everything that is worked out only when somebody asks."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.explanation import MarginExplanation
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor
from crossmargin.engine.diversification import diversification, diversification_of_result, isolation_advice
from crossmargin.engine.large_factors import block_effects, directional_concentrations, factor_blocks, large_blocks
from crossmargin.engine.liquidation_distance import liquidation_distance, worst_direction
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.methodologies.grid_margin import GRID_MARGINS, worst_move
from crossmargin.engine.methodologies.moved_methodology import MovedMethodology
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
    if portfolio.methodology is not Methodology.EXPECTED_SHORTFALL:
        return _explain_other(portfolio, snapshot, market, parameters)
    margin = compute_margin(portfolio, market, parameters)
    arrays, rates = portfolio_arrays(portfolio, market, parameters.default_policy), margin_rates(parameters, portfolio.mode)
    figures = margin_figures(arrays, market, rates, haircut_rates(parameters))
    account = MovedAccount(portfolio, snapshot, market, parameters)
    held = required_factors(account.instruments, snapshot)
    effects = block_effects(account, factor_blocks(sorted(held), market.scenarios, parameters))
    blocks = large_blocks(effects)
    tail_move = average_tail_move(figures, market.scenarios, rates)
    groups = {market.groups[group] for group in figures.netted.groups.tolist()}
    block_days = block_days_of(groups, parameters)
    return MarginExplanation(
        margin=margin,
        distances=tuple(liquidation_distance(account, block) for block in blocks),
        worst_direction=worst_direction(account, tail_move, blocks) if figures.account_requirement > 0 else None,
        diversification=diversification(figures, market, rates),
        directions=directional_concentrations(effects, parameters),
        isolation_advice=isolation_advice(arrays, figures, market, rates, least_benefit=float(parameters.isolation_benefit_fraction)),
        interval=requirement_interval(figures, market.scenarios, rates, block_days=block_days, random=random),
        tail=tail_report(figures, market.scenarios, rates),
        scenarios=scenario_report(held, market.scenarios, block_days=block_days),
    )


def _explain_other(portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters) -> MarginExplanation:
    """Return the margin by another methodology and what can be said of it: it rests on no tail, so there is no interval of one."""
    margin = compute(portfolio, market, parameters)
    account = MovedMethodology(portfolio, snapshot, market, parameters)
    held = required_factors(account.instruments, snapshot)
    effects = block_effects(account, factor_blocks(sorted(held), market.scenarios, parameters))
    blocks = large_blocks(effects)
    direction = worst_move(portfolio, market, parameters) if portfolio.methodology in GRID_MARGINS else np.zeros(0)
    return MarginExplanation(
        margin=margin,
        distances=tuple(liquidation_distance(account, block) for block in blocks),
        worst_direction=worst_direction(account, direction, blocks) if direction.any() else None,
        diversification=diversification_of_result(margin),
        directions=directional_concentrations(effects, parameters),
        isolation_advice=(),
        interval=None,
        tail=None,
        scenarios=None,
    )


def average_tail_move(figures: MarginFigures, scenarios: ScenarioSet, rates: MarginRates) -> ByFactor:
    """Return [F] the mean shock of the account's tail, by weight: the direction in which it loses most."""
    in_tail = tail_weights(figures.netted.account_pnl, scenarios.weights, rates.tail_fraction)
    move: ByFactor = np.einsum("s,sf->f", in_tail / in_tail.sum(), scenarios.shocks)
    return move
