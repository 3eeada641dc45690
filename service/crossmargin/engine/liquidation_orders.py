"""From fractions of holdings to orders: exact quantities that can be traded, with what they cost, in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.liquidation import LiquidationTerms, PlannedTrade, asset_money
from crossmargin.domain.money import CENT, EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.engine.liquidation_cost import CloseOut, close_out
from crossmargin.engine.liquidation_money import LeftMoney
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_WHOLE: Final = 1e-9
"""Relative: money that is this near to all there is, is all there is."""

Fractions = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MoneyLegs:
    """Where in a choice the sale of an asset is, and where its purchase; None where there is nothing to sell or to buy back."""

    money: LeftMoney
    sale: int | None
    purchase: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """All that is to be traded of one instrument.

    Attributes:
        leg: What is closed, with what that costs. fraction: How much of it.
        quantity: Signed like what is closed, in units that the instrument can trade in.
        unit_cost, last_unit_cost: Of a unit on average and of the last one, base currency.
        waits: True for money that other orders have to leave first.
    """

    leg: CloseOut
    fraction: float
    quantity: Decimal
    unit_cost: float
    last_unit_cost: float
    waits: bool = False

    @property
    def instrument_id(self) -> InstrumentId:
        """What is traded."""
        return self.leg.holding.instrument_id

    def trade(self, start: Decimal, end: Decimal, contribution: Decimal, *, limit_tolerance: float) -> PlannedTrade:
        """Return the trade that takes the order from `start` to `end`: its share of the cost, at the price of the average unit.

        Its limit is the price of the last unit, and worse by `limit_tolerance` of what a unit is worth.
        """
        closed = EXACT.subtract(end, start)
        return PlannedTrade(
            instrument_id=self.instrument_id,
            quantity=EXACT.minus(closed),
            settlement=BASE_CURRENCY if self.leg.instrument.is_asset else None,
            expected_price=self.leg.price_at(self.unit_cost),
            limit_price=self.leg.price_at(max(self.unit_cost, self.last_unit_cost) + limit_tolerance * abs(self.leg.unit_value)),
            cost=money_up(self.unit_cost * abs(float(closed))),
            contribution=contribution,
        )

    def done_after(self, piece: int, count: int) -> Decimal:
        """Return what is traded by the end of a piece out of `count`: rounded up, but money that has to be there down."""
        if piece >= count:
            return self.quantity
        exact = EXACT.divide(EXACT.multiply(self.quantity, Decimal(piece)), Decimal(count))
        rounded = exact.quantize(self.leg.instrument.quantity_unit, rounding=ROUND_DOWN if self.waits else ROUND_UP, context=EXACT)
        return min(rounded, self.quantity) if self.quantity > 0 else max(rounded, self.quantity)


@dataclass(frozen=True, slots=True, eq=False)
class OrderDesk:
    """Makes the orders of one account. `legs` are its holdings, and after them sales and purchases of `assets`."""

    portfolio: Portfolio
    market: RevaluedMarket
    rates: ChargeRates
    terms: LiquidationTerms
    legs: Sequence[CloseOut]
    holding_count: int
    assets: Sequence[MoneyLegs]
    contribution: Mapping[InstrumentId, Decimal]

    def orders(self, fractions: Fractions, *, with_cost: bool = True) -> list[Order]:
        """Return what is to be traded to close fractions of the legs; without cost, at the marks."""
        pairs = zip(self.legs[: self.holding_count], fractions[: self.holding_count].tolist(), strict=True)
        found = [_order(leg, fraction, closed, with_cost=with_cost) for leg, fraction in pairs if (closed := _closed(leg, fraction))]
        if not self.assets:
            return found
        instruments = {each.instrument_id: each for each in self.market.instruments}
        trades = [self.trade(order, Decimal(0), order.quantity) for order in found]
        for asset in self.assets:
            money = asset_money(asset.money.asset, self.portfolio, trades, instruments)
            units = self._units(asset, fractions, money.owned, money.owed)
            if abs(float(units * asset.money.price)) >= float(self.terms.rules.smallest_sale):
                leg = self._sale(asset.money.asset, units)
                # No more than the order book takes.
                taken = _rounded_down(EXACT.multiply(units, Decimal(leg.most)), leg)
                if taken:
                    found.append(_order(self._sale(asset.money.asset, taken), 1.0, taken, with_cost=with_cost, waits=True))
        return found

    def trade(self, order: Order, start: Decimal, end: Decimal) -> PlannedTrade:
        """Return a part of an order, with what the whole holding added to the margin."""
        contribution = self.contribution.get(order.instrument_id, Decimal(0))
        return order.trade(start, end, contribution, limit_tolerance=float(self.terms.rules.limit_tolerance_fraction))

    def whole_trades(self, fractions: Fractions, *, with_cost: bool = True) -> list[PlannedTrade]:
        """Return the orders as one trade each."""
        return [self.trade(order, Decimal(0), order.quantity) for order in self.orders(fractions, with_cost=with_cost)]

    def piece(self, orders: Sequence[Order], piece: int, count: int) -> tuple[PlannedTrade, ...]:
        """Return one piece: what takes off most margin per unit of cost first, hedges last, and then the money that they leave."""
        found = []
        for order in orders:
            start, end = order.done_after(piece, count), order.done_after(piece + 1, count)
            if start != end:
                trade = self.trade(order, start, end)
                worth = -float(trade.contribution) / max(order.leg.cost(order.fraction) / order.fraction, 1e-9)
                found.append((order.waits, worth, order.instrument_id, trade))
        return tuple(trade for *_, trade in sorted(found, key=lambda one: one[:3]))

    def netted(self, fractions: Fractions) -> Fractions:
        """Return the choice without what would be sold of an asset and bought again."""
        net = fractions.copy()
        for asset in self.assets:
            if asset.sale is not None and asset.purchase is not None:
                sold, bought = (_units_of(self.legs[place]) for place in (asset.sale, asset.purchase))
                both = min(net[asset.sale] * sold, net[asset.purchase] * bought)
                net[asset.sale] -= both / sold
                net[asset.purchase] -= both / bought
        return net

    def cost(self, fractions: Fractions) -> float:
        """Return what closing these fractions costs."""
        return sum(leg.cost(float(fraction)) for leg, fraction in zip(self.legs, self.netted(fractions), strict=True))

    def everything(self) -> Fractions:
        """Return the choice that closes all that can be traded, and sells and buys back all that this leaves."""
        most = np.array([leg.most for leg in self.legs])
        for place, there in self._there(most[: self.holding_count]):
            most[place] = min(most[place], there)
        return most

    def short_of_all(self, fractions: Fractions, most: float) -> Fractions:
        """Return the choice with at most this share of any holding closed, and no more money traded than there then is."""
        near = self.netted(fractions)
        near[: self.holding_count] = np.minimum(near[: self.holding_count], most)
        for place, there in self._there(near[: self.holding_count]):
            near[place] = min(near[place], there)
        return near

    def money_there(self) -> Iterator[tuple[Fractions, float]]:
        """Yield (row, limit) for row . fractions <= limit: no more of an asset is sold, or bought back, than the choice leaves there."""
        for asset in self.assets:
            money = asset.money
            for place, left, first in ((asset.sale, money.left, money.owned_first), (asset.purchase, -money.left, money.owed_first)):
                if place is not None:
                    row = np.zeros(len(self.legs))
                    row[: self.holding_count] = -np.maximum(left, 0.0)
                    row[place] = _units_of(self.legs[place])
                    yield row * float(money.price), first * float(money.price)

    def _there(self, closed: Fractions) -> Iterator[tuple[int, float]]:
        """Yield the place of each sale and purchase, and how much of it there is once these fractions of the holdings are closed."""
        for asset in self.assets:
            for place, there in ((asset.sale, asset.money.owned(closed)), (asset.purchase, asset.money.owed(closed))):
                if place is not None:
                    yield place, there / _units_of(self.legs[place])

    def _units(self, asset: MoneyLegs, fractions: Fractions, owned: Decimal, owed: Decimal) -> Decimal:
        """Return how much of an asset is sold (+) or bought back (-): the choice, but never more than there is at expected prices."""
        chosen = sum(
            sign * float(fractions[place]) * _units_of(self.legs[place])
            for sign, place in ((1, asset.sale), (-1, asset.purchase))
            if place is not None
        )
        closed = fractions[: self.holding_count]
        at_marks = (asset.money.owned(closed), asset.money.owed(closed))
        if abs(chosen - (at_marks[0] - at_marks[1])) <= _WHOLE * sum(at_marks):
            return EXACT.subtract(owned, owed)
        return max(EXACT.minus(owed), min(owned, Decimal(f"{chosen:.15g}")))

    def _sale(self, asset: InstrumentId, units: Decimal) -> CloseOut:
        instrument = self.market.instruments[self.market.row_of[asset]]
        return close_out(Holding(asset, units, Decimal(0)), instrument, self.market, self.rates, self.terms)


def money_up(amount: float) -> Decimal:
    """Return an amount rounded up to the cent."""
    return Decimal(amount).quantize(CENT, rounding=ROUND_CEILING, context=EXACT)


def _order(leg: CloseOut, fraction: float, quantity: Decimal, *, with_cost: bool, waits: bool = False) -> Order:
    held = _units_of(leg)
    average = leg.cost(fraction) / fraction / held if with_cost else 0.0
    return Order(leg, fraction, quantity, average, leg.marginal_cost(fraction) / held, waits)


def _closed(leg: CloseOut, fraction: float) -> Decimal:
    """Return the signed quantity that closing a fraction of a holding takes off, rounded up to what the instrument can trade in."""
    held = leg.holding.quantity
    # Without the noise of a float, which would round a level of an order book up to more than is there.
    exact = EXACT.multiply(held, Decimal(str(round(fraction, 12))))
    rounded = exact.quantize(leg.instrument.quantity_unit, rounding=ROUND_UP, context=EXACT)
    return min(rounded, held) if held > 0 else max(rounded, held)


def _rounded_down(units: Decimal, leg: CloseOut) -> Decimal:
    return units.quantize(leg.instrument.quantity_unit, rounding=ROUND_DOWN, context=EXACT)


def _units_of(leg: CloseOut) -> float:
    return abs(float(leg.holding.quantity))
