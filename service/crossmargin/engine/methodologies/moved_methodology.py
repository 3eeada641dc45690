"""One account after hypothetical moves of the market, margined by another methodology than the expected shortfall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByMoveFactor
from crossmargin.engine.methodologies.compute import METHODOLOGIES
from crossmargin.engine.methodologies.grid_margin import GRID_MARGINS
from crossmargin.engine.methodologies.market_grid import RiskArrays, arrays_of, market_grid, points_of, readers_by_group, risk_arrays_of
from crossmargin.engine.moved_account import headroom_of, split_at_rest
from crossmargin.engine.moved_holdings import MovedHoldings
from crossmargin.engine.revaluation import revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket, in_scenarios
from crossmargin.engine.scenarios.restriction import restricted_to


class MovedMethodology:
    """Margins one account at moved markets, revaluing what it holds and nothing else; to `liquidation_distance` like a MovedAccount.

    No requirement of these rests on the scenarios, so one of them stands for all. A grid starts from the moved market: the risk arrays
    of what reads a factor that moves are worked out anew.
    """

    def __init__(self, portfolio: Portfolio, snapshot: MarketSnapshot, market: RevaluedMarket, parameters: RiskParameters) -> None:
        self._portfolio, self._parameters = split_at_rest(portfolio, market, parameters), parameters
        self._holdings = MovedHoldings(self._portfolio, snapshot, market, parameters)
        place = np.zeros(1, dtype=np.int64)
        self._at_rest = in_scenarios(self._holdings.full, restricted_to(market.scenarios, place), place)
        self._grid = _MovedGrid(self._holdings, market, portfolio.methodology) if portfolio.methodology in GRID_MARGINS else None

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
        """Return liquidation line x equity - maintenance margin at each moved market; NaN where something held cannot be valued."""
        return [float("nan") if result is None else self._headroom(result) for result in self.margins(moves)]

    def equities(self, moves: ByMoveFactor) -> list[float]:
        """Return equity at each moved market, base currency; NaN where something held cannot be valued."""
        return [float("nan") if result is None else float(result.equity.equity) for result in self.margins(moves)]

    def margins(self, moves: ByMoveFactor) -> list[MarginResult | None]:
        """Return the margin at each moved market; None where something held cannot be valued."""
        markets = self._holdings.revalued(moves, self._at_rest)
        arrays = [None] * len(markets) if self._grid is None else self._grid.at(moves)
        pairs = zip(markets, arrays, strict=True)
        return [None if market.unavailable else self._margin(market, of_move) for market, of_move in pairs]

    def look_closely(self, moves: ByMoveFactor) -> bool:  # noqa: ARG002 - a MovedAccount has scenarios to find, this has none
        """Return False: there are no scenarios that a search could miss."""
        return False

    def _headroom(self, result: MarginResult) -> float:
        equity, maintenance = (int(amount.scaleb(2)) for amount in (result.equity.equity, result.requirement.maintenance_margin))
        return headroom_of(equity, maintenance, self._parameters.bands)

    def _margin(self, market: RevaluedMarket, arrays: RiskArrays | None) -> MarginResult:
        methodology = self._portfolio.methodology
        if arrays is None:
            return METHODOLOGIES[methodology](self._portfolio, market, self._parameters)
        return GRID_MARGINS[methodology](self._portfolio, market, self._parameters, arrays)


class _MovedGrid:
    """Risk arrays of one account's instruments at moved markets."""

    def __init__(self, holdings: MovedHoldings, market: RevaluedMarket, methodology: Methodology) -> None:
        self._holdings, parameters = holdings, holdings.parameters
        names = [instrument.instrument_id for instrument in holdings.instruments]
        self._grid = market_grid(methodology, parameters)
        self._at_rest = risk_arrays_of(market, names, methodology, parameters)
        self._assets = {instrument.instrument_id: instrument for instrument in holdings.instruments if instrument.is_asset}
        self._readers = readers_by_group(holdings.instruments, self._assets, market, parameters)

    def at(self, moves: ByMoveFactor) -> list[RiskArrays]:
        """Return the arrays at each of the moves."""
        touched = self._holdings.touched(moves)
        names = {instrument.instrument_id for instrument in touched}
        readers = {group: [each for each in members if each.instrument_id in names] for group, members in self._readers.items()}
        readers = {group: members for group, members in readers.items() if members}
        markets = {group: self._moved(group, members, moves) for group, members in readers.items()}
        return [
            {**self._at_rest, **arrays_of(touched, readers, {group: by_move[move] for group, by_move in markets.items()})}
            for move in range(len(moves))
        ]

    def _moved(self, group_id: OffsetGroupId, members: Sequence[Instrument], moves: ByMoveFactor) -> list[RevaluedMarket]:
        holdings = self._holdings
        points = points_of(group_id, self._grid, holdings.scenarios, holdings.parameters)
        asked = self._assets | {member.instrument_id: member for member in members}
        return revalue_moved_market(
            list(asked.values()), holdings.snapshot, moves, points, holdings.parameters, kernels=holdings.full.kernels
        )
