"""A whole house over memory: every use case on real adapters, the shipped parameters and a small seeded market."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import TypeVar

from crossmargin.adapters.memory.audit_trail import MemoryAuditTrail
from crossmargin.adapters.memory.books import MemoryBookReader
from crossmargin.adapters.memory.breakers import MemoryBreakerStore
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.instruments import MemoryInstrumentReader
from crossmargin.adapters.memory.liquidation import MemoryLiquidationStore
from crossmargin.adapters.memory.margin_calls import MemoryCallStore
from crossmargin.adapters.memory.margin_history import MemoryMarginHistory
from crossmargin.adapters.memory.market import MemoryMarketStore
from crossmargin.adapters.memory.metrics import MemoryCallReports, MemoryLiquidationReports, MemoryQuoteMetrics, MemoryRequestReports
from crossmargin.adapters.memory.pending_requests import MemoryPendingRequests
from crossmargin.adapters.memory.quotes import MemoryQuoteStore
from crossmargin.adapters.memory.reconciliation import MemoryReconciliationStore
from crossmargin.adapters.memory.risk_parameters import MemoryParameterStore
from crossmargin.adapters.memory.writer import MemoryWriter
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.standard_parameters import standard_parameters_document
from crossmargin.app import Ports, build_use_cases, store_shipped_parameters
from crossmargin.domain.account import Account, AccountMode, Client
from crossmargin.domain.book import Deposit, Trade
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId, PendingRequestId, RiskParameterSetId
from crossmargin.domain.instrument import Cash, CryptoAsset, FxForward, Instrument, Payoff, Perpetual
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.engine_stage import stage_of
from crossmargin.usecases.review_calls import ReviewCalls
from crossmargin.usecases.review_liquidations import ReviewLiquidations
from crossmargin.usecases.use_cases import UseCases

B = TypeVar("B")
S = TypeVar("S")
T = TypeVar("T")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HISTORY_DAYS = 300
"""Enough for the 250 observations that the shipped parameters ask for."""
SEED = 20260302
USD, BTC, ETH, BTC_PERP = (InstrumentId(name) for name in ("USD", "BTC", "ETH", "BTC-PERP"))
DOLLARS = Instrument(USD, Cash("USD"), 2, "USD")
EUROS = Instrument(InstrumentId("EUR"), Cash("EUR"), 2, "G10_CASH")
BITCOIN = Instrument(BTC, CryptoAsset(), 8, "BTC")
ETHER = Instrument(ETH, CryptoAsset(), 18, "ETH")
PERPETUAL = Instrument(BTC_PERP, Perpetual(BTC, USD, Decimal(1), Payoff.LINEAR), 3)
CORE = AccountRef(ClientId("alpha"), AccountId("core"))


def unexplained(result: MarginResult) -> MarginResult:
    """A margin as whoever decides gets it: without what explains it."""
    return replace(result, groups=(), contributions=(), worst_scenarios=())


class CountingPool(ThreadComputePool):
    """Runs work on a thread, or where it is when it is small, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.run_count = 0
        self.small_count = 0
        self.stages: list[str] = []

    async def run_small(self, work: Callable[[], T]) -> T:
        self.small_count += 1
        self.stages.append(stage_of(work))
        return await super().run_small(work)

    async def run(self, work: Callable[[], T]) -> T:
        self.run_count += 1
        self.stages.append(stage_of(work))
        return await super().run(work)

    async def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        def counted() -> Iterator[B]:
            for block in blocks:
                self.run_count += 1
                yield block

        async with aclosing(super().over_blocks(shared, work, counted())) as results:
            async for result in results:
                yield result


class SteppedClock:
    """Time that passes only when a test says so: one sleeper at a time, woken by `tick`."""

    def __init__(self) -> None:
        self._now = NOON
        self._sleeper: tuple[float, asyncio.Future[None]] | None = None
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Let time pass, or run backwards, without waking anybody."""
        self._now = moment

    async def sleep(self, seconds: float) -> None:
        self._sleeper = (seconds, asyncio.get_running_loop().create_future())
        self._fell_asleep.set()
        await self._sleeper[1]

    def skip(self, passed: timedelta) -> None:
        """Let time pass in which nobody wakes up."""
        self._now += passed

    async def until_asleep(self) -> None:
        """Return once somebody sleeps: all that was to be done before has been done."""
        async with asyncio.timeout(30):
            await self._fell_asleep.wait()

    async def tick(self) -> None:
        """Wake the sleeper, and return once it sleeps again."""
        await self.wake()
        await self.until_asleep()

    async def wake(self) -> None:
        """Wake the sleeper."""
        await self.until_asleep()
        assert self._sleeper is not None
        seconds, sleeper = self._sleeper
        self._fell_asleep.clear()
        self._now += timedelta(seconds=seconds)
        sleeper.set_result(None)


@dataclass
class House:
    """The service without its edges."""

    database: MemoryDatabase
    compute: CountingPool
    clock: SteppedClock
    ports: Ports
    current_market: CurrentMarket
    use_cases: UseCases
    request_ids: Iterator[int] = field(default_factory=count)

    def caller(self, request_id: str | None = None, *, principal: str = "desk", confirms: PendingRequestId | None = None) -> Caller:
        """A caller with a request id of its own unless one is given."""
        return Caller(principal, request_id or f"request-{next(self.request_ids)}", confirms)

    def review_calls(self, clock: SteppedClock | None = None, *, call_time: time | None = None) -> ReviewCalls:
        """What the monitor does about calls."""
        ports = self.ports
        return ReviewCalls(ports.writer, ports.calls, ports.breakers, ports.call_reports, clock or self.clock, call_time)

    def review_liquidations(self, clock: SteppedClock | None = None) -> ReviewLiquidations:
        """What the monitor does about liquidations."""
        ports = self.ports
        return ReviewLiquidations(ports.writer, ports.liquidations, ports.liquidation_reports, ports.compute, clock or self.clock)

    async def publish(self, bitcoin: str = "60000", *, at: datetime = NOON, doubt: Quality | None = None, **levels: str) -> MarketSnapshot:
        """Publish a market of this bitcoin price, doubted or not, and other factors by `kind_name=level`."""
        factors = {"spot:BTC": bitcoin} | {name.replace("_", ":"): level for name, level in levels.items()}
        quality = {} if doubt is None else {FactorId.parse("spot:BTC"): doubt}
        snapshot = MarketSnapshot(at, {FactorId.parse(name): Decimal(level) for name, level in factors.items()}, {}, quality)
        await self.use_cases.publish_snapshot(snapshot, principal="feed")
        return snapshot

    async def deposit(self, quantity: str, instrument_id: InstrumentId = USD, *, account: AccountRef = CORE) -> None:
        await self.use_cases.deposit_collateral(
            Deposit(account, BookId("main"), instrument_id, Decimal(quantity), NOON), caller=self.caller()
        )

    async def limit(self, limits: ExposureLimits) -> ExposureLimits:
        """Set limits as alice and bob."""
        asked = await self.use_cases.set_exposure_limits(limits, caller=self.caller(principal="alice"))
        assert isinstance(asked, PendingRequest)
        done = await self.use_cases.set_exposure_limits(limits, caller=self.caller(principal="bob", confirms=asked.pending_id))
        assert isinstance(done, ExposureLimits)
        return done

    async def resume(self, client_id: ClientId | None, reason: str = "fixed") -> Halt:
        """End a halt as alice and bob."""
        asked = await self.use_cases.resume_trading(client_id, reason=reason, caller=self.caller(principal="alice"))
        assert isinstance(asked, PendingRequest)
        caller = self.caller(principal="bob", confirms=asked.pending_id)
        done = await self.use_cases.resume_trading(client_id, reason=reason, caller=caller)
        assert isinstance(done, Halt)
        return done

    async def trade(self, quantity: str, *, account: AccountRef = CORE) -> None:
        """Trade bitcoin perpetuals at 60,000."""
        await self.use_cases.record_trades(account, [perpetual_trade(quantity, account=account)], caller=self.caller())

    async def adopt(self, set_id: str, *, active_from: datetime | None = None, ramp_days: int = 0, **changes: object) -> RiskParameterSetId:
        """Propose a variant of the shipped set as alice, approve it as bob, and activate it."""
        name = await self.propose(set_id, **changes)
        await self.use_cases.approve_parameters(name, caller=self.caller(principal="bob"))
        await self.use_cases.activate_parameters(name, active_from=active_from, ramp_days=ramp_days, caller=self.caller(principal="bob"))
        return name

    async def propose(self, set_id: str, **changes: object) -> RiskParameterSetId:
        """Propose a variant of the shipped set as alice."""
        document = json.loads(standard_parameters_document()) | {"set_id": set_id} | changes
        proposed = await self.use_cases.propose_parameters(json.dumps(document), caller=self.caller(principal="alice"))
        return proposed.set_id

    async def open_account(self, account: str, *, client: str = "alpha") -> AccountRef:
        ref = AccountRef(ClientId(client), AccountId(account))
        await self.use_cases.create_client(Client(ref.client_id, "A client"), caller=self.caller())
        await self.use_cases.create_account(Account(ref, "An account", AccountMode.CROSS), caller=self.caller())
        return ref


def an_empty_house(compute: CountingPool) -> House:
    """A house without clients, instruments, market or parameters."""
    database, clock = MemoryDatabase(), SteppedClock()
    ports = Ports(
        writer=MemoryWriter(database),
        books=MemoryBookReader(database),
        instruments=MemoryInstrumentReader(database),
        market=MemoryMarketStore(database),
        history=MemoryMarginHistory(database),
        calls=MemoryCallStore(database),
        liquidations=MemoryLiquidationStore(database),
        parameters=MemoryParameterStore(database),
        reconciliation=MemoryReconciliationStore(database),
        pending=MemoryPendingRequests(database),
        clock=clock,
        compute=compute,
        quotes=MemoryQuoteStore(database),
        breakers=MemoryBreakerStore(database),
        quote_metrics=MemoryQuoteMetrics(),
        request_reports=MemoryRequestReports(),
        call_reports=MemoryCallReports(),
        liquidation_reports=MemoryLiquidationReports(),
        audit=MemoryAuditTrail(database),
    )
    current_market = CurrentMarket(ports.instruments, ports.market, ports.parameters, compute)
    return House(database, compute, clock, ports, current_market, build_use_cases(ports, current_market))


async def furnish(house: House) -> None:
    """Give the house its parameters, instruments, history, a market at noon, and one account without holdings."""
    await store_shipped_parameters(house.ports)
    for instrument in (DOLLARS, BITCOIN, PERPETUAL):
        await house.use_cases.create_instrument(instrument, caller=house.caller())
    await house.use_cases.import_history(a_history("spot:BTC", "spot:ETH"))
    await house.publish()
    await house.open_account("core")


def a_history(*factors: str, days: int = HISTORY_DAYS, seed: int = SEED) -> FactorHistory:
    """Random walks of 3% a day that end the day before the market."""
    dates = tuple(date(2026, 3, 1) - timedelta(days=days - 1 - day) for day in range(days))
    random = Random(seed)  # noqa: S311 - a reproducible market, not a secret
    return FactorHistory(dates, {FactorId.parse(factor): _walk(random, days) for factor in factors})


def _walk(random: Random, days: int) -> tuple[Decimal, ...]:
    level, levels = 100.0, []
    for _ in range(days):
        level *= 1.0 + random.gauss(0.0, 0.03)
        levels.append(Decimal(f"{level:.6f}"))
    return tuple(levels)


def perpetual_trade(quantity: str, *, price: str = "60000", account: AccountRef = CORE, reference: str = "") -> Trade:
    return Trade(account, BookId("main"), BTC_PERP, Decimal(quantity), Decimal(price), NOON, reference=reference)


def spot_trade(quantity: str, *, instrument_id: InstrumentId = BTC, settlement: InstrumentId | None = USD) -> Trade:
    return Trade(CORE, BookId("main"), instrument_id, Decimal(quantity), Decimal(60_000), NOON, settlement)


def an_fx_forward(bought: str = "EUR", sold: str = "USD") -> Instrument:
    terms = FxForward(InstrumentId(bought), InstrumentId(sold), Decimal("1.1"), date(2026, 9, 1))
    return Instrument(InstrumentId("FORWARD"), terms, 2)
