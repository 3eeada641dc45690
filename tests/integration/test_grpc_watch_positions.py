"""Watching positions over the wire: a reader that is too slow is cut, and goes on without loss, also over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta

import grpc
import pytest
import pytest_asyncio
from google.type.date_pb2 import Date

from crossmargin.adapters.grpc_server.server import build_server
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.usecases.use_cases import UseCases
from crossmargin_client import AsyncClient, add_up, trade
from tests.integration.grpc_rig import (
    ALPHA,
    EXECUTED,
    PATIENCE_S,
    RecordedRpcs,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    local_access,
    memory_use_cases,
    refusal_of,
    served,
    unpacked,
)

SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4096))


@pytest_asyncio.fixture
async def use_cases() -> AsyncIterator[UseCases]:
    async with memory_use_cases() as built, served(built) as rig:
        await create_books(rig)
        yield built


@asynccontextmanager
async def serving_at(use_cases: UseCases, address: str) -> AsyncIterator[str]:
    server = build_server(use_cases, address=address, access=local_access(), metrics=RecordedRpcs(), reflection=False)
    bound = f"127.0.0.1:{await server.start()}"
    try:
        yield bound
    finally:
        await server.stop(0)


def watch(after=None) -> books_pb.WatchPositionsRequest:
    return books_pb.WatchPositionsRequest(account=ALPHA, after_seq=after)


async def test_a_watch_tells_the_present_and_then_every_entry(use_cases):
    async with served(use_cases) as rig:
        await rig.collateral.Deposit(a_deposit("100"))
        call = rig.books.WatchPositions(watch())
        async with asyncio.timeout(PATIENCE_S):
            first = await call.read()
            await rig.books.RecordTrades(a_batch(a_trade(reference="T-1")))
            second = await call.read()
        call.cancel()
        assert (first.seq, first.HasField("entry"), [one.quantity for one in first.positions]) == (1, False, ["100"])
        assert (second.seq, second.entry.sequence, second.entry.reference) == (2, 2, "T-1")
        assert {one.instrument_id: one.quantity for one in second.positions} == {"BTC": "1.5", "USD": "-74900"}
        assert await rig.metrics.codes_of("WatchPositions") == ["CANCELLED"]


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (books_pb.WatchPositionsRequest(account="clients/gamma/accounts/core"), "NOT_FOUND", "UNKNOWN_ACCOUNT"),
        (watch(7), "ABORTED", "SEQUENCE_NOT_REACHED"),
        (watch(-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
    ids=["unknown account", "ahead", "negative"],
)
async def test_a_watch_that_cannot_be_ends_with_its_reason(use_cases, request_, code, reason):
    async with served(use_cases) as rig:
        refusal = await refusal_of(rig.books.WatchPositions(request_).read())
        assert (refusal.code, refusal.reason) == (code, reason)


async def test_a_reader_that_does_not_read_is_cut_and_goes_on_where_it_was(use_cases):
    """What was on its way still arrives; the rest comes with the next call, and together they are every entry once."""
    count = 3000
    async with served(use_cases, options=SMALL_WINDOW) as rig:
        for start in range(0, count, 250):
            deals = [a_trade(reference="x" * 128)] * 250
            await rig.books.RecordTrades(a_batch(*deals, request_id=f"b{start}"))
        call = rig.books.WatchPositions(watch(0))
        assert await rig.metrics.codes_of("WatchPositions") == ["RESOURCE_EXHAUSTED"]
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            try:
                async for update in call:
                    seen.append(update.seq)  # noqa: PERF401 - what came before the cut counts too
                raise AssertionError("the stream ended in good order")
            except grpc.aio.AioRpcError as cut:
                refusal = unpacked(cut)
            assert (refusal.code, refusal.reason, refusal.retry_s) == ("RESOURCE_EXHAUSTED", "SERVICE_BUSY", 1)
            assert 0 < len(seen) < count
            call = rig.books.WatchPositions(watch(seen[-1]))
            while len(seen) < count:
                seen.append((await call.read()).seq)
            call.cancel()
        assert seen == list(range(1, count + 1))


async def test_a_client_goes_on_by_itself_over_a_restart_of_the_service(use_cases):
    """Trades are booked before, between and after; the watcher is told each of them once and in order."""
    seen = []
    async with serving_at(use_cases, "127.0.0.1:0") as address:
        client = AsyncClient(address)
        updates = client.watch_positions(ALPHA)
        await book(client, "1")
        async with asyncio.timeout(PATIENCE_S):
            seen.append(await anext(updates))
            await book(client, "2")
            seen.append(await anext(updates))
    async with serving_at(use_cases, address):
        async with asyncio.timeout(PATIENCE_S):
            await book(client, "3")
            await book(client, "4")
            while seen[-1].seq < 4:
                seen.append(await anext(updates))
    await updates.aclose()
    await client.close()
    assert [update.seq for update in seen] == [1, 2, 3, 4]
    assert [update.entry.sequence for update in seen] == [0, 2, 3, 4]
    assert {one.instrument_id: one.quantity for one in seen[-1].positions} == {"BTC-USD-PERP": "10"}


async def book(client: AsyncClient, quantity: str) -> None:
    await client.record_trades(ALPHA, [trade("BTC-USD-PERP", quantity, "50000", executed_at=EXECUTED)])


async def test_the_statement_of_a_day_adds_up(use_cases):
    async with served(use_cases) as rig:
        await rig.collateral.Deposit(a_deposit("100"))
        await rig.books.RecordTrades(a_batch(a_trade(), a_trade("BTC-USD-PERP", "-2", "50000")))
        await rig.books.CancelTrade(books_pb.CancelTradeRequest(request_id="c", account=ALPHA, sequence=2, reason="bust"))
        async with AsyncClient(rig.address) as client:
            recorded = max(moment for moment in use_cases.books._contents.recorded.values())
            statement = await client.get_statement(ALPHA, recorded.date())
            entries = [entry async for entry in client.list_entries(ALPHA, after_seq=statement.opening_seq)]
            lines = {line.instrument_id: (line.opening, line.change, line.closing) for line in add_up(statement, entries)}
            assert lines == {"BTC": (0, 0, 0), "BTC-USD-PERP": (0, -2, -2), "USD": (0, 100, 100)}
            assert (statement.opening_seq, statement.closing_seq, statement.final) == (0, 4, False)
            earlier = await client.get_statement(ALPHA, recorded.date() - timedelta(days=1))
            assert (earlier.closing_seq, earlier.final, add_up(earlier, [])) == (0, True, [])
        refusal = await refusal_of(
            rig.books.GetStatement(books_pb.GetStatementRequest(account=ALPHA, date=Date(year=9000, month=1, day=1)))
        )
        assert (refusal.reason, refusal.facts["field"]) == ("INVALID_ARGUMENT", "date")
        assert date(9000, 1, 1).isoformat() in refusal.message
