"""What every methodology beside the expected shortfall comes to, and the margin result that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.margin import GapLoss, GroupRequirement, MarginResult, WorstScenario
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.charges import DEPEG, ChargeLine, depeg_charge
from crossmargin.engine.collateral_search import best_split
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.gap_loss import gap_loss
from crossmargin.engine.margin_bridges import band_of, charge_lines, contribution_lines, equity_bridge, requirement_bridge, utilization_of
from crossmargin.engine.netting import LegHoldings, leg_holdings, netted_pnl
from crossmargin.engine.portfolio_arrays import (
    MarginRates,
    PortfolioArrays,
    cents_to_decimal,
    haircut_rates,
    margin_rates,
    portfolio_arrays,
    requirement_to_cents,
)
from crossmargin.engine.portfolio_margin import stamp_of
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class RequirementFigures:
    """A requirement before any rounding. Base currency.

    Attributes:
        gross: What every holding needs by itself, added up.
        after_groups: What is left after offsets inside groups; equal to `market_requirement` where nothing else is recognised.
        market_requirement: Before charges.
        groups: What each offset group needs, charges apart.
        contribution: [H] to the maintenance margin; they add up to it.
        charges: Added to the market requirement.
        initial_only: Added to the initial margin alone, beside what the collateral is charged.
        worst: Worst points of a grid; () where there is none.
        charge_scale: Sum of the absolute amounts behind the charges, for rounding.
    """

    gross: float
    after_groups: float
    market_requirement: float
    groups: Mapping[OffsetGroupId, float]
    contribution: ByHolding
    charges: tuple[ChargeLine, ...] = ()
    initial_only: tuple[ChargeLine, ...] = ()
    worst: tuple[WorstScenario, ...] = ()
    charge_scale: float = 0.0


@dataclass(frozen=True, eq=False)
class MarginedAccount:
    """One account at one market, with its collateral split as under every methodology."""

    portfolio: Portfolio
    market: RevaluedMarket
    parameters: RiskParameters
    arrays: PortfolioArrays = field(init=False)
    rates: MarginRates = field(init=False)
    split: CollateralSplit = field(init=False)

    def __post_init__(self) -> None:
        arrays = portfolio_arrays(self.portfolio, self.market, self.parameters.default_policy)
        rates = margin_rates(self.parameters, self.portfolio.mode)
        split = best_split(arrays, self.market, rates, haircut_rates(self.parameters))
        for name, value in (("arrays", arrays), ("rates", rates), ("split", split)):
            object.__setattr__(self, name, value)

    @cached_property
    def legs(self) -> LegHoldings:
        """The legs whose profits the account takes part in."""
        return leg_holdings(self.arrays, self.split.scenario_quantity, self.market)

    def result(self, figures: RequirementFigures) -> MarginResult:
        """Return the margin result that figures make, every line in whole cents against the client."""
        equity = equity_bridge(self.split, self.arrays, self.market, self.rates.charges)
        depeg = ChargeLine(DEPEG, depeg_charge(self.arrays, self.market, self.split, self.rates.charges))
        requirement = requirement_bridge(
            gross=figures.gross,
            group_total=figures.after_groups,
            class_total=figures.after_groups,
            account=figures.market_requirement,
            market_requirement=figures.market_requirement,
            # What a methodology recognises it recognises in full.
            rates=replace(self.rates, offset_within_class=1.0, offset_across_classes=1.0),
            initial_margin_multiple=self.parameters.initial_margin_multiple,
            charges=charge_lines(figures.charges, scale=figures.gross + figures.charge_scale),
            initial_only=charge_lines((*figures.initial_only, depeg), scale=float(self.split.gross_value.sum()) + figures.gross),
        )
        utilization = utilization_of(requirement.maintenance_margin, equity.equity)
        class_of = {group.group_id: group.asset_class for group in self.parameters.offset_groups}
        return MarginResult(
            stamp=stamp_of(self.portfolio, self.market, self.parameters),
            equity=equity,
            requirement=requirement,
            utilization=utilization,
            band=band_of(utilization, self.parameters.bands),
            groups=tuple(
                GroupRequirement(name, class_of[name], cents_to_decimal(requirement_to_cents(amount, scale=figures.gross)))
                for name, amount in sorted(figures.groups.items())
            ),
            contributions=contribution_lines(self.arrays, figures.contribution, requirement.maintenance_margin),
            worst_scenarios=figures.worst,
            gap=None if self.portfolio.mode is AccountMode.CROSS else self._gap(),
        )

    def _gap(self) -> GapLoss:
        pnl = netted_pnl(self.legs, self.market).account_pnl
        scale = float(self.split.gross_value.sum()) + float(np.abs(pnl).max(initial=0.0))
        return gap_loss(self.split.equity, pnl, self.market.scenarios, scale=scale)


def by_group(account: MarginedAccount, amount: ByHolding) -> dict[OffsetGroupId, float]:
    """Return amounts [H] added up by the group of what each holding is on; what is in none, such as base currency, is left out."""
    group = account.market.instrument_group[account.arrays.row]
    total = np.bincount(group[group >= 0], weights=amount[group >= 0], minlength=len(account.market.groups))
    return {account.market.groups[place]: float(total[place]) for place in np.unique(group[group >= 0]).tolist()}
