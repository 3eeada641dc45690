"""A stream of previews over the wire: each message is answered by itself, in order, and nothing that is wrong with one ends the stream."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace

import grpc
import pytest

from crossmargin.adapters.grpc_server import interceptors
from crossmargin.adapters.grpc_server.call_limits import CallBudget, CallLimits
from crossmargin.adapters.grpc_server.context import local_caller
from crossmargin.adapters.grpc_server.conversation import MOST_IN_FLIGHT
from crossmargin.adapters.grpc_server.denial import Cause, unauthenticated
from crossmargin.adapters.grpc_server.server import Access, build_server
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceStub
from crossmargin.domain.audit_event import AuditKind
from crossmargin_client import AsyncClient, Client, InvalidRequest, NotFound, preview_request
from tests.integration.grpc_rig import (
    ALPHA,
    BETA,
    PATIENCE_S,
    RecordedRpcs,
    a_deposit,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    served,
    unpacked,
)

PATH = "/crossmargin.api.v1.MarginService/StreamPreviews"


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.collateral.Deposit(a_deposit())
        yield running


@dataclass
class Held:
    """The use case of previews, which begins every one and ends none until it is told to."""

    preview: object
    begun: int = 0
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, *arguments, **named):
        self.begun += 1
        self.changed.set()
        await self.may_end.wait()
        return await self.preview(*arguments, **named)

    async def has_begun(self, count):
        async with asyncio.timeout(PATIENCE_S):
            while self.begun < count:
                self.changed.clear()
                await self.changed.wait()


def asked(number, *, account=ALPHA, timeout_s=None, **trade):
    return preview_request(account, [a_trade(**trade)], correlation_id=f"order-{number}", timeout_s=timeout_s)


async def answers_of(stream, count):
    async with asyncio.timeout(PATIENCE_S):
        return [await stream.read() for _ in range(count)]


async def end_of(stream):
    """How a stream ended: its code, and the reason it was given."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(grpc.aio.AioRpcError):
            assert await stream.read() is grpc.aio.EOF
        error = grpc.aio.AioRpcError(
            await stream.code(), await stream.initial_metadata(), await stream.trailing_metadata(), details=await stream.details()
        )
    return unpacked(error)


async def test_each_message_is_answered_as_a_call_of_its_own_would_be_and_in_order(rig):
    stream = rig.margin.StreamPreviews()
    wanted = [asked(number, quantity=str(number + 1)) for number in range(5)]
    for message in wanted:
        await stream.write(message)
    answers = await answers_of(stream, 5)
    assert [answer.correlation_id for answer in answers] == [f"order-{number}" for number in range(5)]
    assert [answer.preview for answer in answers] == [await rig.margin.PreviewTrades(message.preview) for message in wanted]
    await stream.done_writing()
    assert (await end_of(stream)).code == "OK"


async def test_nothing_that_is_wrong_with_a_message_ends_the_stream(rig):
    stream = rig.channel.stream_stream(PATH, response_deserializer=pb.StreamPreviewsResponse.FromString)()
    wrong = [
        b"\xff\xff\xff\xff",
        asked(1, account="alpha").SerializeToString(),
        asked(2, account="clients/nobody/accounts/core").SerializeToString(),
        asked(3, instrument="NO-SUCH").SerializeToString(),
        pb.StreamPreviewsRequest(correlation_id="order-4").SerializeToString(),
        pb.StreamPreviewsRequest(correlation_id="order-5", preview=asked(5).preview, timeout_ms=-1).SerializeToString(),
        asked(6, reference="x" * 300_000).SerializeToString(),
        asked(7).SerializeToString(),
    ]
    for raw in wrong:
        await stream.write(raw)
    answers = await answers_of(stream, len(wrong))
    assert [(answer.correlation_id, answer.refusal.reason) for answer in answers] == [
        ("", "INVALID_ARGUMENT"),
        ("order-1", "INVALID_ARGUMENT"),
        ("order-2", "UNKNOWN_ACCOUNT"),
        ("order-3", "UNKNOWN_INSTRUMENT"),
        ("order-4", "INVALID_ARGUMENT"),
        ("order-5", "INVALID_ARGUMENT"),
        ("", "INVALID_ARGUMENT"),
        ("order-7", ""),
    ]
    assert [answer.refusal.code for answer in answers] == [3, 3, 5, 5, 3, 3, 3, 0]
    assert answers[1].refusal.metadata["field"] == "preview.account"
    assert answers[7].preview.acceptable
    assert rig.metrics.ends["PreviewTrades", "INVALID_ARGUMENT"] == 5
    assert rig.metrics.ends["PreviewTrades", "OK"] == 1
    assert rig.metrics.refusals["PreviewTrades", "UNKNOWN_ACCOUNT"] == 1
    assert rig.metrics.starts["StreamPreviews"] == 1
    assert rig.metrics.kinds["MarginService/StreamPreviews".join(("crossmargin.api.v1.", ""))] == "bidi_stream"
    stream.cancel()


async def test_a_message_names_accounts_of_its_own_and_each_is_looked_at(rig):
    """The first is the caller's; that opens nothing for the second, which is answered like one that does not exist and is told of."""
    stream = rig.margin.StreamPreviews(metadata=(("x-crossmargin-clients", "alpha"),))
    for message in (asked(1), asked(2, account=BETA), asked(3)):
        await stream.write(message)
    own, foreign, again = await answers_of(stream, 3)
    assert own.HasField("preview")
    assert again.HasField("preview")
    assert foreign.refusal.reason == "UNKNOWN_ACCOUNT"
    assert [event.clients for event in rig.audit if event.kind is AuditKind.DENIED] == [("beta",)]
    stream.cancel()


async def test_so_many_are_worked_on_and_no_more_are_read(rig):
    held = Held(rig.use_cases.preview_trades)
    async with served(replace(rig.use_cases, preview_trades=held)) as busy:
        stream = busy.margin.StreamPreviews()
        for number in range(MOST_IN_FLIGHT + 8):
            await stream.write(asked(number))
        await held.has_begun(MOST_IN_FLIGHT)
        # What may be read besides would have been begun by the time an answer of another call is here.
        await busy.margin.GetMargin(pb.GetMarginRequest(account=ALPHA), timeout=PATIENCE_S)
        assert held.begun == MOST_IN_FLIGHT
        held.may_end.set()
        answers = await answers_of(stream, MOST_IN_FLIGHT + 8)
        assert [answer.correlation_id for answer in answers] == [f"order-{number}" for number in range(MOST_IN_FLIGHT + 8)]


async def test_a_message_has_a_time_of_its_own(rig):
    held = Held(rig.use_cases.preview_trades)
    async with served(replace(rig.use_cases, preview_trades=held)) as busy:
        stream = busy.margin.StreamPreviews()
        await stream.write(asked(1, timeout_s=0.05))
        (late,) = await answers_of(stream, 1)
        assert (late.correlation_id, late.refusal.code, late.refusal.reason) == ("order-1", grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "")
        held.may_end.set()
        await stream.write(asked(2))
        assert (await answers_of(stream, 1))[0].HasField("preview")


async def test_a_service_that_stops_answers_what_it_has_read_and_says_to_call_again(rig):
    held, metrics = Held(rig.use_cases.preview_trades), RecordedRpcs()
    access = Access(local_caller, [].append, SystemClock())
    server = build_server(replace(rig.use_cases, preview_trades=held), address="127.0.0.1:0", access=access, metrics=metrics)
    address = f"127.0.0.1:{await server.start()}"
    async with grpc.aio.insecure_channel(address) as channel:
        busy, idle = (MarginServiceStub(channel).StreamPreviews() for _ in range(2))
        for number in range(3):
            await busy.write(asked(number))
        await idle.write(asked(7, account="alpha"))
        await answers_of(idle, 1)
        await held.has_begun(3)
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        ended = await end_of(idle)
        assert (ended.code, ended.reason, ended.retry_s) == ("UNAVAILABLE", "SERVICE_STOPPING", 1)
        held.may_end.set()
        answers = await answers_of(busy, 3)
        assert all(answer.HasField("preview") for answer in answers)
        assert (await end_of(busy)).reason == "SERVICE_STOPPING"
        async with asyncio.timeout(PATIENCE_S):
            await stopping
    assert metrics.ends["StreamPreviews", "UNAVAILABLE"] == 2


async def test_a_caller_who_would_not_be_let_in_any_more_ends_the_stream_with_his_next_message(rig, monkeypatch):
    monkeypatch.setattr(interceptors, "FRESH_S", -1.0)
    is_known = True

    def identify(context):
        if not is_known:
            raise unauthenticated(Cause.CHANGED)
        return local_caller(context)

    server = build_server(rig.use_cases, address="127.0.0.1:0", access=Access(identify, [].append, SystemClock()), metrics=RecordedRpcs())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        stream = MarginServiceStub(channel).StreamPreviews()
        await stream.write(asked(1))
        assert (await answers_of(stream, 1))[0].HasField("preview")
        is_known = False
        await stream.write(asked(2))
        assert (await end_of(stream)).code == "UNAUTHENTICATED"
    await server.stop(0)


async def test_each_message_counts_against_what_its_caller_may_ask_for(rig):
    limits = CallLimits(CallBudget(calls_per_s=0.001, burst_s=3_000), lambda: 0.0)
    access = Access(local_caller, [].append, SystemClock(), limits=limits)
    server = build_server(rig.use_cases, address="127.0.0.1:0", access=access, metrics=RecordedRpcs())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        stream = MarginServiceStub(channel).StreamPreviews()
        for number in range(4):
            await stream.write(asked(number))
        answers = await answers_of(stream, 4)
        assert [answer.refusal.reason for answer in answers] == ["", "", "RATE_LIMITED", "RATE_LIMITED"], "the stream itself is a call"
        assert answers[3].refusal.metadata["retry_after_s"]
        stream.cancel()
    await server.stop(0)


async def test_the_asyncio_client_sends_the_next_when_it_has_seen_the_last(rig):
    seen, has_seen = [], asyncio.Semaphore(0)

    async def orders():
        for number in range(3):
            assert len(seen) == number
            yield asked(number, quantity=str(number + 1))
            await has_seen.acquire()

    async with AsyncClient(rig.address) as client:
        async for answer in client.stream_previews(orders()):
            seen.append(answer)
            has_seen.release()
    assert [answer.request.correlation_id for answer in seen] == ["order-0", "order-1", "order-2"]
    assert all(answer.result.acceptable for answer in seen)


async def test_the_blocking_client_sends_the_next_when_it_has_seen_the_last(rig):
    def check():
        seen, has_seen = [], threading.Semaphore(0)

        def orders():
            for number in range(3):
                assert len(seen) == number
                yield asked(number, account=ALPHA if number != 1 else "clients/nobody/accounts/core")
                has_seen.acquire()

        with Client(rig.address) as client:
            for answer in client.stream_previews(orders()):
                seen.append(answer)
                has_seen.release()
        return seen

    answers = await asyncio.to_thread(check)
    assert [answer.error is None for answer in answers] == [True, False, True]
    with pytest.raises(NotFound, match="UNKNOWN_ACCOUNT"):
        _ = answers[1].result


@pytest.mark.parametrize("kind", ["asyncio", "blocking"])
async def test_what_was_not_answered_before_a_break_is_sent_again_and_nothing_else(rig, kind):
    """The service stops in the middle: two are answered, and the rest by the one that comes after it."""
    first = await _one_that_stops_after(rig, 2)
    port = int(first.address.rpartition(":")[2])
    wanted = [asked(number) for number in range(6)]

    async def replaced():
        await first.stopped.wait()
        async with asyncio.timeout(PATIENCE_S):
            await first.server.stop(0)
        second = build_server(rig.use_cases, address=f"127.0.0.1:{port}", access=first.access, metrics=RecordedRpcs())
        await second.start()
        return second

    replacing = asyncio.create_task(replaced())
    if kind == "asyncio":
        async with AsyncClient(first.address) as client:
            answers = [answer async for answer in client.stream_previews(wanted)]
    else:
        answers = await asyncio.to_thread(_all_of, first.address, wanted)
    assert [answer.request.correlation_id for answer in answers] == [f"order-{number}" for number in range(6)]
    assert all(answer.error is None for answer in answers)
    await (await replacing).stop(0)


async def test_what_the_messages_come_from_fails_where_the_answers_are_read(rig):
    def orders():
        yield asked(1)
        raise KeyError("the desk has gone home")

    with Client(rig.address) as client:
        stream = client.stream_previews(orders())
        with pytest.raises(KeyError, match="gone home"):
            await asyncio.to_thread(list, stream)
    async with AsyncClient(rig.address) as client:
        with pytest.raises(KeyError, match="gone home"):
            _ = [answer async for answer in client.stream_previews(orders())]


async def test_an_answer_that_no_retry_can_help_is_an_answer(rig):
    async with AsyncClient(rig.address) as client:
        (answer,) = [each async for each in client.stream_previews([asked(1, account="alpha")])]
    assert isinstance(answer.error, InvalidRequest)
    assert answer.error.metadata["field"] == "preview.account"


@dataclass
class _Stops:
    server: object
    address: str
    access: Access
    stopped: asyncio.Event


async def _one_that_stops_after(rig, count):
    """A server that begins to stop when it has answered so many previews."""
    stopped, access = asyncio.Event(), Access(local_caller, [].append, SystemClock())
    made = 0

    async def preview(*arguments, **named):
        nonlocal made
        made += 1
        if made > count:
            stopped.set()
            await asyncio.Event().wait()
        return await rig.use_cases.preview_trades(*arguments, **named)

    server = build_server(replace(rig.use_cases, preview_trades=preview), address="127.0.0.1:0", access=access, metrics=RecordedRpcs())
    return _Stops(server, f"127.0.0.1:{await server.start()}", access, stopped)


def _all_of(address, wanted):
    with Client(address) as client:
        return list(client.stream_previews(wanted))
