"""Margin by a grid: the largest loss of each offset group over its points, added up; no offset between groups is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.instrument import Payoff
from crossmargin.domain.margin import MarginResult, WorstScenario
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.attribution import WORST_SCENARIO_COUNT
from crossmargin.engine.axes import ByFactor, ByGroup, ByGroupHolding, ByHolding
from crossmargin.engine.charges import ChargeLine, exposures_of
from crossmargin.engine.charges.account_charges import BASIS, SHORT_OPTION_MINIMUM
from crossmargin.engine.charges.basis import basis_charge, basis_contributions, basis_matched
from crossmargin.engine.charges.exposures import shared
from crossmargin.engine.charges.minimums import group_minimums, share_short_options, short_notional
from crossmargin.engine.methodologies.largest_loss import largest_losses
from crossmargin.engine.methodologies.market_grid import MarketGrid, RiskArrays, market_grid, risk_arrays_of, shocks_of
from crossmargin.engine.methodologies.requirement_figures import MarginedAccount, RequirementFigures
from crossmargin.engine.methodologies.tims_grid import contract_minimums
from crossmargin.engine.portfolio_arrays import (
    PortfolioArrays,
    cents_to_decimal,
    client_value_to_cents,
    fraction_to_decimal,
    tims_rates,
)
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

CONTRACT_MINIMUM: Final = "contract minimum"
ByGroupHoldingPoint: TypeAlias = NDArray[np.float64]
"""[U, H, P]"""


@dataclass(frozen=True, slots=True, eq=False)
class GridPnl:
    """Counted profits of one account on a grid, base currency: those at the extreme points in the share that counts.

    Attributes:
        groups: Axis U: the offset groups whose moves the account feels, by name.
        by_holding: [U, H, P] profits when that group alone moves; a contract's cost is a debt in its settlement asset.
    """

    groups: tuple[OffsetGroupId, ...]
    by_holding: ByGroupHoldingPoint

    @property
    def losses(self) -> ByGroup:
        """[U] the largest loss of each group, at least 0."""
        return largest_losses(self.by_holding.sum(axis=1))

    @property
    def gross(self) -> float:
        """The largest losses of every holding in every group alone, added up."""
        return float(largest_losses(self.by_holding).sum())

    @property
    def contribution(self) -> ByGroupHolding:
        """[U, H] what each holding loses where its group loses most: Euler's rule, for a largest loss is homogeneous of degree one."""
        pnl = self.by_holding.sum(axis=1)
        worst = pnl.argmin(axis=1)
        at_worst = 0.0 - self.by_holding[np.arange(len(self.groups)), :, worst]
        contribution: ByGroupHolding = np.where(self.losses[:, np.newaxis] > 0, at_worst, 0.0)
        return contribution


def span_margin(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, arrays: RiskArrays | None = None) -> MarginResult:
    """Return the margin by sixteen price and volatility scenarios of each offset group (CME SPAN).

    Beside the scan risks it takes what SPAN takes with them: a charge for offsets between what no scenario moves apart (here the basis
    charge) and the short-option minimum of each group. `arrays` are those of a moved market; None for the market itself.
    """
    account = MarginedAccount(portfolio, market, parameters)
    grid, pnl = _grid_pnl(account, Methodology.SPAN_GRID, arrays)
    scan_risk = pnl.losses
    row, quantity, rates = account.arrays.row, account.arrays.quantity, account.rates.charges
    exposures = exposures_of(account.legs, np.unique(market.leg_group[account.legs.leg]), len(row), market)
    basis = basis_charge(basis_matched(exposures, row, market, rates), exposures.groups, market, rates)
    short = short_notional(exposures, row, quantity, market)
    minimums = group_minimums(exposures.groups, net=exposures.net, short_notional=exposures.summed(short), market=market, rates=rates)
    risk_of = dict(zip(pnl.groups, scan_risk.tolist(), strict=True))
    rest = np.array([risk_of.get(market.groups[group], 0.0) for group in exposures.groups.tolist()]) + basis.by_group
    lacking, _ = replace(minimums, rate=np.zeros_like(minimums.rate)).shortfalls(rest)
    return account.result(
        RequirementFigures(
            gross=pnl.gross,
            after_groups=float(scan_risk.sum()),
            market_requirement=float(scan_risk.sum()),
            groups=risk_of,
            contribution=pnl.contribution.sum(axis=0)
            + basis_contributions(basis, exposures, row, market, rates)
            + share_short_options(lacking, exposures, short),
            charges=(ChargeLine(BASIS, basis.total), ChargeLine(SHORT_OPTION_MINIMUM, float(lacking.sum()))),
            worst=worst_points(pnl, grid),
            charge_scale=exposures.scale,
        )
    )


def tims_margin(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, arrays: RiskArrays | None = None) -> MarginResult:
    """Return the margin by ten price moves of each offset group (OCC TIMS, FINRA Rule 4210(g)), with the minimum of each contract."""
    account = MarginedAccount(portfolio, market, parameters)
    grid, pnl = _grid_pnl(account, Methodology.TIMS_GRID, arrays)
    losses = pnl.losses
    minimum = _contract_minimums(account, pnl.groups, tims_rates(parameters).contract_minimum)
    lacking = np.maximum(0.0, minimum.sum(axis=1) - losses)
    return account.result(
        RequirementFigures(
            gross=pnl.gross,
            after_groups=float(losses.sum()),
            market_requirement=float(losses.sum()),
            groups=dict(zip(pnl.groups, losses.tolist(), strict=True)),
            contribution=pnl.contribution.sum(axis=0) + shared(lacking, minimum),
            charges=(ChargeLine(CONTRACT_MINIMUM, float(lacking.sum())),),
            worst=worst_points(pnl, grid),
            charge_scale=float(minimum.sum()),
        )
    )


GRID_MARGINS: Final = {Methodology.SPAN_GRID: span_margin, Methodology.TIMS_GRID: tims_margin}


def worst_move(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> ByFactor:
    """Return [F] the move of every offset group to the point at which the account loses most by it: its worst direction on the grid."""
    account = MarginedAccount(portfolio, market, parameters)
    grid, pnl = _grid_pnl(account, portfolio.methodology, None)
    move = np.zeros(len(market.scenarios.factors))
    for group_id, points in zip(pnl.groups, pnl.by_holding.sum(axis=1), strict=True):
        if points.min() < 0:
            move += shocks_of(group_id, grid, market.scenarios, parameters)[points.argmin()]
    return move


def grid_pnl(arrays: PortfolioArrays, scenario_quantity: ByHolding, risk: RiskArrays, market: RevaluedMarket, grid: MarketGrid) -> GridPnl:
    """Return the counted profits of an account on a grid."""
    names = [instrument.instrument_id for instrument in arrays.instruments]
    settlements = [market.instruments[row].instrument_id for row in market.settlement_row[arrays.row].tolist()]
    held = [
        (holding, quantity, risk[name])
        for holding, (name, paid_in) in enumerate(zip(names, settlements, strict=True))
        for name, quantity in ((name, scenario_quantity[holding]), (paid_in, -arrays.cost[holding]))
        if quantity
    ]
    groups = tuple(sorted({group for _, _, array in held for group in array}))
    place = {group: row for row, group in enumerate(groups)}
    by_holding = np.zeros((len(groups), len(names), len(grid.names)))
    for holding, quantity, array in held:
        for group, pnl in array.items():
            by_holding[place[group], holding] += quantity * pnl
    return GridPnl(groups, by_holding * grid.counted)


def worst_points(pnl: GridPnl, grid: MarketGrid) -> tuple[WorstScenario, ...]:
    """Return the point at which each group loses most, the largest counted loss first, ten groups at most."""
    by_group = pnl.by_holding.sum(axis=1)
    scale = float(np.abs(pnl.by_holding).sum())
    order: Sequence[int] = np.argsort(by_group.min(axis=1, initial=0.0), kind="stable").tolist()
    worst = [(group, int(by_group[group].argmin())) for group in order if by_group[group].min() < 0]
    found = (
        WorstScenario(
            name=f"{pnl.groups[group]}: {grid.name_at(pnl.groups[group], point)}",
            is_stress=bool(grid.counted[point] < 1.0),
            weight=fraction_to_decimal(float(grid.counted[point])),
            pnl=_money(float(by_group[group, point]), scale),
        )
        for group, point in worst
    )
    # What is less than a cent, noise of what is hedged included, is no loss.
    return tuple(islice((each for each in found if each.pnl < 0), WORST_SCENARIO_COUNT))


def _grid_pnl(account: MarginedAccount, methodology: Methodology, arrays: RiskArrays | None) -> tuple[MarketGrid, GridPnl]:
    grid = market_grid(methodology, account.parameters)
    if arrays is None:
        rows = np.union1d(account.arrays.row, account.market.settlement_row[account.arrays.row]).tolist()
        names = [account.market.instruments[row].instrument_id for row in rows]
        arrays = risk_arrays_of(account.market, names, methodology, account.parameters)
    return grid, grid_pnl(account.arrays, account.split.scenario_quantity, arrays, account.market, grid)


def _contract_minimums(account: MarginedAccount, groups: Sequence[OffsetGroupId], contract_minimum: float) -> ByGroupHolding:
    """Return [U, H] the least requirement of each contract, in the group of what it is on; other groups hold none."""
    market, row = account.market, account.arrays.row
    units = account.arrays.quantity * _underlying_units(account)
    minimum = np.zeros((len(groups), len(row)))
    place = {group: number for number, group in enumerate(groups)}
    for holding in account.split.contract:
        group = market.instrument_group[row[holding]]
        if group >= 0 and market.groups[group] in place and units[holding]:
            one, unit, first = units[holding : holding + 1], np.ones(1), np.zeros(1, np.int64)
            (least,) = contract_minimums(one, unit, first, group_count=1, contract_minimum=contract_minimum)
            minimum[place[market.groups[group]], holding] = least
    return minimum


def _underlying_units(account: MarginedAccount) -> ByHolding:
    """Return [H] units of the underlying in one contract; 0 for what is no contract or has no multiplier.

    Forwards, swaps, options on currencies and contracts of cash flows are held in amounts of money and have none. The multiplier of an
    inverse contract is in money: its units are its notional in coins.
    """
    market, row = account.market, account.arrays.row
    multiplier = np.array([float(getattr(instrument.terms, "multiplier", 0)) for instrument in account.arrays.instruments])
    is_inverse = np.array([_is_inverse(instrument.terms) for instrument in account.arrays.instruments], dtype=np.bool_)
    in_coins = np.abs(market.notional_unit[row]) / market.settlement_price[row]
    units: ByHolding = np.where(is_inverse, in_coins, multiplier)
    return units


def _is_inverse(terms: object) -> bool:
    return getattr(terms, "payoff", None) is Payoff.INVERSE


def _money(amount: float, scale: float) -> Decimal:
    return cents_to_decimal(client_value_to_cents(amount, scale=scale))
