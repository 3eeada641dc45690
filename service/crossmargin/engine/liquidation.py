"""Which parts of an account to close so that its utilization is back where it may be, at the least cost and with no risk on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation import LiquidationPiece, LiquidationPlan, LiquidationTerms, PlannedTrade, after_trades
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.money import CENT, EXACT, exact_sum
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
_STRETCHES: Final = (0.0, *(1e-4 * 4.0**power for power in range(7)), 0.6, 0.8, 1.0)
"""Shares of the way towards closing everything at which it is looked whether a choice meets the target, the smallest first."""
_NEAR_ENOUGH: Final = 1e-7
"""Of the way: a stretch is no further than it must be by more than that."""
_LEAST_PRICE: Final = 1e-7
"""Of the amount: what trading is counted at in choosing where it costs nothing, so that no more is traded than there must be."""
_LAST_BIT: Final = 0.999
"""Share of a holding past which its remainder says nothing of what the whole of it adds."""

_Bounds: TypeAlias = tuple[float | None, float | None]


def plan_liquidation(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters, terms: LiquidationTerms) -> LiquidationPlan:
    """Return the cheapest plan that was found to bring an account to its target.

    What is closed is a fraction of every holding. The margin is a convex function of the fractions, and so is the cost, while equity falls
    by the cost and rises by the haircuts that are no longer taken. So the cheapest choice is a convex program, and it is solved by cutting
    planes (Kelley 1960): Euler contributions are the slopes of the margin, each margined choice adds a plane that no choice can pass, and
    the cheapest one left by all planes is a linear program. A holding is closed in the order of what it adds to the margin per unit of
    cost; a hedge adds less than nothing, so that it is touched only once what it hedges has gone far enough.

    What a contract leaves of a coin or currency that it settles in stays a risk until it is sold, or bought back where it is owed. How much
    of it is traded is one more fraction, of no more than what the choice leaves; so everything closed is dollars and nothing else.

    Equity is more than nothing by a share of what stays pledged in the end: its haircuts are its margin, and utilization does not see them.

    The margin may not be higher in the end than it was, whatever haircuts are freed. The pieces divide every order in the same proportions,
    and a convex margin that is lower at the end of a straight line, where less would not have been enough, falls all along it; that it does
    is checked by margining the account after each piece. Where a charge bends the other way everything is closed in proportion instead,
    which a margin that is homogeneous always follows.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    book = _Book(portfolio, market, parameters, terms)
    if book.is_at_target(book.before) or not book.legs:
        return book.plan((), least_cost=0.0)
    chosen, bound = book.cheapest()
    pieces = book.pieces(chosen)
    if not book.falls_along(pieces):
        pieces = book.falling(book.pieces(book.in_proportion()))
    return book.plan(pieces, least_cost=bound)


def cushioned_equity(result: MarginResult, cushion: Decimal) -> Decimal:
    """Return equity if what is pledged were worth less by a fraction of its market value, base currency.

    What is pledged has no part in the margin, so that an account with nothing else is at any target as soon as its equity is not below
    zero. A plan that ended there would be refused at the next price. Where there is a margin to speak of, the target asks for more.
    """
    return EXACT.subtract(result.equity.equity, EXACT.multiply(cushion, exact_sum(line.pledged for line in result.equity.lines)))


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
    """A choice that was margined. The gain before costs (see `_Book.gain`) is nowhere above its plane; the margin nowhere below."""

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

    def is_enough(self, result: MarginResult) -> bool:
        """Return whether a plan may end so: at the target, and with a cushion under what is pledged (see `cushioned_equity`)."""
        return self.is_at_target(result) and cushioned_equity(result, self.rules.end_tolerance) >= 0

    def gain(self, result: MarginResult) -> float:
        """Return by how much a margined choice is beyond what is enough, base currency; negative short of it.

        Target x equity - margin, or target x equity with a cushion under what is pledged, whichever is less.
        """
        cushion = self._cushion_of(result)
        margin = 0.0 if cushion else float(result.requirement.maintenance_margin)
        return self.target * float(cushioned_equity(result, cushion)) - margin

    def meets(self, standing: StressStanding) -> bool:
        """Return whether an account stands at or below the target."""
        return standing.utilization is not None and standing.utilization <= self.rules.target_utilization

    @property
    def worth(self) -> Decimal:
        """What there is at the marks, base currency: equity before haircuts, which no choice ends above."""
        return EXACT.add(self.before.equity.equity, exact_sum(_haircuts(self.before).values()))

    def cost(self, fractions: Fractions) -> float:
        """Return what closing these fractions costs."""
        return self.desk.cost(fractions)

    def cheapest(self) -> tuple[Fractions, float]:
        """Return the cheapest choice that meets the target, and what none can cost less than; the last resort where none does.

        Cutting planes say which. That closing everything does not get there says nothing of less than that: the last level of an order book
        may cost more than all the risk that it takes off, and what cannot be traded may be hedged by what can.
        """
        if self.worth < 0:
            return self.last_resort(), self.cost(self.most)
        cuts = [self._evaluated(np.zeros(len(self.legs)))]
        fractions, bound = self.most, 0.0
        for _ in range(MOST_CUTS):
            solved = self._relaxed(cuts)
            if solved is None:
                return self.in_proportion(), bound
            fractions, bound = solved
            cut = self._evaluated(fractions)
            cuts.append(cut)
            near = CLOSE_ENOUGH * self._scale
            if self._shortfall(cut, fractions) <= near and cut.margin.at(fractions) <= self._most_margin + near:
                break
        return self.at_least(fractions), bound

    def at_least(self, fractions: Fractions) -> Fractions:
        """Return the choice, stretched until it meets the target; what is closed where nothing meets it if no stretch does.

        It is stretched towards closing everything, and where that leads away from the target towards the choice that falls least short: the
        gain is concave, so that it grows along the line to where it is highest.
        """
        if self._meets_at(fractions):
            return self._no_further(fractions)
        for end in (self.everything, self.least_short):
            toward = end() - fractions
            reached = ((short, enough) for short, enough in pairwise(_STRETCHES) if self._meets_at(fractions + enough * toward))
            found = next(reached, None) if toward.any() else None
            if found is not None:
                return fractions + self._smallest(fractions, toward, *found) * toward
        return self.last_resort()

    def _no_further(self, fractions: Fractions) -> Fractions:
        """Return a choice that is enough, or the smallest share of it that is: where a margin bends the other way cuts ask for too much."""
        nearly = 1.0 - CLOSE_ENOUGH
        if not self._meets_at(nearly * fractions):
            return fractions
        return self._smallest(np.zeros_like(fractions), fractions, 0.0, nearly) * fractions

    def last_resort(self) -> Fractions:
        """Return what is closed where nothing meets the target: everything.

        But where something cannot be traded, what hedges it stays as far as that leaves the account nearer to the target.
        """
        return self.least_short() if self.left_out else self.most

    def everything(self) -> Fractions:
        """Return the choice that closes all that can be traded."""
        return self.most

    def least_short(self) -> Fractions:
        """Return the choice that falls least short of the target, or goes furthest beyond it, by cutting planes."""
        fractions, cuts = self.most, [self._evaluated(np.zeros(len(self.legs)))]
        for _ in range(MOST_CUTS):
            fractions, least = self._least_short(cuts)
            cuts.append(self._evaluated(fractions))
            if self._shortfall(cuts[-1], fractions) <= least + CLOSE_ENOUGH * self._scale:
                break
        return fractions

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

    def plan(self, pieces: tuple[LiquidationPiece, ...], *, least_cost: float) -> LiquidationPlan:
        """Return the plan that the pieces make up."""
        before = standing_of(self.before)
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
            before=before,
            pieces=pieces,
            cost=cost,
            least_cost=min(cost, Decimal(least_cost).quantize(CENT, rounding=ROUND_FLOOR, context=EXACT)),
            reaches_target=self.meets(pieces[-1].after if pieces else before),
            left_out=self.left_out,
            depth=self.terms.depth,
            house_view_id=self.before.stamp.house_view_id,
        )

    @property
    def _scale(self) -> float:
        return max(1.0, float(self.before.requirement.maintenance_margin))

    @property
    def _most_margin(self) -> float:
        """What the margin may be in the end: less than before by more than the search may be wrong by, where there was any."""
        return max(0.0, float(self.before.requirement.maintenance_margin) - 2.0 * CLOSE_ENOUGH * self._scale)

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
        cushion = self._cushion_of(result)
        margin, equity = self._slopes(near, left, result, cushion)
        return _Cut(
            gain=_Plane(near, self.gain(result), self.target * equity - (0.0 if cushion else margin)),
            margin=_Plane(near, float(result.requirement.maintenance_margin), margin),
        )

    def _cushion_of(self, result: MarginResult) -> Decimal:
        """Return the cushion under what is pledged where it asks for more than the margin does; otherwise none."""
        cushion = self.rules.end_tolerance
        pledged = EXACT.multiply(cushion, exact_sum(line.pledged for line in result.equity.lines))
        asks_for_more = EXACT.multiply(self.rules.target_utilization, pledged) > result.requirement.maintenance_margin
        return cushion if asks_for_more else Decimal(0)

    def _slopes(self, near: Fractions, left: Portfolio, result: MarginResult, cushion: Decimal) -> tuple[Fractions, Fractions]:
        """Return [L] what margin, and equity with a cushion, grow by per fraction of each leg.

        A closed holding is money, so its contribution and its haircut are gone. But what it is worth in an asset that is not dollars is a
        holding of that asset then, until it is sold.
        """
        margin, equity = np.zeros(len(self.legs)), np.zeros(len(self.legs))
        open_part = 1.0 - near[: self.holding_count]
        margin[: self.holding_count] = -self._of_legs(_by_instrument(result)) / open_part
        equity[: self.holding_count] = self._of_legs(_freed(result, cushion)) / open_part
        sold = {money.asset: self._by_selling(money, left, cushion) for money in self.money}
        for slope, place in ((margin, 0), (equity, 1)):
            for money in self.money:
                slope[: self.holding_count] -= money.left * sold[money.asset][place]
            for leg in range(self.holding_count, len(self.legs)):
                slope[leg] = float(self.legs[leg].holding.quantity) * sold[self.legs[leg].holding.instrument_id][place]
        return margin, equity

    def _of_legs(self, amounts: Mapping[InstrumentId, Decimal]) -> Fractions:
        return np.array([float(amounts.get(leg.holding.instrument_id, 0)) for leg in self.legs[: self.holding_count]])

    def _by_selling(self, money: LeftMoney, left: Portfolio, cushion: Decimal) -> tuple[float, float]:
        """Return what margin, and equity with a cushion, grow by per unit of an asset that is sold at its mark."""
        less, more = (compute(money.moved(left, sign), self.market, self.parameters) for sign in (-1, 1))
        margin = float(less.requirement.maintenance_margin - more.requirement.maintenance_margin)
        equity = float(cushioned_equity(less, cushion) - cushioned_equity(more, cushion))
        return margin / (2.0 * money.bit), equity / (2.0 * money.bit)

    def _smallest(self, fractions: Fractions, toward: Fractions, short: float, enough: float) -> float:
        """Return the smallest share of the way that is enough, between one that is not and one that is."""
        while enough - short > _NEAR_ENOUGH:
            middle = (short + enough) / 2
            if self._meets_at(fractions + middle * toward):
                enough = middle
            else:
                short = middle
        return enough

    def _shortfall(self, cut: _Cut, fractions: Fractions) -> float:
        """Return how far short of the target a choice falls by a cut and by its cost; negative beyond it."""
        return self.target * self.cost(fractions) - cut.gain.at(fractions)

    def _relaxed(self, cuts: Sequence[_Cut]) -> tuple[Fractions, float] | None:
        """Return the cheapest fractions that pass no plane, and their cost; None when there are none."""
        owner, width, slope = self._segments
        # gain(x) - target x cost(x) >= 0
        rows = [self.target * slope - cut.gain.slope[owner] for cut in cuts]
        limits = [cut.gain.foot for cut in cuts]
        rows += [cut.margin.slope[owner] for cut in cuts]
        limits += [self._most_margin - cut.margin.foot for cut in cuts]
        amount = np.array([max(leg.amount, 1.0) for leg in self.legs])
        price = np.maximum(slope, _LEAST_PRICE * amount[owner])
        solved = self._solved(price, rows, limits, _up_to(width))
        return None if solved is None else (solved[0], solved[1] - float((price - slope) @ width))

    def _least_short(self, cuts: Sequence[_Cut]) -> tuple[Fractions, float]:
        """Return the fractions that by all planes fall least short of the target, and by how much."""
        owner, width, slope = self._segments
        # gain(x) - target x cost(x) >= -shortfall
        rows = [np.append(self.target * slope - cut.gain.slope[owner], -1.0) for cut in cuts]
        price, bounds = np.append(np.zeros(len(slope)), 1.0), [*_up_to(width), (None, None)]
        solved = self._solved(price, rows, [cut.gain.foot for cut in cuts], bounds)
        assert solved is not None  # noqa: S101 - to close nothing falls short by something
        return solved

    def _solved(
        self, price: Fractions, rows: Sequence[Fractions], limits: Sequence[float], bounds: Sequence[_Bounds]
    ) -> tuple[Fractions, float] | None:
        """Return the fractions of the legs that cost least at a price of each straight piece, and that cost; None when there are none.

        The cost of a leg is that of its straight pieces, the cheapest taken first because they cost least. No more money is traded than
        there is. What comes after the pieces is no part of any leg.
        """
        owner, *_ = self._segments
        money = list(self.desk.money_there())
        beyond = np.zeros(len(bounds) - len(owner))
        rows = [*rows, *(np.append(row[owner], beyond) for row, _ in money)]
        limits = [*limits, *(limit for _, limit in money)]
        # A tenth of a second that a start does not wait for.
        from scipy.optimize import linprog  # noqa: PLC0415

        solved = linprog(price, A_ub=np.array(rows), b_ub=np.array(limits), bounds=bounds, method="highs")
        if not solved.success:
            return None
        found: Fractions = np.asarray(solved.x)
        # A solver keeps to bounds as nearly as it computes: it may say that less than nothing is closed, which costs no real amount.
        closed = np.bincount(owner, weights=found[: len(owner)], minlength=len(self.legs))
        return np.minimum(np.maximum(closed, 0.0), self.most), float(price @ found)

    @property
    def _segments(self) -> tuple[NDArray[np.int64], Fractions, Fractions]:
        found = [(place, width, slope) for place, leg in enumerate(self.legs) for width, slope in leg.segments()]
        owner, width, slope = zip(*found, strict=True)
        return np.array(owner, dtype=np.int64), np.array(width), np.array(slope)

    def _meets_at(self, fractions: Fractions) -> bool:
        return self.is_enough(self._margin_after(self.desk.whole_trades(fractions)))

    def _margin_after(self, trades: Sequence[PlannedTrade]) -> MarginResult:
        return compute(after_trades(self.portfolio, trades, self.instruments), self.market, self.parameters)

    def _standing_after(self, trades: Sequence[PlannedTrade]) -> StressStanding:
        return standing_of(self._margin_after(trades))


def _freed(result: MarginResult, cushion: Decimal) -> dict[InstrumentId, Decimal]:
    """Return what each holding would add to equity with a cushion if it were money."""
    pledged = {line.instrument_id: EXACT.multiply(cushion, line.pledged) for line in result.equity.lines}
    return {name: EXACT.add(haircut, pledged[name]) for name, haircut in _haircuts(result).items()}


def _up_to(width: Fractions) -> list[_Bounds]:
    return [(0.0, float(each)) for each in width]


def _by_instrument(result: MarginResult) -> dict[InstrumentId, Decimal]:
    return {one.instrument_id: one.amount for one in result.contributions}


def _haircuts(result: MarginResult) -> dict[InstrumentId, Decimal]:
    """Return what each holding would add to equity if it were money: its haircut, and what is over its limit."""
    return {line.instrument_id: line.market_value - line.value_in_equity for line in result.equity.lines if line.policy is not None}
