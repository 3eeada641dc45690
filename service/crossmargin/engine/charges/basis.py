"""Hedges between prices that no risk factor moves against each other: a notional charge on what they match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.engine.axes import ByGroup, ByGroupHolding, ByHolding, Index
from crossmargin.engine.charges.exposures import Exposures, shared
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.valuation import BasisKind

_MONEY: Final = -1
"""Quote of a contract that is settled in money or in its own coin, and of every asset."""


@dataclass(frozen=True, slots=True, eq=False)
class BasisCharge:
    """Base currency.

    Attributes:
        by_group: [U] of hedges inside each group. between_stablecoins: Of one stablecoin held against another.
        contribution: [H] each group's charge pro rata to the absolute exposures, and the last one to those to stablecoins.
        tiered_matched: What is matched between stablecoins, and so is charged by tiers: by the offset group whose contracts settle in
            several of them, and by what stablecoins of several groups are pegged to. Nothing is left out that is not zero.
        tiered_contribution: [H] the part of `contribution` that is charged by tiers.
    """

    by_group: ByGroup
    between_stablecoins: float
    contribution: ByHolding
    tiered_matched: Mapping[str, float]
    tiered_contribution: ByHolding

    @property
    def total(self) -> float:
        """The whole charge."""
        return float(self.by_group.sum()) + self.between_stablecoins


def basis_charge(exposures: Exposures, arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> BasisCharge:
    """Return the basis charge of an account.

    Inside a group, exposures are netted by basis kind and the long kinds are matched with the short ones:

        perpetual fraction x matched + (dated fraction - perpetual fraction) x what of it is dated without carry factors

    Contracts settled in different stablecoins, or in a stablecoin and in money, pay for what they match as well, since the engine
    moves both by one price of the underlying. And so do long and short stablecoins of one peg, whatever their groups.
    """
    own = market.instrument_group[arrays.row] == exposures.groups[:, np.newaxis]
    kind = np.where(own, market.basis_kind[arrays.row], BasisKind.FACTORED)
    quote = np.where(own, _quotes(arrays, market), _MONEY)
    carry, quoted = _carry_basis(exposures.by_holding, kind, rates), _quote_matched(exposures.by_holding, quote)
    between_quotes = np.array([tiered_charge(matched, rates.stablecoin_tiers) for matched in quoted.tolist()])
    pegged = _pegged(exposures, arrays, market)
    pools = {name: _pool_matched(np.where(pool, exposures.by_holding, 0.0), arrays, market) for name, pool in pegged.items()}
    charges = {name: tiered_charge(matched, rates.stablecoin_tiers) for name, matched in pools.items()}
    tiered = exposures.share(between_quotes)
    for name, pool in pegged.items():
        tiered += shared(np.array([charges[name]]), np.where(pool, np.abs(exposures.by_holding), 0.0).sum(axis=0, keepdims=True))
    by_quote = {market.groups[group]: matched for group, matched in zip(exposures.groups.tolist(), quoted.tolist(), strict=True)}
    return BasisCharge(
        by_group=carry + between_quotes,
        between_stablecoins=sum(charges.values()),
        contribution=exposures.share(carry) + tiered,
        tiered_matched={name: matched for name, matched in (by_quote | pools).items() if matched > 0.0},
        tiered_contribution=tiered,
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


def _carry_basis(amount: ByGroupHolding, kind: Index, rates: ChargeRates) -> ByGroup:
    net = np.stack([np.where(kind == code, amount, 0.0).sum(axis=1) for code in BasisKind])
    long, short = np.maximum(net, 0.0).sum(axis=0), np.maximum(-net, 0.0).sum(axis=0)
    dated = net[BasisKind.DATED]
    matched_dated = np.minimum(np.abs(dated), np.where(dated > 0, short, long))
    extra = rates.dated_basis_fraction - rates.perpetual_basis_fraction
    charge: ByGroup = rates.perpetual_basis_fraction * np.minimum(long, short) + extra * matched_dated
    return charge


def _quote_matched(amount: ByGroupHolding, quote: Index) -> ByGroup:
    # Of one quote alone nothing is matched, and most groups have no other.
    several = np.flatnonzero((quote != quote[:, :1]).any(axis=1))
    matched = np.zeros(len(amount))
    matched[several] = [_matched(amount[row], quote[row]) for row in several.tolist()]
    return matched


def _pool_matched(amount: ByGroupHolding, arrays: PortfolioArrays, market: RevaluedMarket) -> float:
    return _matched(amount.sum(axis=0), market.settlement_row[arrays.row])


def _matched(amount: ByHolding, name: Index) -> float:
    """Return the smaller of the long and the short side, after exposures of one name are netted."""
    names, place = np.unique(name, return_inverse=True)
    net = np.bincount(place, weights=amount, minlength=len(names))
    return float(min(np.maximum(net, 0.0).sum(), np.maximum(-net, 0.0).sum()))


def _quotes(arrays: PortfolioArrays, market: RevaluedMarket) -> Index:
    """Return [H] the row of the stablecoin that a contract is settled in, or _MONEY."""
    settlement = market.settlement_row[arrays.row]
    is_quoted_in_stablecoin = ~np.isnan(market.peg_price[settlement]) & (settlement != arrays.row)
    quotes: Index = np.where(is_quoted_in_stablecoin, settlement, _MONEY)
    return quotes


def _pegged(exposures: Exposures, arrays: PortfolioArrays, market: RevaluedMarket) -> dict[str, Index]:
    """Return by name, for each currency that stablecoins are pegged to, the cells of [U, H] that are exposure to such a stablecoin."""
    settlement = market.settlement_row[arrays.row]
    cells = (market.instrument_group[settlement] == exposures.groups[:, np.newaxis]) & ~np.isnan(market.peg_price[settlement])
    peg = [getattr(market.instruments[row].terms, "pegged_to", "") for row in settlement.tolist()]
    currencies = sorted(set(peg) - {""})
    return {f"pegged to {currency}": cells & np.array([currency == each for each in peg]) for currency in currencies}
