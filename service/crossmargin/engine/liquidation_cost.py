"""What it costs to close a part of a holding: half the spread and the square root of the amount, or an order book level by level."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    BondFuture,
    BondTerms,
    CurrencyTerms,
    DatedFuture,
    EuropeanOption,
    Instrument,
    Payoff,
    Perpetual,
    PresentValueTerms,
)
from crossmargin.domain.liquidation import LiquidationTerms, OrderBook, PlannedTrade
from crossmargin.domain.money import CENT, EXACT
from crossmargin.domain.position import Holding
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

SEGMENTS = 24
"""Straight pieces that the square-root cost of a whole holding is cut into."""
_DEAREST = 0.95
"""Of what a unit is worth: nobody plans to give it away for less than a twentieth."""
_LARGEST_PRICE_DIGITS = 12


@dataclass(frozen=True, slots=True, eq=False)
class CloseOut:
    """One holding that can be closed, and what that costs. Base currency.

    Attributes:
        unit_value: Of one unit at the mark. settlement_price: Of one unit of what it is paid in.
        amount: What the whole holding would move in its market: exposure, or notional of what is quoted as a present value.
        half_spread: Fraction of the amount. impact: Fraction of the amount for closing all of it at once, if that took a day's volume.
        days: The whole amount as a share of a day's volume.
        depth: Levels of the side that a close-out trades against, as (fraction of the holding, cost per fraction), the cheapest first;
            None without an order book.
    """

    holding: Holding
    instrument: Instrument
    unit_value: float
    settlement_price: float
    amount: float
    half_spread: float
    impact: float
    days: float
    depth: tuple[tuple[float, float], ...] | None

    @property
    def most(self) -> float:
        """Share of the holding that can be closed: all of it, or what the order book takes."""
        return 1.0 if self.depth is None else min(1.0, sum(width for width, _ in self.depth))

    def cost(self, fraction: float) -> float:
        """Return what closing a fraction of the holding costs; convex, and zero for nothing."""
        if self.depth is None:
            traded = self.amount * fraction
            return traded * (self.half_spread + self.impact * math.sqrt(self.days * fraction))
        left, total = fraction, 0.0
        for width, slope in self.depth:
            taken = min(width, left)
            total, left = total + taken * slope, left - taken
        return total

    def marginal_cost(self, fraction: float) -> float:
        """Return what the last bit of a fraction costs, per fraction of the holding: never below the average."""
        if self.depth is None:
            return self.amount * (self.half_spread + 1.5 * self.impact * math.sqrt(self.days * fraction))
        left = fraction
        for width, slope in self.depth:
            left -= width
            if left <= 1e-12:
                return slope
        return self.depth[-1][1] if self.depth else 0.0

    def segments(self) -> Sequence[tuple[float, float]]:
        """Return (width, cost per fraction), the cheapest first: straight pieces that meet the cost at their ends."""
        if self.depth is not None:
            return self.depth
        ends = np.linspace(0.0, 1.0, SEGMENTS + 1) ** 1.5
        costs = [self.cost(float(end)) for end in ends]
        return [
            (float(high - low), (above - below) / float(high - low))
            for low, high, below, above in zip(ends[:-1], ends[1:], costs[:-1], costs[1:], strict=True)
        ]

    def price_at(self, slippage: float) -> Decimal:
        """Return the quoted price at which one unit trades when its close-out costs `slippage` a unit, base currency."""
        return _price_off(self.instrument, self.unit_value, slippage, self.settlement_price, is_sale=self.holding.quantity > 0)


def close_out(holding: Holding, instrument: Instrument, market: RevaluedMarket, rates: ChargeRates, terms: LiquidationTerms) -> CloseOut:
    """Return what closing a holding costs at a market.

    Half the spread is that of the liquidity charge, as wide as it is counted there. The volatility of a day is the root mean square of the
    ordinary scenarios, shared over the margin period by the square root of time.
    """
    row = market.row_of[holding.instrument_id]
    is_quoted_as_value = isinstance(instrument.terms, PresentValueTerms)
    exposure = max((abs(amount) for _, amount in traded_exposure(market, row)), default=0.0)
    unit_amount = float(market.notional_unit[row]) if is_quoted_as_value else exposure
    group = rates.groups.get(market.groups[int(market.instrument_group[row])]) if market.instrument_group[row] >= 0 else None
    amount = abs(float(holding.quantity)) * unit_amount
    ordinary = _own_pnl(market, row)[: market.scenarios.ordinary_count]
    deviation = float(np.sqrt(np.mean(ordinary**2))) if len(ordinary) else 0.0
    daily = deviation / unit_amount / math.sqrt(group.mpor_days) if group is not None and unit_amount > 0 else 0.0
    book = terms.depth.get(holding.instrument_id)
    value, settlement = float(market.unit_value[row]), float(market.settlement_price[row])
    return CloseOut(
        holding=holding,
        instrument=instrument,
        unit_value=value,
        settlement_price=1.0 if instrument.is_asset else settlement,
        amount=amount,
        half_spread=0.0 if group is None else 0.5 * rates.spread_multiple * group.spread_fraction,
        impact=float(terms.rules.impact_coefficient) * daily,
        days=0.0 if group is None else amount / group.average_daily_volume,
        depth=None if book is None else _levels(book, holding, instrument, value, settlement),
    )


def traded_exposure(market: RevaluedMarket, row: int) -> Sequence[tuple[int, float]]:
    """Return (place of the group along axis U, exposure) for each group that buying one unit of an instrument moves, base currency.

    What it settles in is not traded with it. The exposure of an inverse contract in dollars is nothing, because it is settled in the coin
    that it is on, but its notional is traded all the same.
    """
    instrument, own = market.instruments[row], int(market.instrument_group[row])
    if _is_inverse(instrument):
        return [(own, float(market.notional_unit[row]))]
    return [(int(market.leg_group[leg]), float(market.leg_exposure[leg])) for leg in _traded_legs(market, row)]


def quote_of(instrument: Instrument, value: float, settlement_price: float) -> float:
    """Return the price as the instrument quotes it at which one unit is worth `value`, base currency.

    The other way round than `consideration`: of a margined contract it is the price against which nothing is gained or lost.
    """
    paid = value / settlement_price
    match instrument.terms:
        case Perpetual(payoff=Payoff.INVERSE) | DatedFuture(payoff=Payoff.INVERSE):
            return -float(instrument.terms.multiplier) / paid
        case Perpetual() | DatedFuture() | BondFuture() | EuropeanOption() | AmericanOption():
            return paid / float(instrument.terms.multiplier)
        case _ if isinstance(instrument.terms, BondTerms):
            return paid * 100.0
        case _:
            return paid


def at_marks(trades: Iterable[PlannedTrade], market: RevaluedMarket) -> list[PlannedTrade]:
    """Return trades at the marks of a market, whatever they were expected at before; KeyError for an instrument it does not value."""
    return [_off_mark(trade, 0.0, market) for trade in trades]


def at_expected_costs(trades: Iterable[PlannedTrade], market: RevaluedMarket) -> list[PlannedTrade]:
    """Return trades as far off the marks of a market as they were expected to be; KeyError for an instrument it does not value."""
    return [_off_mark(trade, float(trade.cost / trade.quantity.copy_abs()), market) for trade in trades]


def cost_above(expected: Decimal, price: Decimal, quantity: Decimal, instrument: Instrument, market: RevaluedMarket) -> Decimal:
    """Return what a trade at `price` has cost more than at the price that was expected, base currency; negative if less.

    Both prices are in what a plan is paid in (see `price_as_planned`).
    """
    worth = _worth_of_payment(instrument, market)
    paid, planned = (value_of_quote(instrument, float(each), worth) for each in (price, expected))
    return Decimal((paid - planned) * float(quantity)).quantize(CENT, context=EXACT)


def price_as_planned(price: Decimal, instrument: Instrument, market: RevaluedMarket, *, paid_in: InstrumentId | None) -> Decimal | None:
    """Return a price in what a plan is paid in: dollars for an asset, otherwise what the instrument settles in; None if nobody can say."""
    if not instrument.is_asset or paid_in is None or paid_in == BASE_CURRENCY:
        return price
    row = market.row_of.get(paid_in)
    return None if row is None else decimal_price(float(price) * float(market.settlement_price[row]))


def traded_value(price: Decimal, quantity: Decimal, instrument: Instrument, market: RevaluedMarket) -> Decimal:
    """Return what a quantity is worth at a price in what a plan is paid in, base currency, zero or more."""
    worth = value_of_quote(instrument, float(price), _worth_of_payment(instrument, market))
    return Decimal(abs(worth * float(quantity))).quantize(CENT, context=EXACT)


def value_of_quote(instrument: Instrument, price: float, settlement_price: float) -> float:
    """Return what one unit is worth at a quoted price, base currency; the inverse of `quote_of`."""
    match instrument.terms:
        case Perpetual(payoff=Payoff.INVERSE) | DatedFuture(payoff=Payoff.INVERSE):
            return -float(instrument.terms.multiplier) / price * settlement_price
        case Perpetual() | DatedFuture() | BondFuture() | EuropeanOption() | AmericanOption():
            return price * float(instrument.terms.multiplier) * settlement_price
        case _ if isinstance(instrument.terms, BondTerms):
            return price / 100.0 * settlement_price
        case _:
            return price * settlement_price


def _off_mark(trade: PlannedTrade, slippage: float, market: RevaluedMarket) -> PlannedTrade:
    row = market.row_of[trade.instrument_id]
    instrument = market.instruments[row]
    settlement = 1.0 if instrument.is_asset else float(market.settlement_price[row])
    price = _price_off(instrument, float(market.unit_value[row]), slippage, settlement, is_sale=trade.quantity < 0)
    return replace(trade, expected_price=price)


def _price_off(instrument: Instrument, unit_value: float, slippage: float, settlement_price: float, *, is_sale: bool) -> Decimal:
    """Return the quoted price at which one unit costs `slippage` beside what it is worth, both in base currency."""
    if is_sale and not isinstance(instrument.terms, PresentValueTerms):
        slippage = min(slippage, _DEAREST * abs(unit_value))
    value = unit_value - slippage if is_sale else unit_value + slippage
    return decimal_price(quote_of(instrument, value, settlement_price))


def _worth_of_payment(instrument: Instrument, market: RevaluedMarket) -> float:
    """Return what a unit of what a plan is paid in is worth, base currency."""
    return 1.0 if instrument.is_asset else float(market.settlement_price[market.row_of[instrument.instrument_id]])


def _traded_legs(market: RevaluedMarket, row: int) -> Sequence[int]:
    """Return the legs of an instrument but that of the asset that it settles in; of what exchanges money for money all are traded."""
    legs = range(int(market.first_leg[row]), int(market.first_leg[row + 1]))
    instrument, own = market.instruments[row], int(market.instrument_group[row])
    if instrument.is_asset or isinstance(instrument.terms, CurrencyTerms):
        return legs
    settled_in = int(market.instrument_group[market.settlement_row[row]])
    return [leg for leg in legs if market.leg_group[leg] != settled_in or settled_in == own]


def _own_pnl(market: RevaluedMarket, row: int) -> ByScenario:
    """Return [S] the profit of one unit without what the asset that it settles in does to it, base currency."""
    pnl: ByScenario = market.leg_pnl[list(_traded_legs(market, row))].sum(axis=0)
    if not _is_inverse(market.instruments[row]):
        return pnl
    coin = int(market.settlement_row[row])
    coins = float(market.unit_value[row]) / float(market.settlement_price[row])
    of_coin: ByScenario = market.leg_pnl[int(market.first_leg[coin]) : int(market.first_leg[coin + 1])].sum(axis=0)
    return np.asarray(pnl - coins * of_coin)


def _is_inverse(instrument: Instrument) -> bool:
    return isinstance(instrument.terms, Perpetual | DatedFuture) and instrument.terms.payoff is Payoff.INVERSE


def _levels(book: OrderBook, holding: Holding, instrument: Instrument, value: float, settlement: float) -> tuple[tuple[float, float], ...]:
    """Return the levels that a close-out of the holding trades against; a level better than the mark costs nothing."""
    is_sale = holding.quantity > 0
    held = abs(float(holding.quantity))
    paid_in = 1.0 if instrument.is_asset else settlement
    found = []
    for level in book.bids if is_sale else book.asks:
        worth = value_of_quote(instrument, float(level.price), paid_in)
        found.append((float(level.quantity) / held, max(0.0, value - worth if is_sale else worth - value) * held))
    return tuple(sorted(found, key=lambda level: level[1]))


def decimal_price(price: float) -> Decimal:
    """Return a price with twelve significant digits, in plain notation."""
    return Decimal(format(Decimal(f"{price:.{_LARGEST_PRICE_DIGITS}g}"), "f"))
