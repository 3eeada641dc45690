"""Trades over one stream: each message is a call of RecordTrades for itself, answered in order, and safe to send again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

import grpc
import pytest

from crossmargin.adapters.grpc_server.book_service import MOST_RECORDS_IN_FLIGHT
from crossmargin.adapters.grpc_server.call_limits import CallBudget, CallLimits
from crossmargin.adapters.grpc_server.context import local_caller
from crossmargin.adapters.grpc_server.server import Access, build_server
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.api.v1.book_service_pb2_grpc import BookServiceStub
from crossmargin.domain.errors import DomainError, Reason
from crossmargin_client import AsyncClient, Busy, Client, Unavailable, trades_of
from tests.integration.grpc_rig import (
    ALPHA,
    BETA,
    PATIENCE_S,
    RecordedRpcs,
    a_batch,
    a_trade,
    create_books,
    memory_use_cases,
    served,
)


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


def a_message(number, *trades, account=ALPHA):
    return trades_of(account, *(trades or [a_trade(quantity=str(number))]), request_id=f"m{number}")


async def answered(rig, *messages):
    async with asyncio.timeout(PATIENCE_S):
        return [answer async for answer in rig.books.StreamTrades(iter(messages))]


async def held(rig, account=ALPHA):
    answer = await rig.books.ListPositions(pb.ListPositionsRequest(account=account))
    return {one.instrument_id: one.quantity for one in answer.positions}


async def test_each_message_is_booked_for_itself_and_answered_in_order(rig):
    answers = await answered(rig, *(a_message(n, account=(ALPHA, BETA)[n % 2]) for n in range(1, 9)))
    assert [answer.request_id for answer in answers] == [f"m{n}" for n in range(1, 9)]
    for account, own, total in ((ALPHA, answers[1::2], "20"), (BETA, answers[0::2], "16")):
        assert sorted(answer.recorded.outcomes[0].sequence for answer in own) == [1, 2, 3, 4]
        assert (await held(rig, account))["BTC"] == total
    assert rig.metrics.ends["RecordTrades", "OK"] == 8


async def test_nothing_that_is_wrong_with_a_message_ends_the_stream(rig):
    wrong = [
        a_message(1, account="core"),
        a_message(2, account="clients/alpha/accounts/nowhere"),
        a_message(3, a_trade(), a_trade(quantity="0")),
        pb.StreamTradesRequest(),
        a_message(5, a_trade(instrument="NO-SUCH")),
        a_message(6),
    ]
    answers = await answered(rig, *wrong)
    assert [answer.refusal.reason for answer in answers] == [
        "INVALID_ARGUMENT",
        "UNKNOWN_ACCOUNT",
        "",
        "INVALID_ARGUMENT",
        "UNKNOWN_INSTRUMENT",
        "",
    ]
    assert [answer.refusal.code for answer in answers] == [3, 5, 0, 3, 5, 0]
    assert [outcome.WhichOneof("result") for outcome in answers[2].recorded.outcomes] == ["sequence", "refusal"]
    assert answers[0].refusal.metadata["field"] == "record.account"


async def test_a_message_that_is_sent_again_gets_its_first_answer_over_either_call(rig):
    first = await answered(rig, a_message(1), a_message(1), a_message(2))
    assert sorted(answer.recorded.replayed for answer in first[:2]) == [False, True]
    again = await answered(rig, a_message(2), a_message(1))
    unary = await rig.books.RecordTrades(a_batch(a_trade(quantity="1"), request_id="m1"))
    assert [answer.recorded.replayed for answer in again] == [True, True]
    assert unary.replayed
    assert unary.outcomes == again[1].recorded.outcomes == first[0].recorded.outcomes
    assert (await held(rig))["BTC"] == "3"
    (other,) = await answered(rig, a_message(1, a_trade(quantity="9")))
    assert other.refusal.reason == "REQUEST_ID_REUSED"


async def test_whose_account_it_is_is_looked_at_for_each_message(rig):
    stream = rig.books.StreamTrades(metadata=(("x-crossmargin-clients", "alpha"),))
    for message in (a_message(1), a_message(2, account=BETA), a_message(3)):
        await stream.write(message)
    own, foreign, again = [await stream.read() for _ in range(3)]
    assert [own.WhichOneof("result"), again.WhichOneof("result")] == ["recorded", "recorded"]
    assert foreign.refusal.reason == "UNKNOWN_ACCOUNT"
    assert await held(rig, BETA) == {}
    stream.cancel()


async def test_messages_count_against_the_budget_of_urgent_calls(rig):
    limits = CallLimits(CallBudget(calls_per_s=1_000, urgent_calls_per_s=0.001, burst_s=3_000), lambda: 0.0)
    access = Access(local_caller, [].append, SystemClock(), limits=limits)
    server = build_server(rig.use_cases, address="127.0.0.1:0", access=access, metrics=RecordedRpcs())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        stream = BookServiceStub(channel).StreamTrades()
        for number in range(4):
            await stream.write(a_message(number + 1))
        answers = [await stream.read() for _ in range(4)]
        assert [answer.refusal.reason for answer in answers] == ["", "", "RATE_LIMITED", "RATE_LIMITED"], "the stream itself is a call"
        stream.cancel()
    await server.stop(0)


@dataclass
class Held:
    """The use case of trades, which begins every one and ends none until it is told to."""

    record: object
    begun: list = field(default_factory=list)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, *arguments, **named):
        self.begun.append(named["caller"].request_id)
        self.changed.set()
        await self.may_end.wait()
        return await self.record(*arguments, **named)

    async def has_begun(self, count):
        async with asyncio.timeout(PATIENCE_S):
            while len(self.begun) < count:
                self.changed.clear()
                await self.changed.wait()


async def test_as_many_are_under_way_as_are_written_together_and_when_the_service_stops_what_was_read_is_booked(rig):
    held_up = Held(rig.use_cases.record_trades)
    access = Access(local_caller, [].append, SystemClock())
    server = build_server(replace(rig.use_cases, record_trades=held_up), address="127.0.0.1:0", access=access, metrics=RecordedRpcs())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        stream, idle = (BookServiceStub(channel).StreamTrades() for _ in range(2))
        await idle.write(pb.StreamTradesRequest())
        assert (await idle.read()).refusal.reason == "INVALID_ARGUMENT"
        for number in range(1, MOST_RECORDS_IN_FLIGHT + 9):
            await stream.write(a_message(number, a_trade(quantity="1")))
        await held_up.has_begun(MOST_RECORDS_IN_FLIGHT)
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        with pytest.raises(grpc.aio.AioRpcError):
            await idle.read()
        held_up.may_end.set()
        async with asyncio.timeout(PATIENCE_S):
            answers = [await stream.read() for _ in range(MOST_RECORDS_IN_FLIGHT)]
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await stream.read()
            await stopping
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [answer.recorded.outcomes[0].sequence for answer in answers] == list(range(1, MOST_RECORDS_IN_FLIGHT + 1))
    assert len(held_up.begun) == MOST_RECORDS_IN_FLIGHT
    assert (await held(rig))["BTC"] == str(MOST_RECORDS_IN_FLIGHT)


async def test_both_clients_stream_as_many_messages_as_there_are_and_send_again_what_was_refused_for_the_moment():
    async with memory_use_cases() as use_cases:
        record, failed = use_cases.record_trades, set()

        async def now_and_then_busy(account, trades, *, caller):
            if caller.request_id.endswith("50") and caller.request_id not in failed:
                failed.add(caller.request_id)
                raise DomainError(Reason.SERVICE_BUSY, "later")
            return await record(account, trades, caller=caller)

        async with served(replace(use_cases, record_trades=now_and_then_busy)) as rig:
            await create_books(rig)
            async for answers, messages in through_both(rig.address, 300):
                assert [answer.request for answer in answers] == messages
                assert all(answer.result.outcomes[0].sequence for answer in answers)
            assert len(failed) == 6
            assert (await held(rig, BETA))["BTC"] == "600"


@pytest.mark.parametrize(("reasons", "error"), [(("SERVICE_BUSY",), Busy), (("STORAGE_UNAVAILABLE", "SERVICE_BUSY"), Unavailable)])
async def test_what_stays_refused_is_told_when_time_is_up_and_not_as_busy_if_it_may_be_booked(reasons, error):
    async with memory_use_cases() as use_cases:
        tries = Counter()

        async def refuses(account, trades, *, caller):
            tries[caller.request_id] += 1
            raise DomainError(Reason[reasons[min(tries[caller.request_id], len(reasons)) - 1]], "no")

        async with served(replace(use_cases, record_trades=refuses)) as rig:
            await create_books(rig)
            async for answers, messages in through_both(rig.address, 1, timeout_s=0.4):
                assert [(answer.request, type(answer.error)) for answer in answers] == [(messages[0], error)]
            assert min(tries.values()) > 1


async def through_both(address, count, **options):
    """Yield what both clients come back with for so many messages, and the messages."""

    def messages(name):
        return [trades_of(BETA, a_trade(quantity="1"), request_id=f"{name}-{n}") for n in range(1, count + 1)]

    def through_the_other(given):
        with Client(address, **options) as client:
            return list(client.stream_trades(given))

    async with AsyncClient(address, **options) as client:
        yield [answer async for answer in client.stream_trades(messages("async"))], messages("async")
    yield await asyncio.to_thread(through_the_other, iter(messages("sync"))), messages("sync")
