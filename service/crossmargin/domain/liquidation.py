"""A plan to close out a part of an account: what to trade, in pieces and at what limits, until utilization is back where it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.book import ledger_amount
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.instrument import Instrument, consideration
from crossmargin.domain.money import EXACT, format_decimal
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, net_holdings
from crossmargin.domain.stress import StressStanding

TARGET_UTILIZATION: Final = Decimal("0.75")
"""Where a liquidation ends: the house's own choice, below the line at which margin is called."""
IMPACT_COEFFICIENT: Final = Decimal(1)
"""Y of the square-root law, cost = Y sigma sqrt(Q / V) of the amount Q, a day's volatility sigma and volume V: of order one in every
market that was measured (Almgren, Thum, Hauptmann and Li 2005; Toth et al. 2011, "Anomalous price impact and the critical nature of
liquidity in financial markets")."""
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
        target_utilization: Where to end, above 0 and below 1.
        impact_coefficient: Of the square-root law; zero trades at half the spread.
        depth: Order books, for those instruments of which one is at hand.
        untouchable: Instruments that cannot be traded now, such as those whose price is in doubt.
    """

    target_utilization: Decimal = TARGET_UTILIZATION
    impact_coefficient: Decimal = IMPACT_COEFFICIENT
    depth: Mapping[InstrumentId, OrderBook] = field(default_factory=dict)
    untouchable: frozenset[InstrumentId] = frozenset()

    def __post_init__(self) -> None:
        _require(0 < self.target_utilization < 1, "target_utilization", self.target_utilization, "above 0 and below 1")
        _require(0 <= self.impact_coefficient <= 100, "impact_coefficient", self.impact_coefficient, "0 to 100")


@dataclass(frozen=True, slots=True)
class PlannedTrade:
    """One order of a plan.

    Attributes:
        quantity: Signed; negative sells. It only ever reduces what is held.
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
        before: The account as it is. After the last piece it is at or below the target, unless `reaches_target` is False.
        cost: What all trades are expected to cost.
        least_cost: No choice of trades at these costs can cost less, as far as risk and cost bend the way they are counted on to.
        reaches_target: False when even closing all that can be traded does not get there.
        left_out: Holdings that no order was planned for because they cannot be traded now.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    as_of: datetime
    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    engine_version: str
    target_utilization: Decimal
    before: StressStanding
    pieces: tuple[LiquidationPiece, ...]
    cost: Decimal
    least_cost: Decimal
    reaches_target: bool
    left_out: tuple[InstrumentId, ...] = ()

    @property
    def after(self) -> StressStanding:
        """The account once everything is done."""
        return self.pieces[-1].after if self.pieces else self.before

    @property
    def trades(self) -> tuple[PlannedTrade, ...]:
        """All orders, in the order in which they are placed."""
        return tuple(trade for piece in self.pieces for trade in piece.trades)


def after_trades(portfolio: Portfolio, trades: Iterable[PlannedTrade], instruments: Mapping[InstrumentId, Instrument]) -> Portfolio:
    """Return an account after trades at their expected prices, posted as the ledger would: a contract its cost, anything else money."""
    positions = [Position(_BOOK, holding.instrument_id, holding.quantity, holding.cost) for holding in portfolio.holdings]
    for trade in trades:
        positions += _postings(trade, instruments[trade.instrument_id])
    return replace(portfolio, holdings=net_holdings(positions))


def check_reduces(portfolio: Portfolio, trades: Iterable[PlannedTrade]) -> None:
    """Return if the trades, all together, reduce what is held of every instrument and turn nothing over; INVALID_ARGUMENT otherwise."""
    held = {holding.instrument_id: holding.quantity for holding in portfolio.holdings}
    traded: dict[InstrumentId, Decimal] = {}
    for trade in trades:
        traded[trade.instrument_id] = EXACT.add(traded.get(trade.instrument_id, Decimal(0)), trade.quantity)
    for name, quantity in traded.items():
        before = held.get(name, Decimal(0))
        left = EXACT.add(before, quantity)
        reduces = bool(before) and before * left >= 0 and abs(left) < abs(before)
        _require(reduces, f"trade of {name}", quantity, f"one that reduces {before}")


def liquidation_words(account: AccountRef, snapshot_id: SnapshotId, sequence: int, trades: Iterable[PlannedTrade]) -> str:
    """Return in words what two persons approve of: every order with its limit."""
    orders = "; ".join(
        f"{'sell' if trade.quantity < 0 else 'buy'} {format_decimal(trade.quantity.copy_abs())} {trade.instrument_id} at "
        f"{format_decimal(trade.limit_price)} or better"
        for trade in trades
    )
    return f"liquidate {account} as planned at snapshot {snapshot_id} and entry {sequence}: {orders}"


def _postings(trade: PlannedTrade, instrument: Instrument) -> Sequence[Position]:
    amount = ledger_amount(consideration(instrument, quantity=trade.quantity, price=trade.expected_price))
    if instrument.is_margined:
        return [Position(_BOOK, trade.instrument_id, trade.quantity, amount)]
    paid_in = trade.settlement or instrument.settlement
    return [Position(_BOOK, trade.instrument_id, trade.quantity), Position(_BOOK, paid_in, EXACT.minus(amount))]


def _require(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    if not claim:
        raise DomainError(Reason.INVALID_ARGUMENT, f"{name} was {value}; expected {expected}", field=name, value=value, expected=expected)
