"""What a split of the collateral requires of an account: its profits in the scenarios, tail means and charges, before any rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.attribution import euler_contributions
from crossmargin.engine.axes import ByGroup, ByGroupScenario, ByHolding, ByRow, ByRowScenario
from crossmargin.engine.charges import (
    DEPEG,
    AccountCharges,
    ChargeLine,
    Exposures,
    account_charges,
    depeg_charge,
    exposures_of,
    liquidity_stretch,
)
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.netting import LegHoldings, NettedPnl, leg_holdings, netted_pnl, stacked
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_weights


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioProfits:
    """The account's collateral split, its legs in the scenarios and their netted profits."""

    split: CollateralSplit
    legs: LegHoldings
    netted: NettedPnl


@dataclass(frozen=True, slots=True, eq=False)
class RequiredMargin:
    """A requirement and what it is made of. Base currency; axis R holds groups, classes and the account.

    Attributes:
        tails: [R, S] weight of each scenario in each tail, over alpha. tail_losses: [R] before the floor at zero.
        stretch: [U] of the liquidity charge. initial_only: What only new risk has to cover.
    """

    split: CollateralSplit
    legs: LegHoldings
    netted: NettedPnl
    tails: ByRowScenario
    tail_losses: ByRow
    market_requirement: float
    exposures: Exposures
    stretch: ByGroup
    charges: AccountCharges
    initial_only: tuple[ChargeLine, ...]

    @property
    def requirement(self) -> ByRow:
        """[R] tail means."""
        means: ByRow = np.maximum(0.0, self.tail_losses)
        return means

    def excess(self, rates: MarginRates) -> float:
        """Return equity less initial margin."""
        initial_only = sum(line.amount for line in self.initial_only)
        return self.split.equity - rates.initial_margin_multiple * self.charges.maintenance_margin - initial_only


def required_of(split: CollateralSplit, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> RequiredMargin:
    """Return what one split of the collateral requires.

    Raises:
        FloatingPointError: When the market holds a profit that is not finite.
    """
    profits = profits_of(split, arrays, market)
    legs, netted = profits.legs, profits.netted
    pnl = stacked(netted)
    tails = tail_weights(pnl, market.scenarios.weights, rates.tail_fraction) / rates.tail_fraction
    tail_losses = -np.einsum("rs,rs->r", tails, pnl)
    requirement = np.maximum(0.0, tail_losses)
    market_requirement = float((level_weights(rates, len(netted.groups), len(netted.classes)) * requirement).sum())
    exposures = exposures_of(legs, netted.groups, arrays, market)
    stretch = liquidity_stretch(exposures, market, rates.charges)
    charges = account_charges(
        arrays,
        market,
        split,
        exposures,
        rates.charges,
        group_requirement=requirement[: len(netted.groups)],
        stretch=stretch,
        market_requirement=market_requirement,
    )
    initial_only = (ChargeLine(DEPEG, depeg_charge(arrays, market, split, rates.charges)),)
    return RequiredMargin(split, legs, netted, tails, tail_losses, market_requirement, exposures, stretch, charges, initial_only)


def profits_of(split: CollateralSplit, arrays: PortfolioArrays, market: RevaluedMarket) -> ScenarioProfits:
    """Return what the account gains or loses in every scenario under one split. Errors as `required_of`."""
    legs = leg_holdings(arrays, split.scenario_quantity, market)
    netted = netted_pnl(legs, market)
    if not np.isfinite(netted.account_pnl).all():
        raise FloatingPointError(f"profits of the account are not finite under market snapshot {market.snapshot_id}")
    return ScenarioProfits(split, legs, netted)


def tail_contributions(required: RequiredMargin, market: RevaluedMarket, rates: MarginRates, *, holding_count: int) -> ByHolding:
    """Return [H] what each holding adds to the market requirement and to the stretched tail means of the liquidity charge."""
    netted, group_count = required.netted, len(required.netted.groups)
    levels = level_weights(rates, group_count, len(netted.classes))
    levels[:group_count] += required.stretch  # the stretched tail mean is attributed as the tail mean itself is
    marginal = required.tails * np.where(required.tail_losses > 0, levels, 0.0)[:, np.newaxis]
    return euler_contributions(
        required.legs, market, groups=netted.groups, marginal_weight=_by_group(marginal, netted), holding_count=holding_count
    )


def level_weights(rates: MarginRates, group_count: int, class_count: int) -> ByGroup:
    """Return [R] the weight of each tail mean in the market requirement: groups, then classes, then the account."""
    return np.concatenate(
        (
            np.full(group_count, 1.0 - rates.offset_within_class),
            np.full(class_count, rates.offset_within_class - rates.offset_across_classes),
            [rates.offset_across_classes],
        )
    )


def _by_group(marginal: ByRowScenario, netted: NettedPnl) -> ByGroupScenario:
    """Return [U, S] what a loss of 1 in a group adds: through its own tail, its class's and the account's."""
    group_count = len(netted.groups)
    by_class = marginal[group_count:-1][netted.group_class]
    return np.asarray(marginal[:group_count] + by_class + marginal[-1])
