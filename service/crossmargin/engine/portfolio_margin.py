"""Margin of one account: holdings and a revalued market in, a margin result out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.margin import EquityBridge, GapLoss, MarginResult, MarginStamp, RequirementBridge
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.attribution import worst_scenarios
from crossmargin.engine.axes import ByClass, ByGroup, ByHolding, ByRow
from crossmargin.engine.charges import AccountCharges, ChargeLine, Exposures, charge_contributions
from crossmargin.engine.collateral_search import best_required
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.gap_loss import gap_loss
from crossmargin.engine.margin_bridges import (
    band_of,
    charge_lines,
    contribution_lines,
    equity_bridge,
    group_lines,
    requirement_bridge,
    utilization_of,
)
from crossmargin.engine.netting import NettedPnl, gross_requirement
from crossmargin.engine.portfolio_arrays import (
    HaircutSchedule,
    MarginRates,
    PortfolioArrays,
    haircut_rates,
    margin_rates,
    portfolio_arrays,
)
from crossmargin.engine.required_margin import RequiredMargin, tail_contributions
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class MarginFigures:
    """Everything a margin result rests on, unrounded. Base currency, float64.

    Attributes:
        split: What each holding adds to equity; `split.equity` is the account's equity.
        netted: Profits by touched group (axis U), touched class (axis A) and in total.
        gross: Tail means of every holding in every group alone, added up.
        group_requirement: [U] E_u. class_requirement: [A] E_a. account_requirement: E of the whole account.
        market_requirement: (1 - rho1) sum E_u + (rho1 - rho2) sum E_a + rho2 E.
        exposures: What the account is long or short of each touched group.
        charges: What is added to the market requirement; `charges.maintenance_margin` is the account's.
        initial_only: What only new risk has to cover.
        contribution: [H] contributions to the maintenance margin: Euler's of the tail means, and each charge by its own rule. They
            add up to it. Empty unless the figures are explained.
    """

    split: CollateralSplit
    netted: NettedPnl
    gross: float
    group_requirement: ByGroup
    class_requirement: ByClass
    account_requirement: float
    market_requirement: float
    exposures: Exposures
    charges: AccountCharges
    initial_only: tuple[ChargeLine, ...]
    contribution: ByHolding

    def statement(self, rates: MarginRates, parameters: RiskParameters) -> RequirementBridge:
        """Return the requirement rounded, line by line."""
        return statement_of(
            np.concatenate((self.group_requirement, self.class_requirement, [self.account_requirement])),
            len(self.group_requirement),
            self.charges,
            rates,
            parameters,
            gross=self.gross,
            market_requirement=self.market_requirement,
            initial_only=self.initial_only,
            value_scale=self.split.gross_scale,
        )

    def excess(self, rates: MarginRates) -> float:
        """Return equity less initial margin."""
        initial_only = sum(line.amount for line in self.initial_only)
        return self.split.equity - rates.initial_margin_multiple * self.charges.maintenance_margin - initial_only


def compute_margin(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, *, is_explained: bool = True) -> MarginResult:
    """Return the margin of one account at one market.

    The same inputs give the same result, bit for bit. Money is rounded to the cent against the client: requirements up, values down.
    What is not explained has no groups, contributions and worst scenarios, and is the same figures otherwise: whoever decides on an order
    or asks what one would do needs no more, and most of the time goes into explaining.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    arrays = portfolio_arrays(portfolio, market, parameters.default_policy)
    rates = margin_rates(parameters, portfolio.mode)
    figures = margin_figures(arrays, market, rates, haircut_rates(parameters), is_explained=is_explained)
    netted, requirement = figures.netted, figures.statement(rates, parameters)
    result = margin_result(
        portfolio,
        market,
        parameters,
        equity=equity_bridge(figures.split, arrays, market, rates.charges),
        requirement=requirement,
        gap=_gap(figures, market) if portfolio.mode is AccountMode.ISOLATED else None,
    )
    if not is_explained:
        return result
    return replace(
        result,
        groups=group_lines(netted.groups, figures.group_requirement, market, scale=figures.gross),
        contributions=contribution_lines(arrays, figures.contribution, requirement.maintenance_margin),
        worst_scenarios=worst_scenarios(netted.account_pnl, market.scenarios, scale=figures.gross),
    )


def margin_result(
    portfolio: Portfolio,
    market: RevaluedMarket,
    parameters: RiskParameters,
    *,
    equity: EquityBridge,
    requirement: RequirementBridge,
    gap: GapLoss | None,
) -> MarginResult:
    """Return the margin that two bridges make, without what explains it."""
    utilization = utilization_of(requirement.maintenance_margin, equity.equity)
    return MarginResult(
        stamp=stamp_of(portfolio, market, parameters),
        equity=equity,
        requirement=requirement,
        utilization=utilization,
        band=band_of(utilization, parameters.bands),
        groups=(),
        contributions=(),
        worst_scenarios=(),
        gap=gap,
    )


def statement_of(
    requirement: ByRow,
    group_count: int,
    charges: AccountCharges,
    rates: MarginRates,
    parameters: RiskParameters,
    *,
    gross: float,
    market_requirement: float,
    initial_only: tuple[ChargeLine, ...],
    value_scale: float,
) -> RequirementBridge:
    """Return the way from gross to the requirement, rounded.

    Args:
        requirement: [R] tail means of groups, classes and the account.
        group_count: How many of them are groups.
        charges: On top.
        rates: Of the account's mode.
        parameters: What they are from.
        gross: Tail means of every holding in every group alone.
        market_requirement: Before charges.
        initial_only: What only new risk has to cover.
        value_scale: Sum of the absolute amounts behind the market values.
    """
    return requirement_bridge(
        gross=gross,
        group_total=float(requirement[:group_count].sum()),
        class_total=float(requirement[group_count:-1].sum()),
        account=float(requirement[-1]),
        market_requirement=market_requirement,
        rates=rates,
        initial_margin_multiple=parameters.initial_margin_multiple,
        charges=charge_lines(charges.lines, scale=gross + charges.scale),
        initial_only=charge_lines(initial_only, scale=value_scale),
    )


def margin_figures(
    arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates, schedule: HaircutSchedule, *, is_explained: bool = True
) -> MarginFigures:
    """Return the figures of one account before any rounding, with its collateral split as `best_required` does.

    Without contributions unless they are explained.

    Raises:
        FloatingPointError: When the market holds a profit that is not finite.
    """
    required = best_required(arrays, market, rates, schedule)
    netted, charges, group_count = required.netted, required.charges, len(required.netted.groups)
    requirement = required.requirement
    return MarginFigures(
        split=required.split,
        netted=netted,
        gross=float(gross_requirement(required.legs, market, rates.tail_fraction).sum()),
        group_requirement=requirement[:group_count],
        class_requirement=requirement[group_count:-1],
        account_requirement=float(requirement[-1]),
        market_requirement=required.market_requirement,
        exposures=required.exposures,
        charges=charges,
        initial_only=required.initial_only,
        contribution=_contributions(required, arrays, market, rates) if is_explained else np.empty(0),
    )


def _contributions(required: RequiredMargin, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> ByHolding:
    of_charges = charge_contributions(required.charges, required.exposures, arrays, market, rates.charges)
    return of_charges + tail_contributions(required, market, rates, holding_count=len(arrays.row))


def stamp_of(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginStamp:
    """Return what the margin of an account at a market depends on."""
    return MarginStamp(
        account=portfolio.account,
        sequence=portfolio.sequence,
        snapshot_id=market.snapshot_id,
        as_of=market.as_of,
        parameter_set_id=parameters.set_id,
        parameters_hash=parameters.content_hash,
        scenario_set_hash=market.scenarios.content_hash,
        engine_version=market.kernels.engine_version,
        methodology=portfolio.methodology,
        house_view_id=None if portfolio.house is NO_HOUSE else portfolio.house.view_id,
    )


def _gap(figures: MarginFigures, market: RevaluedMarket) -> GapLoss:
    scale = figures.split.gross_scale + figures.gross
    return gap_loss(figures.split.equity, figures.netted.account_pnl, market.scenarios, scale=scale)
