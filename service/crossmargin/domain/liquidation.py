"""A plan to close out a part of an account: what to trade, in pieces and at what limits, until utilization is back where it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.book import ledger_amount
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.expectation import require_argument
from crossmargin.domain.identifiers import BASE_CURRENCY, AccountRef, BookId, HouseViewId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.instrument import Instrument, check_trade_price, consideration
from crossmargin.domain.liquidation_parameters import LiquidationParameters
from crossmargin.domain.money import CENT, EXACT, LEDGER_UNIT, exact_sum, format_decimal
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, closes, cost_of_part
from crossmargin.domain.stress import StressStanding

_BOOK: Final = BookId("main")


@dataclass(frozen=True, slots=True)
class DepthLevel:
    """One level of an order book: a price as the instrument quotes it, and the quantity there, more than zero."""

    price: Decimal
    quantity: Decimal

    def __post_init__(self) -> None:
        if not self.quantity.is_finite() or self.quantity <= 0 or not self.price.is_finite():
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"level of an order book was {self.quantity} at {self.price}; expected a quantity above zero at a finite price",
                field="level",
                value=self.quantity,
            )


@dataclass(frozen=True, slots=True)
class OrderBook:
    """What can be sold and bought at once, best prices first. Nothing beyond it can be traded."""

    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]

    def __post_init__(self) -> None:
        bids, asks = ([level.price for level in side] for side in (self.bids, self.asks))
        is_ordered = bids == sorted(bids, reverse=True) and asks == sorted(asks)
        if not is_ordered or (bids and asks and bids[0] > asks[0]):
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                "order book was out of order or crossed; expected bids from the highest and asks from the lowest, no bid above an ask",
                field="order_book",
                value=len(bids) + len(asks),
            )


@dataclass(frozen=True, slots=True)
class LiquidationTerms:
    """How to liquidate.

    Attributes:
        rules: Of the risk parameters, with what whoever asks has chosen otherwise.
        depth: Order books, for those instruments of which one is at hand.
        untouchable: Instruments that cannot be traded now, such as those whose price is in doubt.
    """

    rules: LiquidationParameters
    depth: Mapping[InstrumentId, OrderBook] = field(default_factory=dict)
    untouchable: frozenset[InstrumentId] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanWish:
    """What somebody wants of a plan; what is None is as the risk parameters say.

    Attributes:
        target_utilization: Where to end, above 0 and below 1.
        impact_coefficient: Of the square-root law; zero trades at half the spread.
        depth: Order books, for those instruments of which one is at hand.
    """

    target_utilization: Decimal | None = None
    impact_coefficient: Decimal | None = None
    depth: Mapping[InstrumentId, OrderBook] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target_utilization is not None:
            require_argument(0 < self.target_utilization < 1, "target_utilization", self.target_utilization, "above 0 and below 1")
        if self.impact_coefficient is not None:
            require_argument(0 <= self.impact_coefficient <= 100, "impact_coefficient", self.impact_coefficient, "0 to 100")

    def rules(self, rules: LiquidationParameters) -> LiquidationParameters:
        """Return the rules with what is wished otherwise."""
        target, impact = self.target_utilization, self.impact_coefficient
        return replace(
            rules,
            target_utilization=rules.target_utilization if target is None else target,
            impact_coefficient=rules.impact_coefficient if impact is None else impact,
        )


@dataclass(frozen=True, slots=True)
class PlannedTrade:
    """One order of a plan.

    Attributes:
        quantity: Signed; negative sells. It only ever reduces what is held, or sells (buys back) what a closed contract left (owes).
        settlement: What an asset is sold for; None for instruments that name their own.
        expected_price: At which the plan counts it, as the instrument quotes it. limit_price: the worst at which it is still this plan.
        cost: What trading away from the mark is expected to cost, base currency.
        contribution: What the whole holding added to the maintenance margin before the plan; negative for a hedge.
    """

    instrument_id: InstrumentId
    quantity: Decimal
    settlement: InstrumentId | None
    expected_price: Decimal
    limit_price: Decimal
    cost: Decimal
    contribution: Decimal


@dataclass(frozen=True, slots=True)
class LiquidationPiece:
    """Orders that belong together: they are placed at once, the ones that take off most risk for their cost first.

    Attributes:
        after: How the account stands once they are done at the expected prices.
    """

    trades: tuple[PlannedTrade, ...]
    after: StressStanding


@dataclass(frozen=True, slots=True)
class LiquidationPlan:
    """What to trade of one account. Money in base currency.

    Attributes:
        sequence: Last ledger entry of the account that the plan rests on.
        target_utilization, impact_coefficient: Those of the parameter set, or those that were asked for.
        before: The account as it is. After the last piece it is at or below the target, unless `reaches_target` is False.
        cost: What all trades are expected to cost.
        least_cost: No choice of trades at these costs can cost less, as far as risk and cost bend the way they are counted on to.
        reaches_target: False when even closing all that can be traded does not get there.
        left_out: Holdings that no order was planned for because they cannot be traded now.
        depth: Order books that whoever asked had at hand; the rest of what it depends on is stored, and named here.
        house_view_id: What all accounts held together; None before the first house run.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    as_of: datetime
    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    scenario_set_hash: str
    engine_version: str
    target_utilization: Decimal
    impact_coefficient: Decimal
    before: StressStanding
    pieces: tuple[LiquidationPiece, ...]
    cost: Decimal
    least_cost: Decimal
    reaches_target: bool
    left_out: tuple[InstrumentId, ...] = ()
    depth: Mapping[InstrumentId, OrderBook] = field(default_factory=dict)
    house_view_id: HouseViewId | None = None

    @property
    def after(self) -> StressStanding:
        """The account once everything is done."""
        return self.pieces[-1].after if self.pieces else self.before

    @property
    def trades(self) -> tuple[PlannedTrade, ...]:
        """All orders, in the order in which they are placed."""
        return tuple(trade for piece in self.pieces for trade in piece.trades)


def after_trades(portfolio: Portfolio, trades: Iterable[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]) -> Portfolio:
    """Return an account after trades at their expected prices, once what the closed contracts have gained is paid."""
    held = {holding.instrument_id: holding for holding in portfolio.holdings}
    for trade in trades:
        for position in postings_of(trade, held.get(trade.instrument_id), instruments[trade.instrument_id]):
            before = held.get(position.instrument_id, Holding(position.instrument_id, Decimal(0), Decimal(0)))
            quantity, cost = EXACT.add(before.quantity, position.quantity), EXACT.add(before.cost, position.cost)
            held[position.instrument_id] = Holding(position.instrument_id, quantity, cost)
    return replace(portfolio, holdings=tuple(each for _, each in sorted(held.items()) if each.quantity or each.cost))


def a_unit_less(trades: Sequence[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]) -> tuple[PlannedTrade, ...]:
    """Return the trades with one unit less of every instrument, the smallest that it can trade in: of the last trade in each of them."""
    last = {trade.instrument_id: place for place, trade in enumerate(trades)}
    found = []
    for place, trade in enumerate(trades):
        unit = instruments[trade.instrument_id].quantity_unit
        taken = min(unit, trade.quantity.copy_abs()) if place == last[trade.instrument_id] else Decimal(0)
        found.append(part_of(trade, EXACT.subtract(trade.quantity, taken.copy_sign(trade.quantity))))
    return tuple(trade for trade in found if trade.quantity)


def part_of(trade: PlannedTrade, quantity: Decimal) -> PlannedTrade:
    """Return a part of a trade, with its share of the cost, to the cent."""
    share = EXACT.divide(EXACT.multiply(trade.cost, quantity), trade.quantity)
    return replace(trade, quantity=quantity, cost=share.quantize(CENT, context=EXACT))


def postings_of(trade: PlannedTrade, holding: Holding | None, instrument: Instrument) -> Sequence[Position]:
    """Return what a trade changes of an account that holds `holding` of the instrument.

    A margined contract that it adds to has its cost. One that it closes takes its share of the cost along, and the rest, what it has
    gained, is paid in the asset that it settles in. Anything else is paid.
    """
    amount = ledger_amount(consideration(instrument, quantity=trade.quantity, price=trade.expected_price))
    if instrument.is_margined and not closes(trade.quantity, holding):
        return [Position(_BOOK, trade.instrument_id, trade.quantity, amount)]
    if holding is None or not instrument.is_margined:
        paid_in = trade.settlement or instrument.settlement
        return [Position(_BOOK, trade.instrument_id, trade.quantity), Position(_BOOK, paid_in, EXACT.minus(amount))]
    cost = cost_of_part(holding, EXACT.minus(trade.quantity))
    gained = EXACT.minus(EXACT.add(amount, cost))
    return [
        Position(_BOOK, trade.instrument_id, trade.quantity, EXACT.minus(cost)),
        Position(_BOOK, instrument.settlement, gained),
    ]


def left_by_closing(holding: Holding, instrument: Instrument, *, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what closing `quantity` of a holding, signed like it, leaves of the asset that it settles in; negative is owed.

    What is paid up leaves its price. A margined contract leaves what it has gained since it was entered: its price less its share of the
    cost.
    """
    amount = ledger_amount(consideration(instrument, quantity=quantity, price=price))
    return EXACT.subtract(amount, cost_of_part(holding, quantity)) if instrument.is_margined else amount


@dataclass(frozen=True, slots=True)
class AssetMoney:
    """What there is of one asset to sell and to buy back: what is held, and what closed contracts left. Units, both zero or more.

    Attributes:
        owned: All that there is. owed: all that is lacking. They are not netted: what one contract left may be sold while another is owed.
    """

    owned: Decimal
    owed: Decimal

    @property
    def balance(self) -> Decimal:
        """What is owned less what is owed."""
        return EXACT.subtract(self.owned, self.owed)


def asset_money(
    asset: InstrumentId, portfolio: Portfolio, trades: Iterable[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]
) -> AssetMoney:
    """Return what there is of an asset once what settles in it has been closed by the trades. Those of the asset itself do not count."""
    held = {holding.instrument_id: holding for holding in portfolio.holdings}
    parts = [held[asset].quantity] if asset in held else []
    parts += [
        EXACT.minus(holding.cost)
        for holding in portfolio.holdings
        if not holding.quantity and instruments[holding.instrument_id].settlement == asset
    ]
    for trade in trades:
        instrument = instruments[trade.instrument_id]
        if not instrument.is_asset and instrument.settlement == asset:
            closed = EXACT.minus(trade.quantity)
            parts.append(left_by_closing(held[trade.instrument_id], instrument, quantity=closed, price=trade.expected_price))
    return AssetMoney(exact_sum(max(Decimal(0), part) for part in parts), exact_sum(max(Decimal(0), -part) for part in parts))


def check_orders(trades: Iterable[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]) -> None:
    """Return if every trade is an order as a plan makes them; INVALID_ARGUMENT or INVALID_PRICE otherwise.

    An asset is sold for the base currency, which is what its prices are in, and anything else settles in what it settles in. What trading
    is expected to cost is never less than nothing.
    """
    for trade in trades:
        instrument = instruments[trade.instrument_id]
        expected = BASE_CURRENCY if instrument.is_asset else instrument.settlement
        is_named = trade.settlement == expected or (trade.settlement is None and not instrument.is_asset)
        require_argument(is_named, f"settlement of {trade.instrument_id}", trade.settlement, expected)
        require_argument(trade.cost >= 0, f"cost of {trade.instrument_id}", trade.cost, "0 or more")
        check_trade_price(instrument, trade.expected_price)
        check_trade_price(instrument, trade.limit_price)


def cannot_reduce(
    portfolio: Portfolio, trades: Iterable[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]
) -> InstrumentId | None:
    """Return the first contract of which less is held than the trades close, so that they would turn it over; None if there is none.

    Money is left out: how much of it there is to trade is known once the contracts are closed.
    """
    left = {holding.instrument_id: holding.quantity for holding in portfolio.holdings}
    for trade in trades:
        name = trade.instrument_id
        if not instruments[name].is_asset:
            before = left.get(name, Decimal(0))
            left[name] = EXACT.add(before, trade.quantity)
            if before * trade.quantity >= 0 or before * left[name] < 0:
                return name
    return None


def check_reduces(portfolio: Portfolio, trades: Sequence[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]) -> None:
    """Return if the trades reduce what is held of every instrument, and on the way turn nothing over; INVALID_ARGUMENT otherwise.

    All trades of one instrument are on one side: two that cross each other may reduce together and turn it over in between.
    Of an asset, what contracts leave that the trades close may be sold too, and what they leave owing may be bought back: at the prices
    that the trades expect.
    """
    held = {holding.instrument_id: holding.quantity for holding in portfolio.holdings}
    traded: dict[InstrumentId, Decimal] = {}
    for trade in trades:
        is_one_way = trade.quantity * traded.get(trade.instrument_id, Decimal(0)) >= 0
        require_argument(is_one_way, f"trade of {trade.instrument_id}", trade.quantity, "all trades of one instrument on one side")
        traded[trade.instrument_id] = EXACT.add(traded.get(trade.instrument_id, Decimal(0)), trade.quantity)
    contracts = [trade for trade in trades if not instruments[trade.instrument_id].is_asset]
    for name, quantity in traded.items():
        before = held.get(name, Decimal(0))
        if not instruments[name].is_asset:
            left = EXACT.add(before, quantity)
            reduces = bool(before) and before * left >= 0 and abs(left) < abs(before)
            require_argument(reduces, f"trade of {name}", quantity, f"one that reduces {before}")
    # Only now, because what a contract leaves is said of one that is held.
    for name, quantity in traded.items():
        if instruments[name].is_asset:
            money = asset_money(name, portfolio, contracts, instruments)
            slack = EXACT.multiply(LEDGER_UNIT, Decimal(len(contracts)))  # each left what it left rounded
            fits = bool(quantity) and -money.owned - slack <= quantity <= money.owed + slack
            require_argument(fits, f"trade of {name}", quantity, f"a sale of at most {money.owned} or a purchase of at most {money.owed}")


def liquidation_words(
    account: AccountRef, snapshot_id: SnapshotId, sequence: int, trades: Sequence[PlannedTrade], *, target_utilization: Decimal | None
) -> str:
    """Return in words what two persons approve of: every order with its limit, and where they are to end."""
    orders = "; ".join(
        f"{'sell' if trade.quantity < 0 else 'buy'} {format_decimal(trade.quantity.copy_abs())} {trade.instrument_id} at "
        f"{format_decimal(trade.limit_price)} or better"
        for trade in trades
    )
    cost = format_decimal(exact_sum(trade.cost for trade in trades))
    end = "the target of the risk parameters" if target_utilization is None else f"utilization {format_decimal(target_utilization)}"
    return (
        f"liquidate {account} to {end} as planned at snapshot {snapshot_id} and entry {sequence}, at an expected cost of {cost}: {orders}"
    )
