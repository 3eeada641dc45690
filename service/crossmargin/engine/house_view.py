"""What all accounts hold together, worked out by the house run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from crossmargin.domain.account import AccountMode
from crossmargin.domain.holding_columns import names_of
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountRef, ClientId, InstrumentId, OffsetGroupId
from crossmargin.domain.money import EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.charges.basis import BasisCharge
from crossmargin.engine.owner_basis import owner_basis
from crossmargin.engine.owner_liquidity import LiquidityPart, OwnerLiquidity, liquidity_part
from crossmargin.engine.portfolio_arrays import charge_rates, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import MarginFigures, margin_figures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class AccountPart:
    """What one account brings into the totals.

    Attributes:
        collateral: Its positive holdings of assets and bonds but the base currency, which is in no group and has no limit.
        liquidity, basis: What it brings into what its owner is charged over all accounts; None for the only account of its owner, and for
            one that holds something without a value.
    """

    account: AccountRef
    mode: AccountMode
    collateral: Mapping[InstrumentId, Decimal]
    liquidity: LiquidityPart | None = None
    basis: BasisCharge | None = None


def account_part(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, *, is_only: bool) -> AccountPart:
    """Return what an account brings into the totals; `is_only` says that its owner has no other one."""
    part = AccountPart(portfolio.account, portfolio.mode, _collateral(portfolio, market))
    if is_only or not _has_value(portfolio, market):
        return part
    figures = _figures(portfolio, market, parameters)
    return replace(part, liquidity=liquidity_part(figures), basis=figures.charges.basis)


@dataclass(frozen=True, slots=True, eq=False)
class OwnerTotals:
    """What the accounts of one owner hold together and are charged for it. See `HouseView`."""

    client: ClientId
    held: Mapping[InstrumentId, Decimal]
    owned: Mapping[InstrumentId, Decimal]
    owned_isolated: Mapping[InstrumentId, Decimal]
    liquidity: Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]]
    basis: Mapping[AccountRef, Decimal]


class OwnerSum:
    """Adds up the accounts of one owner, in the order of their names, one at a time; of their profits it keeps nothing but the sums."""

    def __init__(self, client: ClientId, market: RevaluedMarket) -> None:
        self.client = client
        self._market = market
        self._collateral: list[tuple[AccountMode, Mapping[InstrumentId, Decimal]]] = []
        self._liquidity: OwnerLiquidity | None = None
        self._basis: dict[AccountRef, BasisCharge] = {}
        self._isolated: set[AccountRef] = set()

    def add(self, part: AccountPart) -> None:
        """Add the next account."""
        self._collateral.append((part.mode, part.collateral))
        if part.liquidity is None or part.basis is None:
            return
        is_isolated = part.mode is AccountMode.ISOLATED
        self._liquidity = self._liquidity or OwnerLiquidity(self._market)
        self._liquidity.add(part.account, part.liquidity, is_isolated=is_isolated)
        self._basis[part.account] = part.basis
        if is_isolated:
            self._isolated.add(part.account)

    def totals(self, parameters: RiskParameters) -> OwnerTotals:
        """Return what has been added up."""
        totals = _held_together(self.client, self._collateral)
        if self._liquidity is None or len(self._basis) < 2:
            return totals
        tiers = charge_rates(parameters).stablecoin_tiers
        basis = owner_basis(self._basis, self._isolated, tiers)
        return replace(totals, liquidity=self._liquidity.added(parameters), basis=basis)


def house_of(owners: Iterable[OwnerTotals]) -> HouseView:
    """Return the view over all owners."""
    every = list(owners)
    return HouseView(
        held=_total(owner.held for owner in every),
        owned={owner.client: owner.owned for owner in every if owner.owned},
        owner_liquidity={account: groups for owner in every for account, groups in owner.liquidity.items()},
        owned_isolated={owner.client: owner.owned_isolated for owner in every if owner.owned_isolated},
        owner_basis={account: amount for owner in every for account, amount in owner.basis.items()},
    )


def house_view(portfolios: Iterable[Portfolio], market: RevaluedMarket, parameters: RiskParameters) -> HouseView:
    """Return the totals over all accounts at one market.

    They follow from the books, the market and the parameters alone, and from no earlier view, so that a view never chases itself. An
    account that holds something without a value counts with what it holds and takes no part in what its owner is charged.
    """
    owners = []
    for client, own in _by_client(portfolios).items():
        together = OwnerSum(client, market)
        for portfolio in own:
            together.add(account_part(portfolio, market, parameters, is_only=len(own) == 1))
        owners.append(together.totals(parameters))
    return house_of(owners)


def totals_with(house: HouseView, before: Sequence[Portfolio], after: Sequence[Portfolio], market: RevaluedMarket) -> HouseView:
    """Return a view with the totals that it would have if a client's accounts held `after` in place of `before`.

    All accounts of the client are named both times. What is charged over all of them stays what it was.
    """
    then, now = (_totals(_by_client(portfolios), market) for portfolios in (before, after))
    client = after[0].account.client_id
    change = {name: EXACT.subtract(now.held.get(name, _NOTHING), then.held.get(name, _NOTHING)) for name in {*now.held, *then.held}}
    held = {name: EXACT.add(house.held.get(name, _NOTHING), change.get(name, _NOTHING)) for name in {*house.held, *change}}
    return replace(
        house,
        held={name: units for name, units in held.items() if units > 0},
        owned={name: own for name, own in house.owned.items() if name != client} | dict(now.owned),
        owned_isolated={name: own for name, own in house.owned_isolated.items() if name != client} | dict(now.owned_isolated),
    )


def house_with(
    house: HouseView, before: Sequence[Portfolio], after: Sequence[Portfolio], market: RevaluedMarket, parameters: RiskParameters
) -> HouseView:
    """Return the view that the next house run would find if a client's accounts held `after` in place of `before`, see `totals_with`."""
    client = after[0].account.client_id
    own = house_view(after, market, parameters)
    return replace(
        totals_with(house, before, after, market),
        owner_liquidity={account: groups for account, groups in house.owner_liquidity.items() if account.client_id != client}
        | dict(own.owner_liquidity),
        owner_basis={account: amount for account, amount in house.owner_basis.items() if account.client_id != client}
        | dict(own.owner_basis),
    )


def _by_client(portfolios: Iterable[Portfolio]) -> Mapping[ClientId, list[Portfolio]]:
    accounts: dict[ClientId, list[Portfolio]] = defaultdict(list)
    for portfolio in portfolios:
        accounts[portfolio.account.client_id].append(portfolio)
    # In one order, whatever order they came in: what an owner is charged over all accounts is a sum of floats.
    return {client: sorted(own, key=lambda portfolio: portfolio.account) for client, own in sorted(accounts.items())}


def _totals(accounts: Mapping[ClientId, Sequence[Portfolio]], market: RevaluedMarket) -> HouseView:
    """Return what is held, without what owners are charged over all their accounts."""
    return house_of(
        _held_together(client, [(portfolio.mode, _collateral(portfolio, market)) for portfolio in own]) for client, own in accounts.items()
    )


def _held_together(client: ClientId, accounts: Sequence[tuple[AccountMode, Mapping[InstrumentId, Decimal]]]) -> OwnerTotals:
    cross = [held for mode, held in accounts if mode is AccountMode.CROSS]
    isolated = [held for mode, held in accounts if mode is AccountMode.ISOLATED]
    return OwnerTotals(
        client,
        held=_total(held for _, held in accounts),
        owned=_in_several(cross, beside=isolated),
        owned_isolated=_in_several(isolated),
        liquidity={},
        basis={},
    )


def _figures(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginFigures:
    arrays = portfolio_arrays(portfolio, market, parameters.default_policy)
    return margin_figures(arrays, market, margin_rates(parameters, portfolio.mode), haircut_rates(parameters), is_explained=False)


def _collateral(portfolio: Portfolio, market: RevaluedMarket) -> dict[InstrumentId, Decimal]:
    found: dict[InstrumentId, Decimal] = {}
    for place, name in enumerate(names_of(portfolio.holdings)):
        row = market.row_of.get(name)
        if row is None or not market.is_asset_or_bond[row] or market.instrument_group[row] < 0:
            continue
        quantity = portfolio.holdings[place].quantity
        if quantity > 0:
            found[name] = quantity
    return found


def _has_value(portfolio: Portfolio, market: RevaluedMarket) -> bool:
    return all(name in market.row_of for name in names_of(portfolio.holdings))


def _total(holdings: Iterable[Mapping[InstrumentId, Decimal]]) -> dict[InstrumentId, Decimal]:
    total: dict[InstrumentId, Decimal] = {}
    for held in holdings:
        for name, units in held.items():
            total[name] = EXACT.add(total.get(name, Decimal(0)), units)
    return total


def _in_several(
    accounts: Sequence[Mapping[InstrumentId, Decimal]], *, beside: Sequence[Mapping[InstrumentId, Decimal]] = ()
) -> dict[InstrumentId, Decimal]:
    """Return what the accounts hold together, if several of them hold something, or one of those beside them does as well.

    All of it, since assets of one issuer share a limit. An account that holds everything needs no total.
    """
    return _total(accounts) if sum(map(bool, (*accounts, *beside))) > 1 else {}
