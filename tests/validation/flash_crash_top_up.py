"""What a client would have been told to deliver when a desk first asks, and the account once he has delivered it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, InstrumentId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, net_holdings
from crossmargin.domain.top_up import InventoryItem, TopUp, TopUpGoal, TopUpTarget
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.top_up_trial import TopUpTrial, cheapest_top_up

_BOOK: Final = BookId("main")
INVENTORY: Final = (
    InventoryItem(InstrumentId("UST-BILL-2027-05-20"), Decimal(1_500_000), Decimal("0.001"), lot=Decimal(100_000)),
    InventoryItem(InstrumentId("RLUSD"), Decimal(1_000_000), Decimal("0.002")),
    InventoryItem(InstrumentId("USD"), Decimal(5_000_000), Decimal("0.004")),
    InventoryItem(InstrumentId("BTC"), Decimal(30), Decimal("0.01")),
)
"""What the client has elsewhere, and what a dollar of it costs him a month (house): bills that lie idle, stablecoins, borrowed dollars, and
coins that he would have to borrow."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What was suggested at a tick, and delivered at once."""

    at: datetime
    account: AccountRef
    top_up: TopUp

    @property
    def delivered(self) -> Mapping[InstrumentId, Decimal]:
        """Quantities, by what they are of."""
        return {line.instrument_id: line.quantity for line in self.top_up.lines if line.quantity}

    @property
    def value(self) -> Decimal:
        """What was delivered is worth in the market, USD."""
        return sum((line.market_value for line in self.top_up.lines), Decimal(0))

    @property
    def cost(self) -> Decimal:
        """What delivering it costs the client a month, USD."""
        return sum((line.cost for line in self.top_up.lines), Decimal(0))


def advised(at: datetime, account: AccountRef, portfolios: Mapping[AccountRef, Portfolio], view: MarketView, target: Decimal) -> Advice:
    """Return the cheapest delivery that brings an account to a utilization at a market: what `SuggestTopUp` says."""
    states = {ref: _state(portfolio) for ref, portfolio in portfolios.items() if ref.client_id == account.client_id}
    places = {each.instrument_id: each.quantity_places for each in view.market.instruments}
    goal = TopUpTarget(TopUpGoal.UTILIZATION, target)
    return Advice(at, account, cheapest_top_up(TopUpTrial(view, states, account, INVENTORY, goal, called=None, places=places)))


def after_delivery(portfolio: Portfolio, delivered: Mapping[InstrumentId, Decimal]) -> Portfolio:
    """Return an account with a delivery."""
    added = [Position(_BOOK, name, quantity) for name, quantity in delivered.items()]
    return replace(portfolio, holdings=net_holdings([*_positions(portfolio), *added]))


def _state(portfolio: Portfolio) -> AccountState:
    head = AccountHead(portfolio.account, portfolio.mode, AccountStatus.OPEN, portfolio.sequence, b"")
    parent = AccountId("core") if portfolio.mode is AccountMode.ISOLATED else None
    account = Account(portfolio.account, "An account", portfolio.mode, parent, methodology=portfolio.methodology)
    return AccountState(account, head, tuple(_positions(portfolio)), portfolio.policies)


def _positions(portfolio: Portfolio) -> list[Position]:
    return [Position(_BOOK, each.instrument_id, each.quantity, each.cost) for each in portfolio.holdings]
