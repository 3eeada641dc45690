"""Margin of one account: holdings and a revalued market in, a margin result out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.margin import GapLoss, MarginResult, MarginStamp
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.attribution import worst_scenarios
from crossmargin.engine.axes import ByClass, ByGroup, ByHolding
from crossmargin.engine.charges import AccountCharges, ChargeLine, Exposures
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
    equity = equity_bridge(figures.split, arrays, market, rates.charges)
    requirement = requirement_bridge(
        gross=figures.gross,
        group_total=float(figures.group_requirement.sum()),
        class_total=float(figures.class_requirement.sum()),
        account=figures.account_requirement,
        market_requirement=figures.market_requirement,
        rates=rates,
        initial_margin_multiple=parameters.initial_margin_multiple,
        charges=charge_lines(figures.charges.lines, scale=figures.gross + figures.charges.scale),
        initial_only=charge_lines(figures.initial_only, scale=float(figures.split.gross_value.sum())),
    )
    utilization = utilization_of(requirement.maintenance_margin, equity.equity)
    return MarginResult(
        stamp=stamp_of(portfolio, market, parameters),
        equity=equity,
        requirement=requirement,
        utilization=utilization,
        band=band_of(utilization, parameters.bands),
        groups=group_lines(figures.netted.groups, figures.group_requirement, market, scale=figures.gross) if is_explained else (),
        contributions=contribution_lines(arrays, figures.contribution, requirement.maintenance_margin) if is_explained else (),
        worst_scenarios=worst_scenarios(figures.netted.account_pnl, market.scenarios, scale=figures.gross) if is_explained else (),
        gap=None if portfolio.mode is AccountMode.CROSS else _gap(figures, market),
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
        gross=gross_requirement(required.legs, market, rates.tail_fraction),
        group_requirement=requirement[:group_count],
        class_requirement=requirement[group_count:-1],
        account_requirement=float(requirement[-1]),
        market_requirement=required.market_requirement,
        exposures=required.exposures,
        charges=charges,
        initial_only=required.initial_only,
        contribution=_contributions(required, len(arrays.row), market, rates) if is_explained else np.empty(0),
    )


def _contributions(required: RequiredMargin, holding_count: int, market: RevaluedMarket, rates: MarginRates) -> ByHolding:
    return required.charges.contribution + tail_contributions(required, market, rates, holding_count=holding_count)


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
    scale = float(figures.split.gross_value.sum()) + figures.gross
    return gap_loss(figures.split.equity, figures.netted.account_pnl, market.scenarios, scale=scale)
