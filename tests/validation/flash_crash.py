"""A flash crash of the past replayed tick by tick against the house of the demo: bands, calls, plans, and what becomes of whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, unique
from pathlib import Path
from typing import Final

from crossmargin.domain.account import AccountMode
from crossmargin.domain.band_memory import BandState, next_band_state
from crossmargin.domain.breaker import entries_between, trips
from crossmargin.domain.call_agreement import house_agreement
from crossmargin.domain.call_life import CallChange, CallNotice, CallTrigger, MarginCall, escalate_overdue, issue
from crossmargin.domain.call_need import may_be_called
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.liquidation import LiquidationPlan, LiquidationTerms, PlanWish, after_trades
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import at_least
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.review_calls import MONITOR, AccountSeen, JudgedAccount
from crossmargin_cli.demo_data.market import AS_OF, COINS
from tests.validation.crash_bars import LEADER, PriceTick, load_bars, moves_of, ticks_of
from tests.validation.demo_house import DemoMarket, demo_portfolios, moved_snapshot, moved_with_proxies, with_house
from tests.validation.flash_crash_top_up import Advice, advised, after_delivery

DEAR_IMPACT: Final = Decimal(25)
"""Coefficient of the square-root law for a book that has all but gone: 25 times that of an ordinary day (house)."""
OVER_LEVERED: Final = AccountRef(ClientId("summit-directional"), AccountId("core"))
"""Of the demo: the account that a crash brings down."""
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Episode:
    """A crash: its days, whole ones, UTC."""

    name: str
    first: date
    last: date


EPISODES: Final = (
    Episode("March 2020", date(2020, 3, 10), date(2020, 3, 16)),
    Episode("October 2025", date(2025, 10, 8), date(2025, 10, 14)),
)


@unique
class EventKind(Enum):
    """What happened to an account at a tick."""

    BAND = "band"
    CALL = "call"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an account. Money in base currency.

    Attributes:
        at: Of the real market. utilization, equity: of the account just then; after a plan, once it is done.
        before: The band it was held in, `after` the one it is held in now.
        amount: What a plan costs; zero for anything else. notice: what became of a call.
        plan: What was planned and done.
        is_immediate: True in a liquidation that waits for no call.
    """

    at: datetime
    account: AccountRef
    kind: EventKind
    before: Band
    after: Band
    utilization: Decimal | None
    equity: Decimal
    amount: Decimal = _NOTHING
    plan: LiquidationPlan | None = None
    is_immediate: bool = False
    notice: CallNotice | None = None


@dataclass(slots=True)
class Replay:
    """One house on the way through a crash.

    Attributes:
        portfolios: What the accounts hold now. states: where the monitor holds them to be. calls: the last one of each account.
        acts: False for a house that watches and does nothing.
        tops_up: The account whose client delivers what is suggested to him when he is first at risk, so that he is no longer on the watch;
            None for nobody. advice: what that was.
        wish: how it liquidates otherwise than the parameters say.
        events: In the order in which they happened. path: every result, by account, one for each tick, after what was done at it.
        tripped: Breakers that tripped, and why. Calls and plans of such a tick are not made.
    """

    parameters: RiskParameters
    portfolios: dict[AccountRef, Portfolio]
    acts: bool = True
    wish: PlanWish = field(default_factory=PlanWish)
    tops_up: AccountRef | None = None
    advice: Advice | None = None
    states: dict[AccountRef, BandState] = field(default_factory=dict)
    calls: dict[AccountRef, MarginCall] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    path: dict[AccountRef, list[MarginResult]] = field(default_factory=dict)
    tripped: list[str] = field(default_factory=list)
    _bands: dict[AccountRef, Band] = field(default_factory=dict)

    def step(self, at: datetime, view: MarketView) -> None:
        """Margin every account at the next tick, and do what its band asks for."""
        self._top_up(at, with_house(view, self.portfolios))
        known = with_house(view, self.portfolios)
        results = {account: known.margin(portfolio) for account, portfolio in sorted(self.portfolios.items())}
        causes = trips(entries_between(self._bands, results.values(), at), self.parameters.market_quality.breakers)
        self.tripped += causes.values()
        self._bands = {account: result.band for account, result in results.items()}
        for account, result in results.items():
            after = self._act(at, account, result, known) if not causes else self._held(at, account, result)
            self.path.setdefault(account, []).append(after)

    def _top_up(self, at: datetime, view: MarketView) -> None:
        """Have delivered what is suggested, once, to the account whose client does as he is told."""
        account = self.tops_up
        if account is None or self.advice is not None:
            return
        result = view.margin(self.portfolios[account])
        if at_least(result.band, Band.AT_RISK):
            self.advice = advised(at, account, self.portfolios, view, self.parameters.bands.watch)
            self.portfolios[account] = after_delivery(self.portfolios[account], self.advice.delivered)

    def _act(self, at: datetime, account: AccountRef, result: MarginResult, view: MarketView) -> MarginResult:
        self._held(at, account, result)
        self._call(at, account, result)
        if result.band is not Band.LIQUIDATION or not self.acts:
            return result
        terms = LiquidationTerms(self.wish.rules(self.parameters.liquidation))
        plan = plan_liquidation(view.known(self.portfolios[account]), view.market, self.parameters, terms)
        if not plan.trades:
            return result
        instruments = {each.instrument_id: each for each in view.market.instruments}
        self.portfolios[account] = after_trades(self.portfolios[account], plan.trades, instruments)
        done = view.margin(self.portfolios[account])
        held = self.states[account].band
        self.states[account] = next_band_state(self.states[account], done, self.parameters)
        self._note(at, account, EventKind.PLAN, done, before=held, amount=plan.cost, plan=plan)
        return done

    def _call(self, at: datetime, account: AccountRef, result: MarginResult) -> None:
        """Issue a call, or see what becomes of the open one, as the monitor does. Nothing is ever delivered."""
        if not may_be_called(self.portfolios[account].mode):
            return
        agreement = house_agreement(account.client_id)
        seen = AccountSeen(result, self.states[account], self.portfolios[account].mode)
        judged = JudgedAccount(seen, agreement, self.parameters)
        call = self.calls.get(account)
        if call is None or not call.is_open:
            standing = judged.standing(CallTrigger.BAND, None)
            if not at_least(result.band, Band.MARGIN_CALL) or not standing.needed:
                return
            self._say(issue(account, standing, agreement, CallTrigger.BAND, call, at=at, by=MONITOR), result)
        overdue = escalate_overdue(self.calls[account], at=at, by=MONITOR)
        if overdue is not None:
            self._say(overdue, result)
        while (call := self.calls[account]).is_open and (change := judged.review_step(call, None, may_press=True)(call, at)):
            self._say(change, result)

    def _say(self, change: CallChange, result: MarginResult) -> None:
        self.calls[change.call.account] = change.call
        self._note(change.notice.at, change.call.account, EventKind.CALL, result, notice=change.notice)

    def _held(self, at: datetime, account: AccountRef, result: MarginResult) -> MarginResult:
        before = self.states.get(account)
        self.states[account] = next_band_state(before, result, self.parameters)
        earlier = Band.HEALTHY if before is None else before.band
        if self.states[account].band is not earlier:
            self._note(at, account, EventKind.BAND, result, before=earlier)
        return result

    def _note(
        self,
        at: datetime,
        account: AccountRef,
        kind: EventKind,
        result: MarginResult,
        *,
        before: Band | None = None,
        amount: Decimal = _NOTHING,
        plan: LiquidationPlan | None = None,
        notice: CallNotice | None = None,
    ) -> None:
        state = self.states[account]
        figures = (result.utilization, result.equity.equity, amount, plan, state.is_immediate, notice)
        self.events.append(Event(at, account, kind, before or state.band, state.band, *figures))


@dataclass(frozen=True, slots=True)
class Crash:
    """An episode replayed by several houses on the same ticks.

    Attributes:
        moves: Of each coin of the demo at each tick, as multiples of its price at the first.
        acted: By the house of the demo. idle: by one that only watches. dear: by one whose orders move the market more.
        without_buckets: By one that has no isolated accounts.
        topped: By one whose over-levered client tops up in advance.
    """

    episode: Episode
    ticks: Sequence[PriceTick]
    moves: Sequence[Mapping[str, float]]
    acted: Replay
    idle: Replay
    dear: Replay
    without_buckets: Replay
    topped: Replay

    @property
    def low(self) -> datetime:
        """When BTC stood lowest."""
        return min(self.ticks, key=lambda tick: tick.prices[LEADER]).at

    @property
    def demo_price(self) -> float:
        """Of BTC in the demo, USD."""
        return COINS[LEADER][0]


Track = Callable[[Sequence[int]], Iterable[int]]
"""Yields what it is given, and may show how far it is."""


def replay_crash(folder: Path, episode: Episode, parameters: RiskParameters, track: Track = iter) -> Crash:
    """Return an episode replayed on the bars of a folder.

    Raises:
        HistoryError: The folder lacks a bar of it.
    """
    return replay_ticks(episode, ticks_of(load_bars(folder, episode.first, episode.last)), parameters, track)


def replay_ticks(episode: Episode, ticks: Sequence[PriceTick], parameters: RiskParameters, track: Track = iter) -> Crash:
    """Return an episode replayed on ticks. The first one is the demo's own market, at the demo's own time; later ones are as much later."""
    moves = [moved_with_proxies(move, parameters) for move in moves_of(ticks)]
    house = demo_portfolios()
    cross = {account: portfolio for account, portfolio in house.items() if portfolio.mode is AccountMode.CROSS}
    acted, idle, without = Replay(parameters, dict(house)), Replay(parameters, dict(house), acts=False), Replay(parameters, cross)
    dear = Replay(parameters, dict(house), wish=PlanWish(impact_coefficient=DEAR_IMPACT))
    topped = Replay(parameters, dict(house), tops_up=OVER_LEVERED)
    market = DemoMarket.at(moved_snapshot(AS_OF, moves[0]), parameters)
    for place in track(range(len(ticks))):
        at = ticks[place].at
        view = market.view(moved_snapshot(AS_OF + (at - ticks[0].at), moves[place]))
        for replay in (acted, idle, dear, without, topped):
            replay.step(at, view)
    return Crash(episode, ticks, moves, acted, idle, dear, without, topped)
