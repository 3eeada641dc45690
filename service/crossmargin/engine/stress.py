"""Accounts before and after a move of the market: always by full revaluation, never by sensitivities."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeVar

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.stress import (
    AccountStress,
    GroupProfit,
    PositionProfit,
    ScenarioOutcome,
    StressFailure,
    StressKind,
    StressStanding,
)
from crossmargin.engine.attribution import round_to_total
from crossmargin.engine.axes import ByFactor, ByLegHolding, ByMoveFactor
from crossmargin.engine.collateral_search import best_required, scenario_profits
from crossmargin.engine.margin_bridges import band_of, equity_in_cents, utilization_of
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.methodologies.grid_margin import GRID_MARGINS
from crossmargin.engine.methodologies.moved_methodology import MovedMethodology
from crossmargin.engine.moved_account import maintenance_in_cents, split_at_rest
from crossmargin.engine.moved_holdings import with_assets
from crossmargin.engine.netting import LegHoldings, leg_holdings
from crossmargin.engine.portfolio_arrays import (
    cents_to_decimal,
    client_value_to_cents,
    haircut_rates,
    margin_rates,
    portfolio_arrays,
)
from crossmargin.engine.revaluation import revalue_market, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import Departure, RevaluedMarket, part_of
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.stress_library import StressScenario
from crossmargin.engine.tail_mean import tail_means

Name = TypeVar("Name", InstrumentId, OffsetGroupId)
_KEPT_MARKETS: Final = 2
"""Moved markets that are kept at once: the one at work, and the next one where several workers cross from one to the other."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedAccount:
    """An account whose collateral is split as it is at rest, and how it stands there.

    Policy AUTO splits no collateral anew for a market that has already moved; the account is not worse off for it in truth, only here.
    """

    portfolio: Portfolio
    before: StressStanding


@dataclass(frozen=True, slots=True, eq=False)
class Profits:
    """What one account gains in a move, unrounded, base currency: by position, and by offset group."""

    positions: Mapping[InstrumentId, float]
    groups: Mapping[OffsetGroupId, float]
    scale: float

    @property
    def total(self) -> float:
        """Sum over the positions, and over the groups."""
        return sum(self.positions.values())


@dataclass(frozen=True, slots=True, eq=False)
class StressedBlock:
    """Some accounts in one scenario, and what they gain together."""

    accounts: tuple[AccountStress, ...]
    failures: tuple[StressFailure, ...]
    profits: Profits


class StressRun:
    """One market at rest and after each of some moves, shared by all accounts of a run.

    A moved market is made when the first account asks for it, and only the last few are kept, so that memory stays the same however
    many scenarios there are. What is sent to another process is what the run was made of, and never a moved market.
    """

    def __init__(self, market: RevaluedMarket, parameters: RiskParameters, scenarios: Sequence[StressScenario]) -> None:
        self.market, self.parameters, self.scenarios = market, parameters, tuple(scenarios)
        self._lock = threading.Lock()
        self._profits: RevaluedMarket | None = None
        self._moved: dict[int, RevaluedMarket] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return StressRun, (self.market, self.parameters, self.scenarios)

    @property
    def snapshot(self) -> MarketSnapshot:
        """What the market at rest was revalued from."""
        return _snapshot_of(self.market)

    def profits(self) -> RevaluedMarket:
        """Return the market whose scenarios are the moves of the run, in the order of those that have one."""
        with self._lock:
            if self._profits is None:
                self._profits = market_of_moves(self.market, self.parameters, np.array([one.move for one in self._moves()]))
            return self._profits

    def moved(self, place: int) -> RevaluedMarket:
        """Return the market after the move of a scenario, every scenario of the margin starting from there."""
        with self._lock:
            if place not in self._moved:
                while len(self._moved) >= _KEPT_MARKETS:
                    self._moved.pop(next(iter(self._moved)))
                self._moved[place] = moved_market(self.market, self.parameters, self.scenarios[place].shared_move)
            return self._moved[place]

    def column(self, place: int) -> int:
        """Return the place of a scenario among those that have a move."""
        return sum(one.move is not None for one in self.scenarios[:place])

    def _moves(self) -> list[StressScenario]:
        return [one for one in self.scenarios if one.move is not None]


def prepared(run: StressRun, portfolios: Iterable[Portfolio]) -> list[PreparedAccount | StressFailure]:
    """Return each account as it is at rest, or why it has no margin there."""
    return [_prepared(portfolio, run) for portfolio in portfolios]


def stressed_block(run: StressRun, work: tuple[int, Sequence[PreparedAccount]]) -> StressedBlock:
    """Return some accounts in the scenario at a place of the run. Nothing of it depends on which other accounts are in the block."""
    place, accounts = work
    done: list[AccountStress] = []
    failures: list[StressFailure] = []
    positions: defaultdict[InstrumentId, float] = defaultdict(float)
    groups: defaultdict[OffsetGroupId, float] = defaultdict(float)
    scale = 0.0
    for account in accounts:
        try:
            one, profits = _stressed(run, place, account)
        except DomainError as error:
            failures.append(StressFailure(account.portfolio.account, error.reason, error.message))
            continue
        done.append(one)
        scale += profits.scale
        for position, pnl in profits.positions.items():
            positions[position] += pnl
        for group, pnl in profits.groups.items():
            groups[group] += pnl
    return StressedBlock(tuple(done), tuple(failures), Profits(dict(positions), dict(groups), scale))


def outcome_of(
    scenario: StressScenario,
    blocks: Sequence[StressedBlock],
    *,
    failures: Sequence[StressFailure] = (),
    account_count: int,
    position_count: int,
) -> ScenarioOutcome:
    """Return one scenario over all blocks of a run, in their order; `failures` are those of accounts that had no margin at rest.

    `account_count` accounts are named, those with the least left afterwards, and `position_count` positions, those that move most.
    """
    accounts = [one for block in blocks for one in block.accounts]
    pnl = sum((one.pnl for one in accounts), Decimal(0))
    return ScenarioOutcome(
        name=scenario.name,
        kind=scenario.kind,
        account_count=len(accounts),
        equity_before=sum((one.before.equity for one in accounts), Decimal(0)),
        equity_after=sum((one.after.equity for one in accounts), Decimal(0)),
        pnl=pnl,
        broker_loss=sum((one.broker_loss for one in accounts), Decimal(0)),
        bands_before=_bands(one.before.band for one in accounts),
        bands_after=_bands(one.after.band for one in accounts),
        fallen=sum(one.after.band is Band.LIQUIDATION and one.before.band is not Band.LIQUIDATION for one in accounts),
        groups=group_profits(_added(block.profits.groups for block in blocks), pnl),
        positions=position_profits(_added(block.profits.positions for block in blocks), pnl)[:position_count],
        accounts=tuple(sorted(accounts, key=_least_left)[:account_count]),
        failures=(*failures, *(one for block in blocks for one in block.failures)),
    )


def stressed_by_own_move(account: PreparedAccount, market: RevaluedMarket, parameters: RiskParameters, move: ByFactor) -> AccountStress:
    """Return one account before and after a move of its own, with its groups and positions. Errors as `portfolio_arrays`."""
    own = own_market(account.portfolio, market)
    profits = profits_of(account.portfolio, market_of_moves(own, parameters, move[np.newaxis]), 0, parameters)
    after = standing(account.portfolio, own, parameters, move)
    stress = _account_stress(account, after, profits)
    return replace(stress, groups=group_profits(profits.groups, stress.pnl), positions=position_profits(profits.positions, stress.pnl))


def moved_market(market: RevaluedMarket, parameters: RiskParameters, move: ByFactor) -> RevaluedMarket:
    """Return a market after a move [F]: every instrument that it values, revalued. Any methodology can margin an account there."""
    snapshot = _snapshot_of(market)
    (moved,) = revalue_moved_market(market.instruments, snapshot, move[np.newaxis], market.scenarios, parameters, kernels=market.kernels)
    return replace(moved, departure=Departure(snapshot, move))


def market_of_moves(market: RevaluedMarket, parameters: RiskParameters, moves: ByMoveFactor) -> RevaluedMarket:
    """Return the market at rest with `moves` [G, F] for its scenarios: what every instrument gains in each, group by group."""
    count = len(moves)
    scenarios: ScenarioSet = replace(
        market.scenarios,
        shocks=np.ascontiguousarray(moves),
        weights=np.full(count, 1.0 / count),
        names=("",) * count,
        ordinary_count=count,
    )
    return revalue_market(market.instruments, _snapshot_of(market), scenarios, parameters, kernels=market.kernels)


def own_market(portfolio: Portfolio, market: RevaluedMarket) -> RevaluedMarket:
    """Return the market of what one account holds and what that settles in. Errors as `portfolio_arrays`."""
    arrays = portfolio_arrays(portfolio, market)
    known = {instrument.instrument_id: instrument for instrument in market.instruments}
    return part_of(market, with_assets(arrays.instruments, known))


def standing(
    portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, move: ByFactor, *, moved: RevaluedMarket | None = None
) -> StressStanding:
    """Return how an account with split collateral stands after a move of a market; `moved` is that market, where it is at hand.

    Raises:
        DomainError: For a holding that cannot be valued there (see `portfolio_arrays`).
    """
    after = moved_market(market, parameters, move) if moved is None else moved
    if portfolio.methodology in GRID_MARGINS:
        portfolio_arrays(portfolio, after)  # says which holding has no value, if one has none
        account = MovedMethodology(portfolio, _snapshot_of(market), market, parameters)
        (result,) = account.margins(move[np.newaxis])
        if result is not None:
            return standing_of(result)
    return standing_at(portfolio, after, parameters)


def standing_at(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> StressStanding:
    """Return how an account stands at a market that it can be margined at directly. Errors as `portfolio_arrays`."""
    if portfolio.methodology is not Methodology.EXPECTED_SHORTFALL:
        return standing_of(compute(portfolio, market, parameters))
    arrays = portfolio_arrays(portfolio, market, parameters.default_policy)
    required = best_required(arrays, market, margin_rates(parameters, portfolio.mode), haircut_rates(parameters))
    equity, maintenance = cents_to_decimal(equity_in_cents(required.split)), cents_to_decimal(maintenance_in_cents(required))
    return _standing(equity, maintenance, parameters)


def standing_of(result: MarginResult) -> StressStanding:
    """Return what a margin result says of an account, as it is at the levels of the snapshot."""
    return StressStanding(result.equity.equity, result.requirement.maintenance_margin, result.utilization, result.band)


def against_move(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> ByFactor:
    """Return [F] a move in which every offset group goes against an account at once.

    The factors of each group move as in one scenario of the set: the mildest in which the account loses at least its tail mean in that
    group. So a group that loses both ways moves one way and not nowhere, as the mean of its tail might. Factors of groups that the
    account does not touch, or cannot lose in, stand still.
    """
    arrays, rates = portfolio_arrays(portfolio, market, parameters.default_policy), margin_rates(parameters, portfolio.mode)
    netted = scenario_profits(arrays, market, rates, haircut_rates(parameters)).netted
    means = tail_means(netted.group_pnl, market.scenarios.weights, rates.tail_fraction)
    group_of = [parameters.group_of(factor).group_id for factor in market.scenarios.factors]
    move = np.zeros(len(group_of))
    for row, mean, pnl in zip(netted.groups.tolist(), means.tolist(), netted.group_pnl, strict=True):
        if mean <= 0.0:
            continue
        # A mean is never above the largest of what it is a mean of, but may come out a hair above it.
        losses = np.where(-pnl >= min(mean, float(-pnl.min())), -pnl, np.inf)
        columns = [column for column, group in enumerate(group_of) if group == market.groups[row]]
        move[columns] = market.scenarios.shocks[int(np.argmin(losses)), columns]
    return move


def profits_of(portfolio: Portfolio, moves: RevaluedMarket, column: int, parameters: RiskParameters) -> Profits:
    """Return what everything that an account holds gains in one move of a market whose scenarios are moves."""
    arrays = portfolio_arrays(portfolio, moves, parameters.default_policy)
    legs = leg_holdings(arrays, arrays.quantity, moves)
    pnl: ByLegHolding = legs.quantity * moves.leg_pnl[legs.leg, column]
    by_holding = np.bincount(legs.holding, weights=pnl, minlength=len(arrays.row))
    return Profits(
        positions={holding.instrument_id: amount for holding, amount in zip(arrays.holdings, by_holding.tolist(), strict=True)},
        groups=_by_group(legs, pnl, moves),
        scale=float(np.abs(pnl).sum()),
    )


def group_profits(groups: Mapping[OffsetGroupId, float], total: Decimal) -> tuple[GroupProfit, ...]:
    """Return profits by group in whole cents that add up to a total, the largest loss first."""
    found = [GroupProfit(name, pnl) for name, pnl in _rounded(groups, total).items()]
    return tuple(sorted(found, key=lambda one: (one.pnl, one.group_id)))


def position_profits(positions: Mapping[InstrumentId, float], total: Decimal) -> tuple[PositionProfit, ...]:
    """Return profits by position in whole cents that add up to a total, the largest amounts first."""
    found = [PositionProfit(name, pnl) for name, pnl in _rounded(positions, total).items()]
    return tuple(sorted(found, key=lambda one: (-abs(one.pnl), one.instrument_id)))


def _prepared(portfolio: Portfolio, run: StressRun) -> PreparedAccount | StressFailure:
    try:
        split = split_at_rest(portfolio, run.market, run.parameters)
        return PreparedAccount(split, standing_at(split, run.market, run.parameters))
    except DomainError as error:
        return StressFailure(portfolio.account, error.reason, error.message)


def _stressed(run: StressRun, place: int, account: PreparedAccount) -> tuple[AccountStress, Profits]:
    scenario, portfolio = run.scenarios[place], account.portfolio
    if scenario.kind is StressKind.NO_DIVERSIFICATION:
        after = standing_at(replace(portfolio, mode=AccountMode.CROSS), run.market, _without_diversification(run.parameters))
        profits = Profits({}, {}, 0.0)
    elif scenario.kind is StressKind.ALL_AGAINST:
        own, move = own_market(portfolio, run.market), against_move(portfolio, run.market, run.parameters)
        after = standing(portfolio, own, run.parameters, move)
        profits = profits_of(portfolio, market_of_moves(own, run.parameters, move[np.newaxis]), 0, run.parameters)
    else:
        after = standing(portfolio, run.market, run.parameters, scenario.shared_move, moved=run.moved(place))
        profits = profits_of(portfolio, run.profits(), run.column(place), run.parameters)
    return _account_stress(account, after, profits), profits


def _account_stress(account: PreparedAccount, after: StressStanding, profits: Profits) -> AccountStress:
    pnl = cents_to_decimal(client_value_to_cents(profits.total, scale=profits.scale))
    return AccountStress(account.portfolio.account, account.before, after, pnl)


def _without_diversification(parameters: RiskParameters) -> RiskParameters:
    return replace(parameters, offset_within_class=Decimal(0), offset_across_classes=Decimal(0))


def _standing(equity: Decimal, maintenance: Decimal, parameters: RiskParameters) -> StressStanding:
    utilization = utilization_of(maintenance, equity)
    return StressStanding(equity, maintenance, utilization, band_of(utilization, parameters.bands))


def _by_group(legs: LegHoldings, pnl: ByLegHolding, market: RevaluedMarket) -> dict[OffsetGroupId, float]:
    rows, place = np.unique(market.leg_group[legs.leg], return_inverse=True)
    amounts = np.bincount(place, weights=pnl, minlength=len(rows))
    return {market.groups[row]: amount for row, amount in zip(rows.tolist(), amounts.tolist(), strict=True)}


def _added(parts: Iterable[Mapping[Name, float]]) -> dict[Name, float]:
    total: dict[Name, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total


def _rounded(amounts: Mapping[Name, float], total: Decimal) -> dict[Name, Decimal]:
    moved = {name: amount for name, amount in sorted(amounts.items()) if amount != 0.0}
    cents = round_to_total(np.array(list(moved.values())), int(total.scaleb(2))) if moved else []
    return {name: cents_to_decimal(amount) for name, amount in zip(moved, cents, strict=True)}


def _bands(bands: Iterable[Band]) -> tuple[int, ...]:
    count = Counter(bands)
    return tuple(count[band] for band in Band)


def _least_left(one: AccountStress) -> tuple[object, ...]:
    after = one.after
    return (after.equity - after.maintenance_margin, one.account)


def _snapshot_of(market: RevaluedMarket) -> MarketSnapshot:
    if market.snapshot is None:
        raise ValueError("a market that has moved already has no snapshot to move again")
    return market.snapshot
