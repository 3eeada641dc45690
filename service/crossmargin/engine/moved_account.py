"""One account after hypothetical moves of the market: what it would be told then."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import Band
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import BandLines, RiskParameters
from crossmargin.engine.axes import ByMoveFactor, Index
from crossmargin.engine.collateral_search import best_required, best_split, scenario_profits
from crossmargin.engine.margin_bridges import band_of, equity_in_cents, utilization_of
from crossmargin.engine.moved_holdings import MovedHoldings
from crossmargin.engine.netting import stacked
from crossmargin.engine.portfolio_arrays import cents_to_decimal, haircut_rates, margin_rates, portfolio_arrays, requirement_to_cents
from crossmargin.engine.required_margin import RequiredMargin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket, in_scenarios
from crossmargin.engine.scenarios.restriction import restricted_to
from crossmargin.engine.tail_mean import tail_places

_LEAST_HEADROOM: Final = 0.005
"""Base currency: half a cent, for an account that needs nothing and has nothing: it is not in liquidation."""


class MovingAccount(Protocol):
    """An account that can be asked how it stands after hypothetical moves [G, F], whatever it is margined by."""

    @property
    def factor_count(self) -> int:
        """Length of a move."""

    def values(self, moves: ByMoveFactor) -> list[float]:
        """Return the value of all holdings, before haircuts, at each of the moved markets."""

    def headrooms(self, moves: ByMoveFactor) -> list[float]:
        """Return how far each moved market is from liquidation, base currency; zero or below is liquidated, NaN unknown."""

    def equities(self, moves: ByMoveFactor) -> list[float]:
        """Return equity at each moved market, base currency, after haircuts and limits; NaN unknown."""

    def look_closely(self, moves: ByMoveFactor) -> bool:
        """Return True if these moves made the account see something that its headrooms did not rest on before."""


class MovedAccount:
    """Margins one account at moved markets, revaluing what it holds and nothing else.

    A requirement depends on the scenarios of its tails alone. So the account is revalued in a few scenarios: those seen in a tail of any
    of its groups, classes or of the whole, at any market that was looked at in full. A tail mean over a part of the scenarios is never
    above the real one, but a charge that stands against a group's share of the requirement may be. So a part only suggests where the
    account is liquidated: `look_closely` revalues a market in every scenario and adds the ones that the part was missing, and where
    none was missing the part says what all of them say. Charges are those of the moved market.

    Collateral of policy AUTO stays split as it is at rest: it is not split anew for a market that has already moved.
    """

    def __init__(self, portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters) -> None:
        self._holdings = MovedHoldings(split_at_rest(portfolio, market, parameters), snapshot, market, parameters)
        self._bands = parameters.bands
        self._rates, self._schedule = margin_rates(parameters, portfolio.mode), haircut_rates(parameters)
        self._keep(self._tail_places(self._holdings.full))

    @property
    def instruments(self) -> list[Instrument]:
        """What is held and what that settles in."""
        return self._holdings.instruments

    @property
    def factor_count(self) -> int:
        """Length of a move."""
        return self._holdings.factor_count

    def values(self, moves: ByMoveFactor) -> list[float]:
        """Return the value of all holdings, before haircuts, at each of the moved markets; NaN where one has no value."""
        return self._holdings.values(moves)

    def headrooms(self, moves: ByMoveFactor) -> list[float]:
        """Return liquidation line x equity - maintenance margin at each moved market, base currency; zero or below is liquidated.

        NaN where something that is held cannot be valued.
        """
        return [self._headroom(market) for market in self._holdings.revalued(moves, self._kept)]

    def equities(self, moves: ByMoveFactor) -> list[float]:
        """Return equity at each moved market, base currency, after haircuts and limits; NaN where something held cannot be valued."""
        markets = self._holdings.revalued(moves, self._kept)
        return [float("nan") if market.unavailable else self._equity(market) for market in markets]

    def look_closely(self, moves: ByMoveFactor) -> bool:
        """Revalue moved markets in every scenario; return True if their tails hold scenarios that were not among those kept."""
        markets = [market for market in self._holdings.revalued(moves, self._holdings.full) if not market.unavailable]
        places = np.unique(np.concatenate([self._places, *map(self._tail_places, markets)]))
        has_grown = len(places) > len(self._places)
        if has_grown:
            self._keep(places)
        return has_grown

    def _keep(self, places: Index) -> None:
        """Keep these scenarios, with the tail fraction that leaves their tails as they are."""
        scenarios = self._holdings.scenarios
        kept_weight = float(scenarios.weights[places].sum())
        self._places = places
        self._kept = in_scenarios(self._holdings.full, restricted_to(scenarios, places), places)
        self._kept_rates = replace(self._rates, tail_fraction=self._rates.tail_fraction / kept_weight)

    def _headroom(self, market: RevaluedMarket) -> float:
        if market.unavailable:
            return float("nan")
        required = best_required(self._holdings.arrays, market, self._kept_rates, self._schedule)
        return headroom_of(equity_in_cents(required.split), maintenance_in_cents(required), self._bands)

    def _equity(self, market: RevaluedMarket) -> float:
        split = best_split(self._holdings.arrays, market, self._kept_rates, self._schedule)
        return float(cents_to_decimal(equity_in_cents(split)))

    def _tail_places(self, market: RevaluedMarket) -> Index:
        """Return the scenarios in the tail of any group, any class or the account."""
        netted = scenario_profits(self._holdings.arrays, market, self._rates, self._schedule).netted
        return tail_places(stacked(netted), market.scenarios.weights, self._rates.tail_fraction)


def split_at_rest(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> Portfolio:
    """Return the portfolio with the risked fraction of every holding decided, and whether the rest of it is pledged."""
    arrays, rates = portfolio_arrays(portfolio, market, parameters.default_policy), margin_rates(parameters, portfolio.mode)
    split = best_split(arrays, market, rates, haircut_rates(parameters))
    names = [holding.instrument_id for holding in portfolio.holdings]
    eligible = [place for place in split.collateral if split.is_eligible[place]]
    fractions = {names[place]: Decimal(float(split.risked_fraction[place])) for place in eligible}
    left_out = {names[place]: CollateralPolicy.RISKED for place in eligible if split.leaves_out[place]}
    return replace(portfolio, policies={**portfolio.policies, **left_out}, risked_fractions=fractions)


def headroom_of(equity_cents: int, maintenance_cents: int, bands: BandLines) -> float:
    """Return liquidation line x equity - maintenance margin; above zero exactly when the account is not in the liquidation band."""
    equity, maintenance = cents_to_decimal(equity_cents), cents_to_decimal(maintenance_cents)
    headroom = float(bands.liquidation) * float(equity) - float(maintenance)
    if band_of(utilization_of(maintenance, equity), bands) is Band.LIQUIDATION:
        return min(headroom, 0.0)
    return max(headroom, _LEAST_HEADROOM)


def maintenance_in_cents(required: RequiredMargin) -> int:
    """Return the maintenance margin in whole cents, each of its lines rounded up as in the bridge."""
    scale = float(required.requirement.sum())
    charges = sum(max(0, requirement_to_cents(line.amount, scale=scale + required.charges.scale)) for line in required.charges.lines)
    return requirement_to_cents(required.market_requirement, scale=scale) + charges
