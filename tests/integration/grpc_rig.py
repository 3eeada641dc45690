"""A real server and a real channel over the use cases on memory, for the tests of the API."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from math import sin
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.type.date_pb2 import Date
from grpc_status import rpc_status

from crossmargin.adapters.grpc_server.context import local_caller
from crossmargin.adapters.grpc_server.server import Access, build_server
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
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin.api.v1.account_service_pb2_grpc import AccountServiceStub
from crossmargin.api.v1.book_service_pb2_grpc import BookServiceStub
from crossmargin.api.v1.collateral_service_pb2_grpc import CollateralServiceStub
from crossmargin.api.v1.margin_call_service_pb2_grpc import MarginCallServiceStub
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceStub
from crossmargin.api.v1.market_service_pb2_grpc import MarketServiceStub
from crossmargin.api.v1.reference_service_pb2_grpc import ReferenceServiceStub
from crossmargin.api.v1.risk_service_pb2_grpc import RiskServiceStub
from crossmargin.app import Ports, build_use_cases
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.domain.parameter_governance import put_in_force
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, WriteRequest
from crossmargin.usecases.use_cases import UseCases
from tests.builders import risk_parameters

ALPHA = "clients/alpha/accounts/core"
BETA = "clients/beta/accounts/core"
EXECUTED = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
FIRST_DAY = date(2025, 1, 1)
DAY_COUNT = 150
PATIENCE_S = 20.0
"""How long a test waits for what must happen before it fails."""


@dataclass
class RecordedRpcs:
    """Counts calls as the metrics would."""

    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: dict[str, str] = field(default_factory=dict)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def started(self, service: str, method: str, kind: str) -> None:
        self.starts[method] += 1
        self.kinds[f"{service}/{method}"] = kind
        self._changed.set()

    def refused(self, service: str, method: str, reason: str) -> None:
        self.refusals[method, reason] += 1

    def handled(self, service: str, method: str, kind: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.ends[method, code] += 1
        self._changed.set()

    async def has_started(self, method: str) -> None:
        await self._until(lambda: self.starts[method] > 0)

    async def codes_of(self, method: str) -> list[str]:
        """The codes of all calls of a method that have started, once they have ended."""
        await self._until(lambda: self.starts[method] == sum(n for (name, _), n in self.ends.items() if name == method) > 0)
        return sorted(code for (name, code), n in self.ends.items() if name == method for _ in range(n))

    async def _until(self, claim) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not claim():
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Rig:
    """One running service and the stubs of a client of it."""

    channel: grpc.aio.Channel
    metrics: RecordedRpcs
    use_cases: UseCases
    address: str
    audit: list[AuditEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reference = ReferenceServiceStub(self.channel)
        self.accounts = AccountServiceStub(self.channel)
        self.books = BookServiceStub(self.channel)
        self.collateral = CollateralServiceStub(self.channel)
        self.market = MarketServiceStub(self.channel)
        self.margin = MarginServiceStub(self.channel)
        self.calls = MarginCallServiceStub(self.channel)
        self.risk = RiskServiceStub(self.channel)

    async def entries(self, account: str = ALPHA) -> list[books_pb.Entry]:
        return list((await self.books.ListEntries(books_pb.ListEntriesRequest(account=account, page_size=1000))).entries)

    async def positions(self, account: str = ALPHA) -> dict[str, str]:
        answer = await self.books.ListPositions(books_pb.ListPositionsRequest(account=account))
        return {position.instrument_id: position.quantity for position in answer.positions}


@dataclass
class Refusal:
    """What a caller learns from a failed call."""

    code: str
    message: str
    reason: str
    facts: dict[str, str]
    fields: dict[str, str]
    retry_s: int | None


async def refusal_of(call) -> Refusal:
    """Await a call that must fail, and return how it failed."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return unpacked(error)
    raise AssertionError(f"the call was answered: {answer}")


def unpacked(error: grpc.aio.AioRpcError) -> Refusal:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        found = [message for message in (info, bad, retry) if detail.Unpack(message)]
        assert found, f"unexpected detail {detail.type_url}"
    if info.reason:
        assert info.domain == "crossmargin"
    retry_s = retry.retry_delay.seconds if retry.HasField("retry_delay") else None
    fields = {violation.field: violation.description for violation in bad.field_violations}
    return Refusal(error.code().name, error.details() or "", info.reason, dict(info.metadata), fields, retry_s)


@asynccontextmanager
async def memory_use_cases(*, clock: Clock | None = None, **changes: Any) -> AsyncIterator[UseCases]:
    """The real use cases over an empty memory database with small risk parameters in force, some keys of them changed."""
    database = MemoryDatabase()
    compute = ThreadComputePool()
    ports = Ports(
        writer=MemoryWriter(database),
        books=MemoryBookReader(database),
        instruments=MemoryInstrumentReader(database),
        market=MemoryMarketStore(database),
        history=MemoryMarginHistory(database),
        calls=MemoryCallStore(database),
        liquidations=MemoryLiquidationStore(database),
        parameters=MemoryParameterStore(database),
        clock=clock or SystemClock(),
        reconciliation=MemoryReconciliationStore(database),
        pending=MemoryPendingRequests(database),
        compute=compute,
        quotes=MemoryQuoteStore(database),
        breakers=MemoryBreakerStore(database),
        quote_metrics=MemoryQuoteMetrics(),
        request_reports=MemoryRequestReports(),
        call_reports=MemoryCallReports(),
        liquidation_reports=MemoryLiquidationReports(),
        audit=MemoryAuditTrail(database),
    )
    parameters = risk_parameters(observation_count=100, minimum_observation_count=50, **changes)

    async def decide(_: object) -> Decision:
        return Decision(response=b"", records=(put_in_force(parameters, "test", EXECUTED),))

    await ports.writer.write(WriteRequest("test", "StoreParameters", "1", sha256(b"1").digest()), decide)
    try:
        yield build_use_cases(ports, CurrentMarket(ports.instruments, ports.market, ports.parameters, compute))
    finally:
        compute.close()


@asynccontextmanager
async def served(use_cases: UseCases, *, reflection: bool = True, options: tuple[tuple[str, int], ...] = ()) -> AsyncIterator[Rig]:
    """A server of these use cases on a free port, and a channel to it; `options` are the channel's."""
    metrics, audit = RecordedRpcs(), list[AuditEvent]()
    server = build_server(use_cases, address="127.0.0.1:0", access=local_access(audit), metrics=metrics, reflection=reflection)
    address = f"127.0.0.1:{await server.start()}"
    try:
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yield Rig(channel, metrics, use_cases, address, audit)
    finally:
        await server.stop(0)


def local_access(audit: list[AuditEvent] | None = None) -> Access:
    """What a server in insecure mode lets in; its audit trail goes to a list."""
    return Access(local_caller, ([] if audit is None else audit).append, SystemClock())


async def create_books(rig: Rig) -> None:
    """Two clients with an account each; US dollars, bitcoin, a perpetual and a bond."""
    for client in ("alpha", "beta"):
        await rig.accounts.CreateClient(
            accounts_pb.CreateClientRequest(request_id=client, client=accounts_pb.Client(client_id=client, display_name=client.title()))
        )
        account = accounts_pb.Account(name=f"clients/{client}/accounts/core", display_name="Core", mode=accounts_pb.ACCOUNT_MODE_CROSS)
        await rig.accounts.CreateAccount(accounts_pb.CreateAccountRequest(request_id=client, account=account))
    for instrument in (usd(), btc(), btc_perpetual(), ust_bond()):
        await rig.reference.CreateInstrument(
            reference_pb.CreateInstrumentRequest(request_id=instrument.instrument_id, instrument=instrument)
        )


async def publish_market(rig: Rig) -> str:
    """History and a snapshot that margin can be computed at; return the snapshot's id."""
    await rig.market.ImportHistory(iter([history_block()]))
    snapshot = market_pb.MarketSnapshot(as_of_time=timestamp(EXECUTED), levels={"spot:BTC": "50000", "zero:USD:1Y": "0.04"})
    answer = await rig.market.PublishSnapshot(market_pb.PublishSnapshotRequest(snapshot=snapshot))
    return answer.snapshot_id


def history_block(day_count: int = DAY_COUNT) -> market_pb.ImportHistoryRequest:
    days = [FIRST_DAY + timedelta(days=n) for n in range(day_count)]
    bitcoin = [f"{50_000 + 3_000 * sin(n):.2f}" for n in range(day_count)]
    rate = [f"{0.04 + 0.002 * sin(2 * n):.6f}" for n in range(day_count)]
    return market_pb.ImportHistoryRequest(
        dates=[day_message(day) for day in days],
        columns=[
            market_pb.FactorColumn(factor_id="spot:BTC", levels=bitcoin),
            market_pb.FactorColumn(factor_id="zero:USD:1Y", levels=rate),
        ],
    )


def usd() -> reference_pb.Instrument:
    return reference_pb.Instrument(
        instrument_id="USD", quantity_places=2, collateral_class="USD", cash=reference_pb.CashTerms(currency="USD")
    )


def btc() -> reference_pb.Instrument:
    return reference_pb.Instrument(
        instrument_id="BTC", quantity_places=8, collateral_class="BTC", crypto_asset=reference_pb.CryptoAssetTerms()
    )


def btc_perpetual() -> reference_pb.Instrument:
    terms = reference_pb.PerpetualTerms(underlying="BTC", settlement="USD", multiplier="1", payoff=reference_pb.PAYOFF_LINEAR)
    return reference_pb.Instrument(instrument_id="BTC-USD-PERP", quantity_places=3, perpetual=terms)


def ust_bond() -> reference_pb.Instrument:
    terms = reference_pb.FixedRateBondTerms(
        settlement="USD",
        coupon_rate="0.0425",
        coupons_per_year=2,
        issue_date=day_message(date(2025, 5, 15)),
        maturity_date=day_message(date(2030, 5, 15)),
    )
    return reference_pb.Instrument(instrument_id="UST-2030", collateral_class="GOVERNMENT", fixed_rate_bond=terms)


def a_trade(instrument: str = "BTC", quantity: str = "1.5", price: str = "50000", **changes) -> books_pb.Trade:
    """A trade at a valid time; paid in US dollars when it buys a coin."""
    fields = {"execute_time": timestamp(EXECUTED), "settlement": "USD" if instrument == "BTC" else ""} | changes
    return books_pb.Trade(instrument_id=instrument, quantity=quantity, price=price, **fields)


def a_batch(*trades: books_pb.Trade, request_id: str = "batch-1", account: str = ALPHA) -> books_pb.RecordTradesRequest:
    return books_pb.RecordTradesRequest(request_id=request_id, account=account, trades=trades)


def a_deposit(quantity: str = "1000000", *, request_id: str = "deposit-1", account: str = ALPHA, **changes) -> collateral_pb.DepositRequest:
    fields = {"instrument_id": "USD", "receive_time": timestamp(EXECUTED)} | changes
    return collateral_pb.DepositRequest(request_id=request_id, account=account, quantity=quantity, **fields)


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def day_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)
