"""What all accounts hold together, worked out by the house run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from crossmargin.domain.account import AccountMode
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountRef, ClientId, InstrumentId, OffsetGroupId
from crossmargin.domain.instrument import AssetTerms, BondTerms
from crossmargin.domain.money import EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.owner_basis import owner_basis
from crossmargin.engine.owner_liquidity import owner_liquidity
from crossmargin.engine.portfolio_arrays import charge_rates, haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import MarginFigures, margin_figures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_NOTHING: Final = Decimal(0)


def house_view(portfolios: Iterable[Portfolio], market: RevaluedMarket, parameters: RiskParameters) -> HouseView:
    """Return the totals over all accounts at one market.

    They follow from the books, the market and the parameters alone, and from no earlier view, so that a view never chases itself. An
    account that holds something without a value counts with what it holds and takes no part in the owner's liquidity charge.
    """
    accounts = _by_client(portfolios)
    owners = [owner for own in accounts.values() if len(owner := [each for each in own if _has_value(each, market)]) > 1]
    shared_charges = [_owner_charges(own, market, parameters) for own in owners]
    return replace(
        _totals(accounts, market),
        owner_liquidity={account: groups for liquidity, _ in shared_charges for account, groups in liquidity.items()},
        owner_basis={account: amount for _, basis in shared_charges for account, amount in basis.items()},
    )


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
    owned = {client: [(portfolio.mode, _collateral(portfolio, market)) for portfolio in own] for client, own in accounts.items()}
    cross = {client: [held for mode, held in own if mode is AccountMode.CROSS] for client, own in owned.items()}
    isolated = {client: [held for mode, held in own if mode is AccountMode.ISOLATED] for client, own in owned.items()}
    return HouseView(
        held=_total(held for own in owned.values() for _, held in own),
        owned={client: shared for client, own in cross.items() if (shared := _in_several(own, beside=isolated[client]))},
        owned_isolated={client: shared for client, own in isolated.items() if (shared := _in_several(own))},
        owner_liquidity={},
    )


def _owner_charges(
    portfolios: list[Portfolio], market: RevaluedMarket, parameters: RiskParameters
) -> tuple[Mapping[AccountRef, Mapping[OffsetGroupId, Decimal]], Mapping[AccountRef, Decimal]]:
    """Return what the owner's liquidity charge and the owner's tiers of the basis charge add to each account."""
    figures = {portfolio.account: _figures(portfolio, market, parameters) for portfolio in portfolios}
    isolated = frozenset(portfolio.account for portfolio in portfolios if portfolio.mode is AccountMode.ISOLATED)
    basis = {account: each.charges.basis for account, each in figures.items()}
    tiers = charge_rates(parameters).stablecoin_tiers
    return owner_liquidity(figures, isolated, market, parameters), owner_basis(basis, isolated, tiers)


def _figures(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginFigures:
    arrays = portfolio_arrays(portfolio, market, parameters.default_policy)
    return margin_figures(arrays, market, margin_rates(parameters, portfolio.mode), haircut_rates(parameters))


def _collateral(portfolio: Portfolio, market: RevaluedMarket) -> dict[InstrumentId, Decimal]:
    """Return the positive holdings of assets and bonds but the base currency, which is in no group and has no limit."""
    found: dict[InstrumentId, Decimal] = {}
    for holding in portfolio.holdings:
        row = market.row_of.get(holding.instrument_id)
        if row is None or holding.quantity <= 0 or market.instrument_group[row] < 0:
            continue
        if isinstance(market.instruments[row].terms, AssetTerms + BondTerms):
            found[holding.instrument_id] = holding.quantity
    return found


def _has_value(portfolio: Portfolio, market: RevaluedMarket) -> bool:
    return all(holding.instrument_id in market.row_of for holding in portfolio.holdings)


def _total(holdings: Iterable[dict[InstrumentId, Decimal]]) -> dict[InstrumentId, Decimal]:
    total: dict[InstrumentId, Decimal] = {}
    for held in holdings:
        for name, units in held.items():
            total[name] = EXACT.add(total.get(name, Decimal(0)), units)
    return total


def _in_several(
    accounts: list[dict[InstrumentId, Decimal]], *, beside: Sequence[dict[InstrumentId, Decimal]] = ()
) -> dict[InstrumentId, Decimal]:
    """Return what the accounts hold together, if several of them hold something, or one of those beside them does as well.

    All of it, since assets of one issuer share a limit. An account that holds everything needs no total.
    """
    return _total(accounts) if sum(map(bool, (*accounts, *beside))) > 1 else {}
