"""Which parts of an account to close so that its utilization is back where it may be, at the least cost and with no risk on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation import LiquidationPiece, LiquidationPlan, LiquidationTerms, PlannedTrade, after_trades
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.money import CENT, EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.liquidation_cost import close_out
from crossmargin.engine.liquidation_money import LeftMoney, money_left, settled_assets
from crossmargin.engine.liquidation_orders import Fractions, MoneyLegs, OrderDesk
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.portfolio_arrays import charge_rates, portfolio_arrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.stress import standing_of

MOST_CUTS: Final = 40
"""Rounds of the search: each margins the account once more."""
CLOSE_ENOUGH: Final = 1e-4
"""Relative: a choice whose margin is this near to what its last cut said is taken."""
_LAST_BIT: Final = 0.999
"""Share of a holding past which its remainder says nothing of what the whole of it adds."""


def plan_liquidation(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, terms: LiquidationTerms) -> LiquidationPlan:
    """Return the cheapest plan that was found to bring an account to its target.

    What is closed is a fraction of every holding. The margin is a convex function of the fractions, and so is the cost, while equity falls
    by the cost and rises by the haircuts that are no longer taken. So the cheapest choice is a convex program, and it is solved by cutting
    planes (Kelley 1960): Euler contributions are the slopes of the margin, each margined choice adds a plane that no choice can pass, and
    the cheapest one left by all planes is a linear program. A holding is closed in the order of what it adds to the margin per unit of
    cost; a hedge adds less than nothing, so that it is touched only once what it hedges has gone far enough.

    What a contract leaves of a coin or currency that it settles in stays a risk until it is sold, or bought back where it is owed. How much
    of it is traded is one more fraction, of no more than what the choice leaves; so everything closed is dollars and nothing else.

    The margin may not be higher in the end than it was, whatever haircuts are freed. The pieces divide every order in the same proportions,
    and a convex margin that is lower at the end of a straight line, where less would not have been enough, falls all along it; that it does
    is checked by margining the account after each piece. Where a charge bends the other way everything is closed in proportion instead,
    which a margin that is homogeneous always follows.

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
class _Plane:
    """What a function of the choice is at one choice, and its slope there: height + slope (x - fractions)."""

    fractions: Fractions
    height: float
    slope: Fractions

    def at(self, fractions: Fractions) -> float:
        """Return the height of the plane."""
        return self.height + float(self.slope @ (fractions - self.fractions))

    @property
    def foot(self) -> float:
        """The height of the plane where nothing is closed."""
        return self.at(np.zeros_like(self.fractions))


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A choice that was margined. The gain before costs, target x equity - margin, is nowhere above its plane; the margin nowhere below."""

    gain: _Plane
    margin: _Plane


class _Book:
    """One account whose holdings can be closed in part."""

    def __init__(self, portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, terms: LiquidationTerms) -> None:
        self.portfolio, self.market, self.parameters, self.terms, self.rules = portfolio, market, parameters, terms, terms.rules
        self.before = compute(portfolio, market, parameters)
        self.target = float(terms.rules.target_utilization)
        self.instruments: Mapping[InstrumentId, Instrument] = {each.instrument_id: each for each in market.instruments}
        rates = charge_rates(parameters)
        arrays = portfolio_arrays(portfolio, market)
        held = zip(arrays.holdings, arrays.instruments, strict=True)
        open_holdings = [(holding, each) for holding, each in held if holding.quantity and holding.instrument_id != BASE_CURRENCY]
        self.left_out = tuple(holding.instrument_id for holding, _ in open_holdings if holding.instrument_id in terms.untouchable)
        self.rates = rates
        assets = settled_assets(portfolio, self.instruments) if BASE_CURRENCY in market.row_of else frozenset()
        self.legs = [
            close_out(holding, each, market, rates, terms)
            for holding, each in open_holdings
            if holding.instrument_id not in terms.untouchable | assets and (not each.is_asset or BASE_CURRENCY in market.row_of)
        ]
        self.holding_count = len(self.legs)
        self.money = [each for asset in sorted(assets) if (each := money_left(asset, portfolio, self.legs, market)).most > 0.0]
        self.assets = [self._money_legs(each) for each in self.money if each.asset not in terms.untouchable]
        self.contribution = _by_instrument(self.before)
        self.desk = OrderDesk(portfolio, market, rates, terms, self.legs, self.holding_count, self.assets, self.contribution)
        self.most = self.desk.everything()

    def is_at_target(self, result: MarginResult) -> bool:
        """Return whether utilization is where it may end."""
        return self.meets(standing_of(result))

    def meets(self, standing: StressStanding) -> bool:
        """Return whether an account stands at or below the target."""
        return standing.utilization is not None and standing.utilization <= self.rules.target_utilization

    def cost(self, fractions: Fractions) -> float:
        """Return what closing these fractions costs."""
        return self.desk.cost(fractions)

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
            near = CLOSE_ENOUGH * self._scale
            if (
                cut.gain.at(fractions) - self.target * self.cost(fractions) >= -near
                and cut.margin.at(fractions) <= self._most_margin + near
            ):
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
        orders = self.desk.orders(fractions)
        largest = max((order.leg.days * order.fraction for order in orders), default=0.0)
        count = min(self.rules.most_pieces, max(1, math.ceil(largest / float(self.rules.piece_volume_fraction))))
        done: list[PlannedTrade] = []
        pieces: list[LiquidationPiece] = []
        for piece in range(count):
            trades = self.desk.piece(orders, piece, count)
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
            scenario_set_hash=self.market.scenarios.content_hash,
            engine_version=self.market.kernels.engine_version,
            target_utilization=self.rules.target_utilization,
            impact_coefficient=self.rules.impact_coefficient,
            before=standing_of(self.before),
            pieces=pieces,
            cost=cost,
            least_cost=min(cost, Decimal(least_cost).quantize(CENT, rounding=ROUND_FLOOR, context=EXACT)),
            reaches_target=reaches_target,
            left_out=self.left_out,
            depth=self.terms.depth,
            house_view_id=self.before.stamp.house_view_id,
        )

    @property
    def _scale(self) -> float:
        return max(1.0, float(self.before.requirement.maintenance_margin))

    @property
    def _most_margin(self) -> float:
        """What the margin may be in the end: less than before by more than the search may be wrong by."""
        return float(self.before.requirement.maintenance_margin) - 2.0 * CLOSE_ENOUGH * self._scale

    def _money_legs(self, money: LeftMoney) -> MoneyLegs:
        """Add the sale of all that there may be of an asset, and the purchase of all that may be lacking, to the legs."""
        everything = np.ones(self.holding_count)
        return MoneyLegs(money, self._money_leg(money, money.owned(everything)), self._money_leg(money, -money.owed(everything)))

    def _money_leg(self, money: LeftMoney, units: float) -> int | None:
        if abs(units) * float(money.price) < float(self.rules.smallest_sale):
            return None
        holding = Holding(money.asset, Decimal(units), Decimal(0))
        self.legs.append(close_out(holding, self.instruments[money.asset], self.market, self.rates, self.terms))
        return len(self.legs) - 1

    def _evaluated(self, fractions: Fractions) -> _Cut:
        """Return the planes at a choice.

        It is looked at where a bit of every holding is left, because what is gone says nothing of what more of it would add.
        """
        near = self.desk.short_of_all(fractions, _LAST_BIT)
        left = after_trades(self.portfolio, self.desk.whole_trades(near, with_cost=False), self.instruments)
        result = compute(left, self.market, self.parameters)
        margin, equity = self._slopes(near, left, result)
        return _Cut(
            gain=_Plane(near, _gain(result, self.target), self.target * equity - margin),
            margin=_Plane(near, float(result.requirement.maintenance_margin), margin),
        )

    def _slopes(self, near: Fractions, left: Portfolio, result: MarginResult) -> tuple[Fractions, Fractions]:
        """Return [L] what margin and equity grow by per fraction of each leg.

        A closed holding is money, so its contribution and its haircut are gone. But what it is worth in an asset that is not dollars is a
        holding of that asset then, until it is sold.
        """
        margin, equity = np.zeros(len(self.legs)), np.zeros(len(self.legs))
        open_part = 1.0 - near[: self.holding_count]
        margin[: self.holding_count] = -self._of_legs(_by_instrument(result)) / open_part
        equity[: self.holding_count] = self._of_legs(_haircuts(result)) / open_part
        sold = {money.asset: self._by_selling(money, left) for money in self.money}
        for slope, place in ((margin, 0), (equity, 1)):
            for money in self.money:
                slope[: self.holding_count] -= money.left * sold[money.asset][place]
            for leg in range(self.holding_count, len(self.legs)):
                slope[leg] = float(self.legs[leg].holding.quantity) * sold[self.legs[leg].holding.instrument_id][place]
        return margin, equity

    def _of_legs(self, amounts: Mapping[InstrumentId, Decimal]) -> Fractions:
        return np.array([float(amounts.get(leg.holding.instrument_id, 0)) for leg in self.legs[: self.holding_count]])

    def _by_selling(self, money: LeftMoney, left: Portfolio) -> tuple[float, float]:
        """Return what margin and equity grow by per unit of an asset that is sold at its mark."""
        less, more = (compute(money.moved(left, sign), self.market, self.parameters) for sign in (-1, 1))
        margin = float(less.requirement.maintenance_margin - more.requirement.maintenance_margin)
        return margin / (2.0 * money.bit), float(less.equity.equity - more.equity.equity) / (2.0 * money.bit)

    def _gain_after_cost(self, fractions: Fractions) -> float:
        return _gain(self._margin_after(self.desk.whole_trades(fractions)), self.target)

    def _relaxed(self, cuts: Sequence[_Cut]) -> tuple[Fractions, float] | None:
        """Return the cheapest fractions that pass no plane, and their cost; None when there are none.

        The cost of a leg is that of its straight pieces, the cheapest taken first because they cost least.
        """
        owner, width, slope = self._segments
        # gain(x) - target x cost(x) >= 0
        rows = [self.target * slope - cut.gain.slope[owner] for cut in cuts]
        limits = [cut.gain.foot for cut in cuts]
        rows += [cut.margin.slope[owner] for cut in cuts]
        limits += [self._most_margin - cut.margin.foot for cut in cuts]
        for row, limit in self.desk.money_there():
            rows.append(row[owner])
            limits.append(limit)
        # A tenth of a second that a start does not wait for.
        from scipy.optimize import linprog  # noqa: PLC0415

        solved = linprog(slope, A_ub=np.array(rows), b_ub=np.array(limits), bounds=[(0.0, each) for each in width], method="highs")
        if not solved.success:
            return None
        # A solver keeps to bounds as nearly as it computes: it may say that less than nothing is closed, which costs no real amount.
        closed = np.bincount(owner, weights=np.asarray(solved.x), minlength=len(self.legs))
        fractions = np.minimum(np.maximum(closed, 0.0), self.most)
        return fractions, float(slope @ np.asarray(solved.x))

    @property
    def _segments(self) -> tuple[NDArray[np.int64], Fractions, Fractions]:
        found = [(place, width, slope) for place, leg in enumerate(self.legs) for width, slope in leg.segments()]
        owner, width, slope = zip(*found, strict=True)
        return np.array(owner, dtype=np.int64), np.array(width), np.array(slope)

    def _meets_at(self, fractions: Fractions) -> bool:
        return self.is_at_target(self._margin_after(self.desk.whole_trades(fractions)))

    def _margin_after(self, trades: Sequence[PlannedTrade]) -> MarginResult:
        return compute(after_trades(self.portfolio, trades, self.instruments), self.market, self.parameters)

    def _standing_after(self, trades: Sequence[PlannedTrade]) -> StressStanding:
        return standing_of(self._margin_after(trades))


def _gain(result: MarginResult, target: float) -> float:
    return target * float(result.equity.equity) - float(result.requirement.maintenance_margin)


def _by_instrument(result: MarginResult) -> dict[InstrumentId, Decimal]:
    return {one.instrument_id: one.amount for one in result.contributions}


def _haircuts(result: MarginResult) -> dict[InstrumentId, Decimal]:
    """Return what each holding would add to equity if it were money: its haircut, and what is over its limit."""
    return {line.instrument_id: line.market_value - line.value_in_equity for line in result.equity.lines if line.policy is not None}
