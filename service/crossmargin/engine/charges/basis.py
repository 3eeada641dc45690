"""Hedges between prices that no risk factor moves against each other: a notional charge on what they match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByGroup, ByHolding, Index
from crossmargin.engine.charges.exposures import Exposures, shared
from crossmargin.engine.charges.market_rates import market_rates
from crossmargin.engine.distinct import distinct
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.valuation import BasisKind

_MONEY: Final = -1
"""Quote of a contract that is settled in money or in its own coin, and of every asset."""


@dataclass(frozen=True, slots=True, eq=False)
class BasisMatched:
    """What hedges match without a factor between them. Base currency; U runs over the touched groups.

    Attributes:
        carry: [U] charged for hedges between kinds of contracts inside each group.
        quoted: [U] matched between contracts that are settled in several stablecoins, or in stablecoins and money.
        coin: Rows along axis I of the stablecoins that there is exposure to, ascending.
        coin_net: What the account is long or short of each.
    """

    carry: ByGroup
    quoted: ByGroup
    coin: Index
    coin_net: ByGroup


@dataclass(frozen=True, slots=True, eq=False)
class BasisCharge:
    """Base currency.

    Attributes:
        carry: [U] of hedges between kinds of contracts inside each group. tiered: [U] of those between what contracts settle in.
        by_peg: What stablecoins of one peg are charged for what they match, whatever their groups, by currency.
        tiered_matched: What is matched between stablecoins, and so is charged by tiers: by the offset group whose contracts settle in
            several of them, and by what stablecoins of several groups are pegged to. Nothing is left out that is not zero.
    """

    carry: ByGroup
    tiered: ByGroup
    by_peg: Mapping[str, float]
    tiered_matched: Mapping[str, float]

    @property
    def by_group(self) -> ByGroup:
        """[U] the charge of each group."""
        return self.carry + self.tiered

    @property
    def total(self) -> float:
        """The whole charge."""
        return float(self.by_group.sum()) + sum(self.by_peg.values())

    @property
    def has_tiers(self) -> bool:
        """Whether anything is charged by tiers."""
        return bool((self.tiered > 0.0).any()) or any(charge > 0.0 for charge in self.by_peg.values())


def basis_charge(matched: BasisMatched, groups: Index, market: RevaluedMarket, rates: ChargeRates) -> BasisCharge:
    """Return the basis charge of an account; `groups` are the rows of the groups it touches.

    Inside a group, exposures are netted by basis kind and the long kinds are matched with the short ones:

        perpetual fraction x matched + (dated fraction - perpetual fraction) x what of it is dated without carry factors

    Contracts settled in different stablecoins, or in a stablecoin and in money, pay for what they match as well, since the engine
    moves both by one price of the underlying. And so do long and short stablecoins of one peg, whatever their groups.
    """
    tiered = np.zeros(len(groups))
    quoted = np.flatnonzero(matched.quoted > 0.0)
    tiered[quoted] = [tiered_charge(amount, rates.stablecoin_tiers) for amount in matched.quoted[quoted].tolist()]
    pools = {f"pegged to {currency}": amount for currency, amount in _pools(matched, market, rates).items()}
    by_quote = {market.groups[groups[place]]: float(matched.quoted[place]) for place in quoted.tolist()}
    return BasisCharge(
        carry=matched.carry,
        tiered=tiered,
        by_peg={currency: tiered_charge(amount, rates.stablecoin_tiers) for currency, amount in pools.items()},
        tiered_matched=by_quote | {currency: amount for currency, amount in pools.items() if amount > 0.0},
    )


def basis_contributions(charge: BasisCharge, exposures: Exposures, row: Index, market: RevaluedMarket, rates: ChargeRates) -> ByHolding:
    """Return [H] each group's charge pro rata to the absolute exposures, and what pegs are charged to those to stablecoins."""
    return exposures.share(charge.carry) + tiered_contributions(charge, exposures, row, market, rates)


def tiered_contributions(charge: BasisCharge, exposures: Exposures, row: Index, market: RevaluedMarket, rates: ChargeRates) -> ByHolding:
    """Return [H] the part of `basis_contributions` that is charged by tiers."""
    tiered, pegged_to = exposures.share(charge.tiered), market_rates(market, rates).pegged_to
    cells, coins = _coin_cells(exposures, row, market)
    peg = np.array([f"pegged to {pegged_to[coin]}" for coin in coins.tolist()])
    for currency, amount in charge.by_peg.items():
        of_peg = cells[peg == currency]
        weight = np.bincount(exposures.holding[of_peg], np.abs(exposures.amount[of_peg]), exposures.holding_count).astype(np.float64)
        tiered += shared(np.array([amount]), weight[np.newaxis])
    return tiered


def basis_matched(exposures: Exposures, row: Index, market: RevaluedMarket, rates: ChargeRates) -> BasisMatched:
    """Return what hedges match; `row` [H] is that of each holding along axis I."""
    instrument = row[exposures.holding]
    is_own = market.instrument_group[instrument] == exposures.groups[exposures.group]
    cells, coins = _coin_cells(exposures, row, market)
    coin, place = distinct(coins)
    return BasisMatched(
        carry=_carry_basis(exposures, np.where(is_own, market.basis_kind[instrument], BasisKind.FACTORED), rates),
        quoted=_quote_matched(exposures, np.where(is_own, _quotes(instrument, market), _MONEY)),
        coin=coin,
        coin_net=np.bincount(place, weights=exposures.amount[cells], minlength=len(coin)).astype(np.float64),
    )


def tiered_charge(matched: float, tiers: tuple[tuple[float, float], ...]) -> float:
    """Return the charge on a matched notional, each slice at its own fraction.

    >>> tiered_charge(150.0, ((100.0, 0.02), (float("inf"), 0.03)))
    3.5
    """
    charge, lower = 0.0, 0.0
    for upper, fraction in tiers:
        charge += fraction * max(0.0, min(matched, upper) - lower)
        lower = upper
    return charge


def _carry_basis(exposures: Exposures, kind: Index, rates: ChargeRates) -> ByGroup:
    cell = exposures.group * len(BasisKind) + kind
    by_kind = np.bincount(cell, weights=exposures.amount, minlength=len(exposures.groups) * len(BasisKind))
    net = by_kind.astype(np.float64).reshape(-1, len(BasisKind))
    long, short = np.maximum(net, 0.0).sum(axis=1), np.maximum(-net, 0.0).sum(axis=1)
    dated = net[:, BasisKind.DATED]
    matched_dated = np.minimum(np.abs(dated), np.where(dated > 0, short, long))
    extra = rates.dated_basis_fraction - rates.perpetual_basis_fraction
    charge: ByGroup = rates.perpetual_basis_fraction * np.minimum(long, short) + extra * matched_dated
    return charge


def _quote_matched(exposures: Exposures, quote: Index) -> ByGroup:
    """Return [U] the smaller of the long and the short side of each group, after exposures of one quote are netted."""
    if not (quote != _MONEY).any():
        return np.zeros(len(exposures.groups))
    span = int(quote.max()) - _MONEY + 1
    cells, place = np.unique(exposures.group * span + (quote - _MONEY), return_inverse=True)
    net, group = np.bincount(place, weights=exposures.amount, minlength=len(cells)), cells // span
    long, short = (np.bincount(group, np.maximum(side, 0.0), len(exposures.groups)) for side in (net, -net))
    return np.minimum(long, short).astype(np.float64)


def _pools(matched: BasisMatched, market: RevaluedMarket, rates: ChargeRates) -> dict[str, float]:
    """Return what is matched between stablecoins of each peg: the smaller of the long and the short side."""
    if not len(matched.coin):
        return {}
    pegged_to = market_rates(market, rates).pegged_to
    long: dict[str, float] = {}
    short: dict[str, float] = {}
    for coin, net in zip(matched.coin.tolist(), matched.coin_net.tolist(), strict=True):
        currency = pegged_to[coin]
        long[currency] = long.get(currency, 0.0) + max(net, 0.0)
        short[currency] = short.get(currency, 0.0) + max(-net, 0.0)
    return {currency: min(long[currency], short[currency]) for currency in sorted(long)}


def _quotes(instrument: Index, market: RevaluedMarket) -> Index:
    """Return the row of the stablecoin that each instrument is settled in, or _MONEY."""
    settlement = market.settlement_row[instrument]
    is_quoted_in_stablecoin = ~np.isnan(market.peg_price[settlement]) & (settlement != instrument)
    quotes: Index = np.where(is_quoted_in_stablecoin, settlement, _MONEY)
    return quotes


def _coin_cells(exposures: Exposures, row: Index, market: RevaluedMarket) -> tuple[Index, Index]:
    """Return the cells that are exposure to the stablecoin that their holding is, or settles in, and the coin's row along axis I."""
    settlement = market.settlement_row[row[exposures.holding]]
    is_coin = (market.instrument_group[settlement] == exposures.groups[exposures.group]) & ~np.isnan(market.peg_price[settlement])
    cells = np.flatnonzero(is_coin)
    return cells, settlement[cells]
