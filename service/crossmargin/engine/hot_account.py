"""An account that is asked about again and again: what would it need if something else were held as well?

Margin is a convex function of sums. The sums are kept, group by group, so that a change redoes those it touches, the tails above them
and the charges, whatever else the account holds. Each part follows from what it is of and from nothing beside it, and a fresh margin is
made of the same parts in the same order: the result has the bits of a margin that remembers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, holdings_with
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.account_parts.asset_part import AssetPart, asset_part
from crossmargin.engine.account_parts.contract_part import ContractPart, contract_part
from crossmargin.engine.account_parts.group_part import GroupPart, group_part, group_part_with
from crossmargin.engine.account_parts.leg_entries import LegEntries, is_among, leg_entries, merged
from crossmargin.engine.axes import Index
from crossmargin.engine.charges import DEPEG, ChargeLine, OutsideGroups, account_charges
from crossmargin.engine.collateral_split import sum_by_kind
from crossmargin.engine.gap_loss import gap_loss
from crossmargin.engine.margin_bridges import equity_of_lines
from crossmargin.engine.portfolio_arrays import MarginRates, margin_rates, not_valued
from crossmargin.engine.portfolio_margin import margin_result, statement_of
from crossmargin.engine.required_margin import market_requirement_of
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

Changed: TypeAlias = tuple[tuple[InstrumentId, Holding | None], ...]
"""Other holdings of some instruments, by name; None where nothing is held any more."""

_EFFORT_OF_AN_ASSET: Final = 100_000
"""As many profits are looked at in the time that it takes to split one asset, with its terms and its line."""
_BYTES_OF_A_HOLDING: Final = 400
"""Of the exact holding with its names, beside the arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class HotAccount:
    """One account at one market under one parameter set, taken apart.

    Attributes:
        portfolio: What was taken apart. by_name: Its holdings.
        market, parameters, rates: What it was margined by.
        assets, contracts, groups: Its parts.
    """

    portfolio: Portfolio
    by_name: Mapping[InstrumentId, Holding]
    market: RevaluedMarket
    parameters: RiskParameters
    rates: MarginRates
    assets: AssetPart
    contracts: ContractPart
    groups: GroupPart

    @property
    def byte_count(self) -> int:
        """Memory that it takes, nearly."""
        contracts = 5 * self.contracts.row.nbytes
        return self.groups.byte_count + contracts + _BYTES_OF_A_HOLDING * len(self.by_name)

    def margin(self) -> MarginResult:
        """Return the margin of the account: what `compute_brief` says, to the bit."""
        return _margin_of(self)

    def margin_with(self, changes: Iterable[Position]) -> MarginResult | None:
        """Return the margin of the account with positions on top, see `margin_holding`."""
        return self.margin_holding(self.holding_with(changes))

    def margin_holding(self, changed: Changed) -> MarginResult | None:
        """Return the margin of the account with other holdings of some instruments: what `compute_brief` says of it, to the bit.

        None where the split of its collateral would have to be searched for.

        Raises:
            DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
        """
        if not changed:
            return self.margin()
        other = self._with(dict(changed), self.by_name)
        return None if other is None else other.margin()

    def effort_with(self, names: Iterable[InstrumentId]) -> int:
        """Return how many profits it takes to look at to redo what a change of some instruments touches, nearly.

        Each scenario of each leg of the touched groups, and of each group that is added up; and assets are split anew, all of them.
        """
        rows = [self.market.row_of[name] for name in names if name in self.market.row_of]
        legs = self.groups.leg_count_beside(rows, self.market)
        assets = len(self.assets.holdings) if self.market.is_asset_or_bond[rows].any() else 0
        return (legs + len(self.groups.groups)) * len(self.market.scenarios.weights) + assets * _EFFORT_OF_AN_ASSET

    def holding_with(self, changes: Iterable[Position]) -> Changed:
        """Return what is held of the instruments whose holding is another one once positions are added."""
        wanted = tuple(changes)
        names = {change.instrument_id for change in wanted}
        before = [self.by_name[name] for name in sorted(names) if name in self.by_name]
        after = {holding.instrument_id: holding for holding in holdings_with(before, wanted)}
        return tuple((name, after.get(name)) for name in sorted(names) if after.get(name) != self.by_name.get(name))

    def moved_to(self, portfolio: Portfolio) -> HotAccount | None:
        """Return the account as it is with the holdings of `portfolio`, which is the same in everything else; None as `margin_with`."""
        by_name = {holding.instrument_id: holding for holding in portfolio.holdings}
        gone = {name: None for name in self.by_name if name not in by_name}
        changed = gone | {name: holding for name, holding in by_name.items() if self.by_name.get(name) != holding}
        other = self._with(changed, by_name) if changed else self
        return None if other is None else replace(other, portfolio=portfolio, by_name=by_name)

    def _with(self, changed: Mapping[InstrumentId, Holding | None], by_name: Mapping[InstrumentId, Holding]) -> HotAccount | None:
        """Return the account with other holdings of some instruments, and `by_name` as it is given."""
        market, portfolio = self.market, self.portfolio
        new = [holding for _, holding in sorted(changed.items()) if holding is not None]
        for holding in new:
            if holding.instrument_id not in market.row_of:
                raise not_valued(portfolio.account, holding.instrument_id, market)
        assets, contracts = _by_kind(new, market)
        names = frozenset(name for name in changed if name in market.row_of)
        gone_assets = frozenset(name for name in names if _is_asset(name, market))
        rows = np.array(sorted(market.row_of[name] for name in names), dtype=np.int64)
        of_assets = self.assets
        if gone_assets:
            redone = asset_part(portfolio, self.assets.holdings_with(assets, gone_assets), market, self.parameters, self.rates)
            if redone is None:
                return None
            of_assets = redone
        changed_contracts = contract_part(contracts, market)
        gone = np.array([row for row in rows.tolist() if market.instruments[row].instrument_id not in gone_assets], dtype=np.int64)
        of_contracts = self.contracts.with_rows(gone, changed_contracts)
        entries = _contract_entries(changed_contracts, market)
        if gone_assets:
            entries = merged(_asset_entries(of_assets, market, rows), entries)
        groups = group_part_with(self.groups, rows, entries, market=market, rates=self.rates)
        return HotAccount(portfolio, by_name, market, self.parameters, self.rates, of_assets, of_contracts, groups)


def hot_account(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> HotAccount | None:
    """Return an account taken apart.

    None for one whose split of collateral has to be searched for, which depends on everything at once, and for other methodologies.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    if portfolio.methodology is not Methodology.EXPECTED_SHORTFALL or portfolio.risked_fractions:
        return None
    rates = margin_rates(parameters, portfolio.mode)
    missing = next((holding for holding in portfolio.holdings if holding.instrument_id not in market.row_of), None)
    if missing is not None:
        raise not_valued(portfolio.account, missing.instrument_id, market)
    assets, contracts = _by_kind(portfolio.holdings, market)
    of_assets = asset_part(portfolio, assets, market, parameters, rates)
    if of_assets is None:
        return None
    of_contracts = contract_part(contracts, market)
    entries = merged(_asset_entries(of_assets, market), _contract_entries(of_contracts, market))
    groups = group_part(entries, market, rates)
    by_name = {holding.instrument_id: holding for holding in portfolio.holdings}
    return HotAccount(portfolio, by_name, market, parameters, rates, of_assets, of_contracts, groups)


def _margin_of(account: HotAccount) -> MarginResult:
    """Return the margin that the parts make, as `compute_margin` makes it of arrays."""
    market, rates, groups, assets, contracts = account.market, account.rates, account.groups, account.assets, account.contracts
    requirement, group_count = groups.requirement, len(groups.groups)
    market_requirement = market_requirement_of(requirement, rates, group_count, len(groups.classes))
    outside = OutsideGroups(
        haircut_taken=assets.haircut_taken,
        schedule_floor=contracts.floor(market, rates.charges),
        owner_liquidity=assets.arrays.owner_liquidity,
        owner_basis=assets.arrays.owner_basis,
    )
    charges = account_charges(
        groups.charged,
        outside,
        market,
        rates.charges,
        group_requirement=requirement[:group_count],
        market_requirement=market_requirement,
    )
    split, gross = assets.split, float(groups.alone.sum())
    value_scale = sum_by_kind(split.gross_value[split.collateral], split.gross_value[split.liability], contracts.gross)
    statement = statement_of(
        requirement,
        group_count,
        charges,
        rates,
        account.parameters,
        gross=gross,
        market_requirement=market_requirement,
        initial_only=(ChargeLine(DEPEG, assets.depeg),),
        value_scale=value_scale,
    )
    gap = None
    if account.portfolio.mode is AccountMode.ISOLATED:
        equity = sum_by_kind(split.value_in_equity[split.collateral], split.value_in_equity[split.liability], contracts.value)
        gap = gap_loss(equity, groups.account_pnl, market.scenarios, scale=value_scale + gross)
    return margin_result(
        account.portfolio,
        market,
        account.parameters,
        equity=equity_of_lines(assets.lines, contracts.value, contracts.gross),
        requirement=statement,
        gap=gap,
    )


def _by_kind(holdings: Iterable[Holding], market: RevaluedMarket) -> tuple[tuple[Holding, ...], tuple[Holding, ...]]:
    """Return assets and bonds, and contracts."""
    assets: list[Holding] = []
    contracts: list[Holding] = []
    for holding in holdings:
        (assets if _is_asset(holding.instrument_id, market) else contracts).append(holding)
    return tuple(assets), tuple(contracts)


def _is_asset(name: InstrumentId, market: RevaluedMarket) -> bool:
    return bool(market.is_asset_or_bond[market.row_of[name]])


def _asset_entries(assets: AssetPart, market: RevaluedMarket, rows: Index | None = None) -> LegEntries:
    """Return the legs of assets: of all, or of those at some rows."""
    arrays, scenario_quantity = assets.arrays, assets.split.scenario_quantity
    wanted = np.ones(len(arrays.row), np.bool_) if rows is None else is_among(arrays.row, rows)
    return leg_entries(arrays.row[wanted], scenario_quantity[wanted], arrays.quantity[wanted], arrays.cost[wanted], market)


def _contract_entries(contracts: ContractPart, market: RevaluedMarket) -> LegEntries:
    return leg_entries(contracts.row, contracts.quantity, contracts.quantity, contracts.cost, market)
