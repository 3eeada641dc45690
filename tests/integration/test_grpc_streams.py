"""Streams: what is half sent is not stored, what is not read is cut, and what is watched is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import grpc
import pytest
import pytest_asyncio

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorHistory
from crossmargin.usecases.use_cases import UseCases
from crossmargin.usecases.watch_margin import WatchedMargin
from tests.integration.grpc_rig import (
    ALPHA,
    PATIENCE_S,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    history_block,
    memory_use_cases,
    publish_market,
    refusal_of,
    served,
    unpacked,
)

ACCOUNT = account_ref_from_name(ALPHA, what="account")
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4096))


@pytest_asyncio.fixture
async def use_cases() -> AsyncIterator[UseCases]:
    async with memory_use_cases() as built:
        yield built


@pytest_asyncio.fixture
async def rig(use_cases) -> AsyncIterator[Rig]:
    async with served(use_cases) as running:
        await create_books(running)
        yield running


# Imports


@dataclass
class RememberedImports:
    """Stands where the use case stands and keeps what it was given."""

    histories: list[FactorHistory] = field(default_factory=list)

    async def __call__(self, history: FactorHistory) -> int:
        self.histories.append(history)
        return 1


async def one_block_and_then_nothing() -> AsyncIterator[market_pb.ImportHistoryRequest]:
    yield history_block()
    await asyncio.Event().wait()


async def a_block_and_one_that_is_too_large() -> AsyncIterator[market_pb.ImportHistoryRequest]:
    yield history_block()
    large = history_block(5000)
    large.columns.extend(market_pb.FactorColumn(factor_id=f"spot:C{n}", levels=["1.0000000000"] * 5000) for n in range(20))
    assert large.ByteSize() > 1024 * 1024
    yield large


async def test_an_import_whose_time_runs_out_stores_nothing(use_cases):
    """To whoever reads it, such a stream looks as if it had ended; without a check about a third of these were stored."""
    imports = RememberedImports()
    async with served(replace(use_cases, import_history=imports)) as rig:
        refusals = [await refusal_of(rig.market.ImportHistory(one_block_and_then_nothing(), timeout=0.05)) for _ in range(30)]
        assert {one.code for one in refusals} == {"DEADLINE_EXCEEDED"}
        assert set(await rig.metrics.codes_of("ImportHistory")) == {"DEADLINE_EXCEEDED"}
    assert imports.histories == []


async def test_an_import_that_is_cancelled_stores_nothing(use_cases):
    imports = RememberedImports()
    async with served(replace(use_cases, import_history=imports)) as rig:
        call = rig.market.ImportHistory(one_block_and_then_nothing())
        await rig.metrics.has_started("ImportHistory")
        call.cancel()
        assert await rig.metrics.codes_of("ImportHistory") == ["CANCELLED"]
    assert imports.histories == []


async def test_an_import_with_a_message_beyond_the_limit_stores_nothing(use_cases):
    imports = RememberedImports()
    async with served(replace(use_cases, import_history=imports)) as rig:
        refusal = await refusal_of(rig.market.ImportHistory(a_block_and_one_that_is_too_large()))
        assert refusal.code == "RESOURCE_EXHAUSTED"
        await rig.metrics.codes_of("ImportHistory")
    assert imports.histories == []


async def test_a_stream_without_a_message_imports_nothing(rig):
    assert await rig.market.ImportHistory(iter([])) == market_pb.ImportHistoryResponse()


# Watching


async def test_a_watch_tells_the_present_and_every_step(rig):
    await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    call = rig.margin.WatchMargin(margin_pb.WatchMarginRequest(account=ALPHA))
    async with asyncio.timeout(PATIENCE_S):
        first = (await call.read()).margin
        await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "1", "50000")))
        second = (await call.read()).margin
    call.cancel()
    assert (first.stamp.as_of_seq, first.utilization) == (1, "0")
    assert second.stamp.as_of_seq == 2
    assert Decimal(second.utilization) >= Decimal("0.01")
    assert await rig.metrics.codes_of("WatchMargin") == ["CANCELLED"]
    assert rig.metrics.kinds["crossmargin.api.v1.MarginService/WatchMargin"] == "server_stream"


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (margin_pb.WatchMarginRequest(account=ALPHA, utilization_step="0"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (margin_pb.WatchMarginRequest(account=ALPHA, utilization_step="-1"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (margin_pb.WatchMarginRequest(account="clients/gamma/accounts/core"), "NOT_FOUND", "UNKNOWN_ACCOUNT"),
    ],
    ids=["no step", "a step back", "unknown account"],
)
async def test_a_watch_that_cannot_be_ends_with_its_reason(rig, request_, code, reason):
    refusal = await refusal_of(rig.margin.WatchMargin(request_).read())
    assert (refusal.code, refusal.reason) == (code, reason)
    assert await rig.metrics.codes_of("WatchMargin") == [code]


@dataclass
class Flood:
    """A watch that tells the same margin as fast as it is taken, and knows whether it is still asked."""

    watched: WatchedMargin
    told: int = 0
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, account: object, *, utilization_step: Decimal) -> AsyncIterator[WatchedMargin]:
        try:
            while True:
                self.told += 1
                yield self.watched
        finally:
            self.has_ended.set()


async def test_a_watch_that_is_not_read_is_cut(rig):
    """The caller finds, after what was on its way already, that it was cut and may call again."""
    await publish_market(rig)
    flood = Flood(WatchedMargin(await rig.use_cases.evaluate_margin(ACCOUNT), BandState(Band.HEALTHY)))
    async with served(replace(rig.use_cases, watch_margin=flood), options=SMALL_WINDOW) as flooded:
        call = flooded.margin.WatchMargin(margin_pb.WatchMarginRequest(account=ALPHA))
        assert await flooded.metrics.codes_of("WatchMargin") == ["RESOURCE_EXHAUSTED"]
        async with asyncio.timeout(PATIENCE_S):
            await flood.has_ended.wait()
            with pytest.raises(grpc.aio.AioRpcError) as cut:
                async for _ in call:
                    pass
    refusal = unpacked(cut.value)
    assert (refusal.code, refusal.reason, refusal.retry_s) == ("RESOURCE_EXHAUSTED", "SERVICE_BUSY", 1)


async def test_a_watch_that_is_read_is_not_cut(rig):
    await publish_market(rig)
    flood = Flood(WatchedMargin(await rig.use_cases.evaluate_margin(ACCOUNT), BandState(Band.HEALTHY)))
    async with served(replace(rig.use_cases, watch_margin=flood), options=SMALL_WINDOW) as flooded:
        call = flooded.margin.WatchMargin(margin_pb.WatchMarginRequest(account=ALPHA))
        for _ in range(2000):
            await call.read()
        call.cancel()
        assert await flooded.metrics.codes_of("WatchMargin") == ["CANCELLED"]
