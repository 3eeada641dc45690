"""Which parts of an account to close so that its utilization is back where it may be, at the least cost and with no risk on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_UP, Decimal
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation import LiquidationPiece, LiquidationPlan, LiquidationTerms, PlannedTrade, after_trades
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.money import CENT, EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.stress import StressStanding
from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.liquidation_cost import CloseOut, close_out
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.portfolio_arrays import charge_rates, portfolio_arrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY
from crossmargin.engine.stress import standing_of

MOST_CUTS: Final = 40
"""Rounds of the search: each margins the account once more."""
CLOSE_ENOUGH: Final = 1e-4
"""Relative: a choice whose margin is this near to what its last cut said is taken."""
PIECE_VOLUME: Final = 0.01
"""Of a day's volume: what one piece may trade of a group. The house's own choice."""
MOST_PIECES: Final = 20
_BASE: Final = InstrumentId(BASE_CURRENCY)
_LAST_BIT: Final = 0.999
"""Share of a holding past which its remainder says nothing of what the whole of it adds."""

Fractions = NDArray[np.float64]


def plan_liquidation(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, terms: LiquidationTerms) -> LiquidationPlan:
    """Return the cheapest plan that was found to bring an account to its target.

    What is closed is a fraction of every holding. The margin is a convex function of the fractions, and so is the cost, while equity falls
    by the cost and rises by the haircuts that are no longer taken. So the cheapest choice is a convex program, and it is solved by cutting
    planes (Kelley 1960): Euler contributions are the slopes of the margin, each margined choice adds a plane that no choice can pass, and
    the cheapest one left by all planes is a linear program. A holding is closed in the order of what it adds to the margin per unit of
    cost; a hedge adds less than nothing, so that it is touched only once what it hedges has gone far enough.

    The pieces divide every order in the same proportions. A convex margin that is lower at the end of a straight line, where less would
    not have been enough, falls all along it; that it does is checked by margining the account after each piece. Where a charge bends the
    other way everything is closed in proportion instead, which a margin that is homogeneous always follows. What a contract leaves of a
    coin or currency that it settles in is not sold: where that would raise the margin the plan stops before, and says that it falls short.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    book = _Book(portfolio, market, parameters, terms)
    if book.is_at_target(book.before) or not book.legs:
        return book.plan((), reaches_target=book.is_at_target(book.before), least_cost=0.0)
    fractions, bound = book.cheapest()
    chosen = book.at_least(fractions)
    pieces = book.pieces(chosen)
    if not book.falls_along(pieces):
        everything = book.in_proportion()
        pieces, bound = book.falling(book.pieces(everything)), min(bound, book.cost(everything))
    return book.plan(pieces, reaches_target=bool(pieces) and book.meets(pieces[-1].after), least_cost=bound)


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluated:
    """A choice that was margined, and the plane that no choice can pass: gain(x) <= gain + slope (x - fractions), before costs."""

    fractions: Fractions
    gain: float
    slope: Fractions


class _Book:
    """One account whose holdings can be closed in part."""

    def __init__(self, portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, terms: LiquidationTerms) -> None:
        self.portfolio, self.market, self.parameters, self.terms = portfolio, market, parameters, terms
        self.before = compute(portfolio, market, parameters)
        self.target = float(terms.target_utilization)
        self.instruments: Mapping[InstrumentId, Instrument] = {each.instrument_id: each for each in market.instruments}
        rates = charge_rates(parameters)
        arrays = portfolio_arrays(portfolio, market)
        held = zip(arrays.holdings, arrays.instruments, strict=True)
        open_holdings = [(holding, each) for holding, each in held if holding.quantity and holding.instrument_id != _BASE]
        self.left_out = tuple(holding.instrument_id for holding, _ in open_holdings if holding.instrument_id in terms.untouchable)
        self.legs: list[CloseOut] = [
            close_out(holding, each, market, rates, terms)
            for holding, each in open_holdings
            if holding.instrument_id not in terms.untouchable and (not each.is_asset or _BASE in market.row_of)
        ]
        self.most = np.array([leg.most for leg in self.legs])
        self.contribution = _by_instrument(self.before)

    def is_at_target(self, result: MarginResult) -> bool:
        """Return whether utilization is where it may end."""
        return self.meets(standing_of(result))

    def meets(self, standing: StressStanding) -> bool:
        """Return whether an account stands at or below the target."""
        return standing.utilization is not None and standing.utilization <= self.terms.target_utilization

    def cost(self, fractions: Fractions) -> float:
        """Return what closing these fractions costs."""
        return sum(leg.cost(float(fraction)) for leg, fraction in zip(self.legs, fractions, strict=True))

    def cheapest(self) -> tuple[Fractions, float]:
        """Return the cheapest choice by cutting planes, and what no choice can cost less than; it may fall a little short."""
        cuts = [self._evaluated(np.zeros(len(self.legs)))]
        everything = self.most.copy()
        if self._gain_after_cost(everything) < 0.0:
            return everything, self.cost(everything)
        bound = 0.0
        fractions = everything
        for _ in range(MOST_CUTS):
            solved = self._relaxed(cuts)
            if solved is None:
                return everything, bound
            fractions, bound = solved
            cut = self._evaluated(fractions)
            cuts.append(cut)
            if cut.gain - self.target * self.cost(fractions) >= -CLOSE_ENOUGH * self._scale:
                break
        return fractions, bound

    def at_least(self, fractions: Fractions) -> Fractions:
        """Return the choice, stretched towards closing everything until it meets the target; everything if that is what it takes."""
        toward = self.most - fractions
        if not toward.any() or self._meets_at(fractions):
            return fractions
        short, enough = 0.0, 1.0
        step = 1e-4
        while step < 1.0:
            if self._meets_at(fractions + step * toward):
                enough = step
                break
            short, step = step, step * 4.0
        for _ in range(12):
            middle = (short + enough) / 2
            if self._meets_at(fractions + middle * toward):
                enough = middle
            else:
                short = middle
        return fractions + enough * toward

    def in_proportion(self) -> Fractions:
        """Return the smallest share of everything that meets the target."""
        return self.at_least(np.zeros(len(self.legs)))

    def pieces(self, fractions: Fractions) -> tuple[LiquidationPiece, ...]:
        """Return the orders of a choice, divided into pieces in proportion, each with how the account then stands."""
        largest = max((leg.days * fraction for leg, fraction in zip(self.legs, fractions.tolist(), strict=True)), default=0.0)
        count = min(MOST_PIECES, max(1, math.ceil(largest / PIECE_VOLUME)))
        done: list[PlannedTrade] = []
        pieces: list[LiquidationPiece] = []
        for piece in range(count):
            trades = self._trades(fractions, piece, count)
            if trades:
                done += trades
                pieces.append(LiquidationPiece(trades, self._standing_after(done)))
        return tuple(pieces)

    def falls_along(self, pieces: Sequence[LiquidationPiece]) -> bool:
        """Return whether the maintenance margin rises after no piece."""
        margins = [self.before.requirement.maintenance_margin, *(piece.after.maintenance_margin for piece in pieces)]
        return all(later <= earlier for earlier, later in pairwise(margins))

    def falling(self, pieces: Sequence[LiquidationPiece]) -> tuple[LiquidationPiece, ...]:
        """Return the first pieces, up to the one after which the maintenance margin would rise."""
        count = next((number for number in range(len(pieces), 0, -1) if self.falls_along(pieces[:number])), 0)
        return tuple(pieces[:count])

    def plan(self, pieces: tuple[LiquidationPiece, ...], *, reaches_target: bool, least_cost: float) -> LiquidationPlan:
        """Return the plan that the pieces make up."""
        cost = sum((trade.cost for piece in pieces for trade in piece.trades), Decimal(0))
        return LiquidationPlan(
            account=self.portfolio.account,
            sequence=self.portfolio.sequence,
            snapshot_id=self.market.snapshot_id,
            as_of=self.market.as_of,
            parameter_set_id=self.parameters.set_id,
            parameters_hash=self.parameters.content_hash,
            engine_version=ENGINE_VERSION,
            target_utilization=self.terms.target_utilization,
            before=standing_of(self.before),
            pieces=pieces,
            cost=cost,
            least_cost=min(cost, _money(least_cost, ROUND_FLOOR)),
            reaches_target=reaches_target,
            left_out=self.left_out,
        )

    @property
    def _scale(self) -> float:
        return max(1.0, float(self.before.requirement.maintenance_margin))

    def _evaluated(self, fractions: Fractions) -> _Evaluated:
        """Return the gain of a choice before its costs, target x equity - margin, and its slope."""
        result = self._margin_after(self._whole_trades(fractions, with_cost=False))
        contribution, freed = _by_instrument(result), _haircuts(result)
        left = np.maximum(1.0 - fractions, 1.0 - _LAST_BIT)
        names = [leg.holding.instrument_id for leg in self.legs]
        slope = np.array([float(contribution.get(name, 0)) + self.target * float(freed.get(name, 0)) for name in names]) / left
        return _Evaluated(fractions, _gain(result, self.target), slope)

    def _gain_after_cost(self, fractions: Fractions) -> float:
        return _gain(self._margin_after(self._whole_trades(fractions)), self.target)

    def _relaxed(self, cuts: Sequence[_Evaluated]) -> tuple[Fractions, float] | None:
        """Return the cheapest fractions that pass no plane, and their cost; None when there are none.

        The cost of a leg is that of its straight pieces, the cheapest taken first because they cost least.
        """
        owner, width, slope = self._segments
        rows = [-(cut.slope[owner] - self.target * slope) for cut in cuts]
        # gain + slope.(x - x0) - target x cost(x) >= 0
        limits = [cut.gain - float(cut.slope @ cut.fractions) for cut in cuts]
        solved = linprog(slope, A_ub=np.array(rows), b_ub=np.array(limits), bounds=[(0.0, each) for each in width], method="highs")
        if not solved.success:
            return None
        fractions = np.minimum(np.bincount(owner, weights=np.asarray(solved.x), minlength=len(self.legs)), self.most)
        return fractions, float(slope @ np.asarray(solved.x))

    @property
    def _segments(self) -> tuple[NDArray[np.int64], Fractions, Fractions]:
        found = [(place, width, slope) for place, leg in enumerate(self.legs) for width, slope in leg.segments()]
        owner, width, slope = zip(*found, strict=True)
        return np.array(owner, dtype=np.int64), np.array(width), np.array(slope)

    def _meets_at(self, fractions: Fractions) -> bool:
        return self.is_at_target(self._margin_after(self._whole_trades(fractions)))

    def _whole_trades(self, fractions: Fractions, *, with_cost: bool = True) -> list[PlannedTrade]:
        legs = zip(self.legs, fractions.tolist(), strict=True)
        found = [self._trade(leg, 0.0, fraction, of=fraction, with_cost=with_cost) for leg, fraction in legs]
        return [trade for trade in found if trade is not None]

    def _trades(self, fractions: Fractions, piece: int, count: int) -> tuple[PlannedTrade, ...]:
        """Return the orders of one piece: what takes off most margin per unit of cost first, hedges last."""
        found = []
        for leg, fraction in zip(self.legs, fractions.tolist(), strict=True):
            trade = self._trade(leg, fraction * piece / count, fraction * (piece + 1) / count, of=fraction)
            if trade is not None:
                found.append((-float(trade.contribution) / max(leg.cost(fraction) / fraction, 1e-9), trade.instrument_id, trade))
        return tuple(trade for _, _, trade in sorted(found, key=lambda one: one[:2]))

    def _trade(self, leg: CloseOut, start: float, end: float, *, of: float, with_cost: bool = True) -> PlannedTrade | None:
        """Return the order that takes a leg from one fraction closed to another, out of `of` that is closed in all.

        All orders of a leg share its cost by quantity, and the limit is the price that the last of it is expected at.
        """
        quantity = _closed(leg, end) - _closed(leg, start)
        if not quantity:
            return None
        held = abs(float(leg.holding.quantity))
        average = leg.cost(of) / of / held if with_cost else 0.0
        cost = _money(average * abs(float(quantity)), ROUND_CEILING)
        return PlannedTrade(
            instrument_id=leg.holding.instrument_id,
            quantity=-quantity,
            settlement=_BASE if leg.instrument.is_asset else None,
            expected_price=leg.price_at(average),
            limit_price=leg.price_at(max(average, leg.marginal_cost(of) / held)),
            cost=cost,
            contribution=self.contribution.get(leg.holding.instrument_id, Decimal(0)),
        )

    def _margin_after(self, trades: Sequence[PlannedTrade]) -> MarginResult:
        return compute(after_trades(self.portfolio, trades, self.instruments), self.market, self.parameters)

    def _standing_after(self, trades: Sequence[PlannedTrade]) -> StressStanding:
        return standing_of(self._margin_after(trades))


def _closed(leg: CloseOut, fraction: float) -> Decimal:
    """Return the signed quantity that closing a fraction of a holding takes off, rounded up to what the instrument can trade in."""
    held = leg.holding.quantity
    if fraction >= 1.0:
        return held
    unit = Decimal(1).scaleb(-leg.instrument.quantity_places)
    # Without the noise of a float, which would round a level of an order book up to more than is there.
    exact = EXACT.multiply(held, Decimal(str(round(max(0.0, fraction), 12))))
    rounded = exact.quantize(unit, rounding=ROUND_UP, context=EXACT)
    return min(rounded, held) if held > 0 else max(rounded, held)


def _gain(result: MarginResult, target: float) -> float:
    return target * float(result.equity.equity) - float(result.requirement.maintenance_margin)


def _by_instrument(result: MarginResult) -> dict[InstrumentId, Decimal]:
    return {one.instrument_id: one.amount for one in result.contributions}


def _haircuts(result: MarginResult) -> dict[InstrumentId, Decimal]:
    """Return what each holding would add to equity if it were money: its haircut, and what is over its limit."""
    return {line.instrument_id: line.market_value - line.value_in_equity for line in result.equity.lines if line.policy is not None}


def _money(amount: float, rounding: str) -> Decimal:
    return EXACT.quantize(Decimal(amount), CENT) if not amount else Decimal(amount).quantize(CENT, rounding=rounding, context=EXACT)
