"""One account after hypothetical moves of the market: what it would be told then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByFactor, ByGroupScenario, ByMoveFactor, Index
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.revaluation import required_factors, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket, in_scenarios, part_of, with_rows_of
from crossmargin.engine.scenarios.restriction import restricted_to
from crossmargin.engine.tail_mean import tail_weights

_LEAST_HEADROOM: Final = 0.005
"""Base currency: half a cent, for an account that needs nothing and has nothing: it is not in liquidation."""


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
        self._portfolio = _split_at_rest(portfolio, market, parameters)
        self._snapshot = snapshot
        self._scenarios = market.scenarios
        self._parameters = parameters
        self._line = float(parameters.bands.liquidation)
        known = {instrument.instrument_id: instrument for instrument in market.instruments}
        self.instruments = _with_assets([known[holding.instrument_id] for holding in portfolio.holdings], known)
        self._read_by = {each.instrument_id: required_factors(_with_assets([each], known), snapshot) for each in self.instruments}
        self._full = part_of(market, self.instruments)
        self._keep(self._tail_places(self._full))

    @property
    def factor_count(self) -> int:
        """Length of a move."""
        return len(self._scenarios.factors)

    def values(self, moves: ByMoveFactor) -> list[float]:
        """Return the value of all holdings, before haircuts, at each of the moved markets; NaN where one has no value."""
        place = self._places[:1]
        one_scenario = in_scenarios(self._full, restricted_to(self._scenarios, place), place)
        return [self._value(market) for market in self._revalued(moves, one_scenario)]

    def headrooms(self, moves: ByMoveFactor) -> list[float]:
        """Return liquidation line x equity - maintenance margin at each moved market, base currency; zero or below is liquidated.

        NaN where something that is held cannot be valued.
        """
        return [self._headroom(market) for market in self._revalued(moves, self._kept)]

    def look_closely(self, move: ByFactor) -> bool:
        """Revalue one moved market in every scenario; return True if its tails hold scenarios that were not among those kept."""
        (market,) = self._revalued(move[np.newaxis], self._full)
        if market.unavailable:
            return False
        places = np.union1d(self._places, self._tail_places(market))
        has_grown = len(places) > len(self._places)
        self._keep(places)
        return has_grown

    def _keep(self, places: Index) -> None:
        """Keep these scenarios, with the tail fraction that leaves their tails as they are."""
        kept_weight = float(self._scenarios.weights[places].sum())
        self._places = places
        self._kept = in_scenarios(self._full, restricted_to(self._scenarios, places), places)
        self._kept_parameters = replace(self._parameters, tail_fraction=Decimal(float(self._parameters.tail_fraction) / kept_weight))

    def _revalued(self, moves: ByMoveFactor, at_rest: RevaluedMarket) -> list[RevaluedMarket]:
        """Return the moved markets. What reads no factor that moves is what it is at rest, and only the others are revalued."""
        moving = [self._scenarios.factors[column] for column in np.flatnonzero(moves.any(axis=0)).tolist()]
        touched = [instrument for instrument in self.instruments if not self._read_by[instrument.instrument_id].isdisjoint(moving)]
        needed = _with_assets(touched, {instrument.instrument_id: instrument for instrument in self.instruments})
        moved = revalue_moved_market(needed, self._snapshot, moves, at_rest.scenarios, self._parameters)
        return [with_rows_of(at_rest, market) for market in moved]

    def _value(self, market: RevaluedMarket) -> float:
        arrays = portfolio_arrays(self._portfolio, market)
        return float(arrays.quantity @ market.unit_value[arrays.row] - arrays.cost @ market.settlement_price[arrays.row])

    def _headroom(self, market: RevaluedMarket) -> float:
        if market.unavailable:
            return float("nan")
        return headroom_of(compute_margin(self._portfolio, market, self._kept_parameters), line=self._line)

    def _tail_places(self, market: RevaluedMarket) -> Index:
        """Return the scenarios in the tail of any group, any class or the account."""
        arrays, rates = (
            portfolio_arrays(self._portfolio, market, self._parameters.default_policy),
            margin_rates(self._parameters, self._portfolio.mode),
        )
        netted = margin_figures(arrays, market, rates, haircut_rates(self._parameters)).netted
        rows: ByGroupScenario = np.concatenate((netted.group_pnl, netted.class_pnl, netted.account_pnl[np.newaxis]))
        in_tail = tail_weights(rows, market.scenarios.weights, rates.tail_fraction)
        return np.flatnonzero(in_tail.any(axis=0))


def _split_at_rest(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> Portfolio:
    """Return the portfolio with the risked fraction of every holding decided."""
    arrays, rates = portfolio_arrays(portfolio, market, parameters.default_policy), margin_rates(parameters, portfolio.mode)
    split = margin_figures(arrays, market, rates, haircut_rates(parameters)).split
    names = [holding.instrument_id for holding in portfolio.holdings]
    fractions = {names[place]: Decimal(float(split.risked_fraction[place])) for place in split.collateral if split.is_eligible[place]}
    return replace(portfolio, risked_fractions=fractions)


def headroom_of(result: MarginResult, *, line: float) -> float:
    """Return liquidation line x equity - maintenance margin; above zero exactly when the result is not in the liquidation band."""
    headroom = line * float(result.equity.equity) - float(result.requirement.maintenance_margin)
    if result.band is Band.LIQUIDATION:
        return min(headroom, 0.0)
    return max(headroom, _LEAST_HEADROOM)


def _with_assets(instruments: Sequence[Instrument], known: Mapping[InstrumentId, Instrument]) -> list[Instrument]:
    """Return instruments and the assets that their value is paid in, in the order of their ids."""
    found: dict[InstrumentId, Instrument] = {}
    waiting = list(instruments)
    while waiting:
        instrument = waiting.pop()
        if instrument.instrument_id not in found:
            found[instrument.instrument_id] = instrument
            waiting += [known[name] for name in {instrument.settlement, *instrument.references()}]
    return [found[name] for name in sorted(found)]
