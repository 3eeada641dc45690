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
    OutsideGroups,
    account_charges,
    charged_groups,
    depeg_charge,
    exposures_of,
)
from crossmargin.engine.charges.minimums import schedule_floor
from crossmargin.engine.charges.wrong_way import haircut_taken
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.netting import LegHoldings, NettedPnl, leg_holdings, netted_pnl, stacked
from crossmargin.engine.portfolio_arrays import MarginRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import Tails, tails_of


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
        tails: Of all rows. initial_only: What only new risk has to cover.
    """

    split: CollateralSplit
    legs: LegHoldings
    netted: NettedPnl
    tails: Tails
    market_requirement: float
    exposures: Exposures
    charges: AccountCharges
    initial_only: tuple[ChargeLine, ...]

    @property
    def requirement(self) -> ByRow:
        """[R] tail means."""
        means: ByRow = np.maximum(0.0, self.tails.losses)
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
    tails = tails_of(stacked(netted), market.scenarios.weights, rates.tail_fraction)
    exposures = exposures_of(legs, netted.groups, len(arrays.row), market)
    is_all = np.array_equal(split.scenario_quantity, arrays.quantity)
    all_legs = legs if is_all else leg_holdings(arrays, arrays.quantity, market)
    charged = charged_groups(exposures, all_legs, row=arrays.row, quantity=arrays.quantity, market=market, rates=rates.charges)
    outside = OutsideGroups(
        haircut_taken=haircut_taken(arrays, market, split, rates.charges),
        schedule_floor=schedule_floor(arrays.row, arrays.quantity, split.market_value, market, rates.charges),
        owner_liquidity=arrays.owner_liquidity,
        owner_basis=arrays.owner_basis,
    )
    requirement = np.maximum(0.0, tails.losses)
    market_requirement = market_requirement_of(requirement, rates, len(netted.groups), len(netted.classes))
    charges = account_charges(
        charged,
        outside,
        market,
        rates.charges,
        group_requirement=requirement[: len(netted.groups)],
        market_requirement=market_requirement,
    )
    initial_only = (ChargeLine(DEPEG, depeg_charge(arrays, market, split, rates.charges)),)
    return RequiredMargin(split, legs, netted, tails, market_requirement, exposures, charges, initial_only)


def market_requirement_of(requirement: ByRow, rates: MarginRates, group_count: int, class_count: int) -> float:
    """Return (1 - rho1) sum E_u + (rho1 - rho2) sum E_a + rho2 E from the tail means [R] of groups, classes and the account."""
    return float((level_weights(rates, group_count, class_count) * requirement).sum())


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
    levels[:group_count] += required.charges.stretch  # the stretched tail mean is attributed as the tail mean itself is
    tails = required.tails.weights(len(market.scenarios.weights)) / rates.tail_fraction
    marginal = tails * np.where(required.tails.losses > 0, levels, 0.0)[:, np.newaxis]
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
