"""What one account holds, revalued after hypothetical moves of the market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByMove, ByMoveFactor
from crossmargin.engine.portfolio_arrays import portfolio_arrays
from crossmargin.engine.revaluation import moved_values, required_factors, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket, part_of, with_rows_of


class MovedHoldings:
    """The market of one account's holdings and nothing else, at rest and moved.

    Attributes:
        instruments: What is held and what that settles in, in the order of their ids.
        full: Their market at rest, in every scenario.
        arrays: The holdings on its axes; a moved market has the same instruments in the same order.
    """

    def __init__(self, portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters) -> None:
        self.snapshot, self.parameters, self.scenarios = snapshot, parameters, market.scenarios
        known = {instrument.instrument_id: instrument for instrument in market.instruments}
        self.instruments = with_assets([known[holding.instrument_id] for holding in portfolio.holdings], known)
        self._read_by = {each.instrument_id: required_factors(with_assets([each], known), snapshot) for each in self.instruments}
        self.full = part_of(market, self.instruments)
        self.arrays = portfolio_arrays(portfolio, self.full, parameters.default_policy)

    @property
    def factor_count(self) -> int:
        """Length of a move."""
        return len(self.scenarios.factors)

    def values(self, moves: ByMoveFactor) -> list[float]:
        """Return the value of all holdings, before haircuts, at each of the moved markets; NaN where one has no value."""
        units, settlements = moved_values(
            self.instruments, self.snapshot, moves, self.scenarios, self.parameters, kernels=self.full.kernels
        )
        values: ByMove = self.arrays.quantity @ units[self.arrays.row] - self.arrays.cost @ settlements[self.arrays.row]
        return [float(value) for value in values]

    def touched(self, moves: ByMoveFactor) -> list[Instrument]:
        """Return the instruments that read a factor which any of the moves moves, with what they settle in."""
        moving = [self.scenarios.factors[column] for column in np.flatnonzero(moves.any(axis=0)).tolist()]
        touched = [instrument for instrument in self.instruments if not self._read_by[instrument.instrument_id].isdisjoint(moving)]
        return with_assets(touched, {instrument.instrument_id: instrument for instrument in self.instruments})

    def revalued(self, moves: ByMoveFactor, at_rest: RevaluedMarket) -> list[RevaluedMarket]:
        """Return the moved markets. What reads no factor that moves is what it is at rest, and only the others are revalued."""
        moved = revalue_moved_market(self.touched(moves), self.snapshot, moves, at_rest.scenarios, self.parameters, kernels=at_rest.kernels)
        return [with_rows_of(at_rest, market) for market in moved]


def with_assets(instruments: Sequence[Instrument], known: Mapping[InstrumentId, Instrument]) -> list[Instrument]:
    """Return instruments and the assets that their value is paid in, in the order of their ids."""
    found: dict[InstrumentId, Instrument] = {}
    waiting = list(instruments)
    while waiting:
        instrument = waiting.pop()
        if instrument.instrument_id not in found:
            found[instrument.instrument_id] = instrument
            waiting += [known[name] for name in {instrument.settlement, *instrument.references()}]
    return [found[name] for name in sorted(found)]
