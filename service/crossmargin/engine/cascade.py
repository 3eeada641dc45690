"""A shock, and rounds of liquidations whose flow moves prices until nobody is left to fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.cascade import CascadeRound, CascadeSummary, CascadeTerms, FallenAccount, GroupFlow
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId, OffsetGroupId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation import LiquidationTerms, PlannedTrade, after_trades
from crossmargin.domain.margin import Band
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, net_holdings
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.stress import StressFailure, StressStanding
from crossmargin.engine.axes import ByFactor
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.engine.liquidation_cost import decimal_price, quote_of, traded_exposure
from crossmargin.engine.market_depth import MarketDepth
from crossmargin.engine.moved_account import split_at_rest
from crossmargin.engine.portfolio_arrays import cents_to_decimal, fraction_to_decimal
from crossmargin.engine.revaluation import moved_values
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.stress import moved_market, own_market, standing_at

_PRICE_UNIT: Final = Decimal("1e-12")
"""Marks are counted in this unit, so that sums of quantities times marks are exact."""
_BOOK: Final = BookId("main")

Marks = Mapping[InstrumentId, tuple[Decimal, Decimal]]
"""Value of one unit and price of what a cost is in, base currency."""


@dataclass(frozen=True, slots=True, eq=False)
class CascadeAccount:
    """An account that takes part; `parent` is the core account of a bucket."""

    portfolio: Portfolio
    parent: AccountRef | None = None


@dataclass(slots=True, eq=False)
class _Account:
    portfolio: Portfolio
    standing: StressStanding
    is_closed: bool = False


class Cascade:
    """Runs round by round; holds what accounts and the street then hold, and how far the market has moved."""

    def __init__(
        self,
        accounts: Sequence[CascadeAccount],
        market: RevaluedMarket,
        parameters: RiskParameters,
        shock: ByFactor,
        terms: CascadeTerms,
        *,
        random: np.random.Generator,
    ) -> None:
        self._market, self._parameters, self._terms, self._random = market, parameters, terms, random
        self._depth = MarketDepth(market.scenarios, parameters, terms)
        self._move = shock.copy()
        self._impacts: dict[OffsetGroupId, float] = {}
        self._instruments: Mapping[InstrumentId, Instrument] = {each.instrument_id: each for each in market.instruments}
        self.failures: list[StressFailure] = []
        self._accounts: dict[AccountRef, _Account] = {}
        self._street: tuple[Holding, ...] = ()
        self._ever_fallen: set[AccountRef] = set()
        self._first_loss = Decimal(0)
        self._number = -1
        self._is_over = False
        self._moved = market
        self._marks = self._marks_at(np.zeros_like(shock))
        for each in accounts if terms.isolated else _joined(accounts):
            self._admit(each.portfolio)

    def rounds(self) -> Iterator[CascadeRound]:
        """Yield the shock as round 0, and then every round in which accounts fall, until none does or there were enough."""
        yield self._shock()
        while self._number < self._terms.most_rounds:
            past = [name for name, each in self._accounts.items() if each.standing.band is Band.LIQUIDATION and not each.is_closed]
            if not past:
                self._is_over = True
                return
            yield self._round([past[place] for place in self._random.permutation(len(past)).tolist()])
        self._is_over = not any(each.standing.band is Band.LIQUIDATION and not each.is_closed for each in self._accounts.values())

    def summary(self) -> CascadeSummary:
        """Return what it came to so far."""
        return CascadeSummary(
            rounds=max(0, self._number),
            account_count=len(self._accounts),
            fallen=len(self._ever_fallen),
            ruined=sum(each.standing.equity < 0 for each in self._accounts.values()),
            first_broker_loss=self._first_loss,
            broker_loss=self._broker_loss(),
            is_over=self._is_over,
            failures=tuple(self.failures),
        )

    def holdings(self) -> Mapping[AccountRef | None, Sequence[Holding]]:
        """Return what every account holds, and under None the street."""
        return {None: self._street, **{name: each.portfolio.holdings for name, each in self._accounts.items()}}

    def standings(self) -> Mapping[AccountRef, StressStanding]:
        """Return how every account stands."""
        return {name: each.standing for name, each in self._accounts.items()}

    def _admit(self, portfolio: Portfolio) -> None:
        try:
            split = split_at_rest(portfolio, self._market, self._parameters)
            self._accounts[portfolio.account] = _Account(split, standing_at(split, self._market, self._parameters))
        except DomainError as error:
            self.failures.append(StressFailure(portfolio.account, error.reason, error.message))

    def _shock(self) -> CascadeRound:
        before = self._clients(self._marks)
        self._revalue()
        self._first_loss = self._broker_loss()
        after = self._clients(self._marks)
        return self._reported(before, Decimal(0), EXACT.subtract(after, before), flows={}, fallen=())

    def _round(self, past: Sequence[AccountRef]) -> CascadeRound:
        """Sell out the accounts in the order given, each at what its own flow meets; then move the market and look at everybody."""
        at_start, before = self._marks, self._clients(self._marks)
        stood = {name: self._accounts[name].standing for name in past}
        flows: dict[OffsetGroupId, float] = {}
        for name in past:
            self._sell_out(name, flows)
        self._ever_fallen |= set(past)
        traded = self._clients(at_start)
        impacts = {group: self._depth.impact(group, flow) for group, flow in flows.items()}
        for group, impact in impacts.items():
            self._impacts[group] = self._impacts.get(group, 0.0) + impact
        self._move = self._move + self._depth.move(impacts)
        self._revalue()
        fallen = tuple(FallenAccount(name, stood[name], self._accounts[name].standing, self._accounts[name].is_closed) for name in past)
        revalued = EXACT.subtract(self._clients(self._marks), traded)
        return self._reported(before, EXACT.subtract(before, traded), revalued, flows=flows, fallen=fallen)

    def _sell_out(self, name: AccountRef, flows: dict[OffsetGroupId, float]) -> None:
        """Trade an account's plan against the street, and add what it trades to the flow of the round."""
        account = self._accounts[name]
        market = own_market(account.portfolio, self._moved)
        terms = LiquidationTerms(self._terms.rules(self._parameters.liquidation))
        plan = plan_liquidation(account.portfolio, market, self._parameters, terms)
        trades = [trade for piece in plan.pieces for trade in piece.trades]
        own = _flows(trades, market)
        met = {group: self._depth.average(group, flows.get(group, 0.0), flows.get(group, 0.0) + flow) for group, flow in own.items()}
        executed = self._priced(trades, self._move + self._depth.move(met))
        for group, flow in own.items():
            flows[group] = flows.get(group, 0.0) + flow
        # What is left of it may fall again, once there is something left to sell.
        account.is_closed = not executed or not plan.reaches_target
        before = account.portfolio.holdings
        account.portfolio = after_trades(account.portfolio, executed, self._instruments)
        self._street = net_holdings([*_positions(self._street), *_positions(before), *_turned(account.portfolio.holdings)])

    def _priced(self, trades: Sequence[PlannedTrade], move: ByFactor) -> list[PlannedTrade]:
        """Return the trades at what their instruments are worth at a move: by full revaluation."""
        marks = self._values_at(move)
        found = []
        for trade in trades:
            instrument = self._instruments[trade.instrument_id]
            value, settlement = marks[trade.instrument_id]
            price = quote_of(instrument, value, 1.0 if instrument.is_asset else settlement)
            found.append(replace(trade, expected_price=decimal_price(price)))
        return found

    def _revalue(self) -> None:
        self._moved = moved_market(self._market, self._parameters, self._move)
        self._marks = self._marks_at(self._move)
        for account in self._accounts.values():
            account.standing = standing_at(account.portfolio, self._moved, self._parameters)

    def _reported(
        self,
        before: Decimal,
        paid: Decimal,
        revaluation: Decimal,
        *,
        flows: Mapping[OffsetGroupId, float],
        fallen: tuple[FallenAccount, ...],
    ) -> CascadeRound:
        self._number += 1
        bands = Counter(each.standing.band for each in self._accounts.values())
        return CascadeRound(
            number=self._number,
            clients_before=before,
            paid_to_street=paid,
            revaluation=revaluation,
            clients_after=self._clients(self._marks),
            street_after=_worth(self._street, self._marks),
            bands=tuple(bands[band] for band in Band),
            broker_loss=self._broker_loss(),
            flows=tuple(
                GroupFlow(group, cents_to_decimal(round(flow * 100)), fraction_to_decimal(float(np.expm1(self._impacts.get(group, 0.0)))))
                for group, flow in sorted(flows.items())
            ),
            fallen=fallen,
        )

    def _broker_loss(self) -> Decimal:
        return exact_sum(max(Decimal(0), -each.standing.equity) for each in self._accounts.values())

    def _clients(self, marks: Marks) -> Decimal:
        return exact_sum(_worth(each.portfolio.holdings, marks) for each in self._accounts.values())

    def _marks_at(self, move: ByFactor) -> Marks:
        return {
            name: (EXACT.quantize(Decimal(value), _PRICE_UNIT), EXACT.quantize(Decimal(settlement), _PRICE_UNIT))
            for name, (value, settlement) in self._values_at(move).items()
        }

    def _values_at(self, move: ByFactor) -> Mapping[InstrumentId, tuple[float, float]]:
        snapshot = self._market.snapshot
        if snapshot is None:
            raise ValueError("a market that has moved already has no snapshot to move again")
        market = self._market
        units, settlements = moved_values(
            market.instruments, snapshot, move[np.newaxis], market.scenarios, self._parameters, kernels=market.kernels
        )
        names = sorted(self._instruments)
        pairs = zip(names, units[:, 0].tolist(), settlements[:, 0].tolist(), strict=True)
        return {name: (value, settlement) for name, value, settlement in pairs}


def _joined(accounts: Sequence[CascadeAccount]) -> list[CascadeAccount]:
    """Return the accounts with every bucket in its core: as if there were no isolation."""
    cores = {each.portfolio.account: each for each in accounts if each.parent is None or each.portfolio.mode is AccountMode.CROSS}
    joined = {name: [each.portfolio] for name, each in cores.items()}
    for each in accounts:
        if each.portfolio.account not in cores:
            joined.setdefault(each.parent or each.portfolio.account, []).append(each.portfolio)
    return [CascadeAccount(_merged(parts)) for parts in joined.values()]


def _merged(parts: Sequence[Portfolio]) -> Portfolio:
    first, *buckets = parts
    if not buckets:
        return first
    positions = [position for part in parts for position in _positions(part.holdings)]
    policies = {name: policy for part in reversed(parts) for name, policy in part.policies.items()}
    return replace(first, mode=AccountMode.CROSS, holdings=net_holdings(positions), policies=policies)


def _positions(holdings: Sequence[Holding]) -> list[Position]:
    return [Position(_BOOK, holding.instrument_id, holding.quantity, holding.cost) for holding in holdings]


def _turned(holdings: Sequence[Holding]) -> list[Position]:
    return [Position(_BOOK, each.instrument_id, EXACT.minus(each.quantity), EXACT.minus(each.cost)) for each in holdings]


def _flows(trades: Sequence[PlannedTrade], market: RevaluedMarket) -> dict[OffsetGroupId, float]:
    """Return what trades buy (+) and sell (-) of each offset group, exposure in base currency."""
    found: dict[OffsetGroupId, float] = {}
    for trade in trades:
        for place, exposure in traded_exposure(market, market.row_of[trade.instrument_id]):
            group = market.groups[place]
            found[group] = found.get(group, 0.0) + float(trade.quantity) * exposure
    return found


def _worth(holdings: Sequence[Holding], marks: Marks) -> Decimal:
    """Return what holdings are worth at marks, before haircuts; exact."""
    found = []
    for holding in holdings:
        value, settlement = marks[holding.instrument_id]
        found += [EXACT.multiply(holding.quantity, value), EXACT.minus(EXACT.multiply(holding.cost, settlement))]
    return exact_sum(found)
