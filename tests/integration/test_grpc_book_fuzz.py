"""Whatever is in the fields of the calls that change books: an answer that says what was wrong, and no row written."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.type.date_pb2 import Date
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin_client import lifecycle
from tests.integration.grpc_rig import ALPHA, EXECUTED, a_batch, a_trade, create_books, memory_use_cases, served

ALLOWED = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OK"}
"""OK where a field happens to stay valid: then nothing is left to do, and that nothing is written is looked at below."""
NASTY_TEXT = [
    "NaN",
    "-0",
    "1e5",
    "Infinity",
    "1" * 40,
    "0.1234567890123456789",
    "٣",
    "",
    " 1",
    "\x00",
    "x" * 600,
    "clients/../accounts/core",
    "💸",
]
NASTY_NUMBER = [-1, 2**31 - 1, -(2**31)]
NASTY_LONG = [-1, 2**63 - 1, -(2**63)]


def requests() -> dict[str, object]:
    """A valid request for each call, refused only because it comes too late: everything has been done before."""
    day = Date(year=2026, month=3, day=2)
    event = books_pb.ApplyLifecycleEventRequest
    return {
        "CancelTrade": books_pb.CancelTradeRequest(request_id="c", account=ALPHA, sequence=1, reason="bust"),
        "CancelLifecycleEvent": books_pb.CancelLifecycleEventRequest(request_id="c", account=ALPHA, sequence=1, reason="bust"),
        "SettleTrades": books_pb.SettleTradesRequest(request_id="s", account="clients/gamma/accounts/core", settle_date=day),
        "ApplyLifecycleEvent": event(
            request_id="e", account="clients/gamma/accounts/core", event=lifecycle.funding("BTC-USD-PERP", "0.0001", 1, at=EXECUTED)
        ),
        "ApplyLifecycleEvent exercise": event(
            request_id="e", account=ALPHA, event=lifecycle.exercise("BTC-USD-PERP", 1, at=EXECUTED, quantity=1, book="main")
        ),
        "ApplyLifecycleEvent coupon": event(
            request_id="e", account=ALPHA, event=lifecycle.coupon("BTC-USD-PERP", EXECUTED.date(), at=EXECUTED, rate="0.01")
        ),
        "ApplyLifecycleEvent fixing": event(
            request_id="e", account=ALPHA, event=lifecycle.fixing("BTC-USD-PERP", at=EXECUTED, bought_price=1, sold_price=1)
        ),
    }


def places(message, path=()):
    """Every scalar field below a message that is set, by its path."""
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            yield from places(value, (*path, descriptor.name))
        else:
            yield (*path, descriptor.name), descriptor


PLACES = [(name, path, descriptor) for name, message in requests().items() for path, descriptor in places(message)]


def spoiled(name, path, value):
    request = type(requests()[name])()
    request.CopyFrom(requests()[name])
    owner = request
    for step in path[:-1]:
        owner = getattr(owner, step)
    setattr(owner, path[-1], value)
    return request


def nasty(descriptor):
    if descriptor.type == FieldDescriptor.TYPE_STRING:
        return st.sampled_from(NASTY_TEXT) | st.text(max_size=40)
    if descriptor.type == FieldDescriptor.TYPE_INT64:
        return st.sampled_from(NASTY_LONG)
    return st.sampled_from(NASTY_NUMBER)


@st.composite
def spoiled_requests(draw):
    name, path, descriptor = draw(st.sampled_from(PLACES))
    return name.split()[0], spoiled(name, path, draw(nasty(descriptor)))


async def answer_of(rig, method, request):
    call = getattr(rig.books, method)(request)
    try:
        if hasattr(call, "read"):
            _ = [part async for part in call]
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def test_nothing_in_a_field_writes_a_row_or_breaks_the_service():
    async def play(cases):
        async with memory_use_cases() as use_cases, served(use_cases) as rig:
            await create_books(rig)
            await rig.books.RecordTrades(a_batch(a_trade()))
            await rig.books.CancelTrade(books_pb.CancelTradeRequest(request_id="done", account=ALPHA, sequence=1, reason="bust"))
            contents = use_cases.books._contents
            before = {part.name: dict(getattr(contents, part.name)) for part in fields(contents)}
            for method, request in cases:
                code = await answer_of(rig, method, request)
                assert code in ALLOWED, (method, request, code)
            assert {part.name: dict(getattr(contents, part.name)) for part in fields(contents)} == before

    collected = []

    @settings(max_examples=400, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(case=spoiled_requests())
    def collect(case):
        collected.append(case)

    collect()
    assert {method for method, _ in collected} == {"CancelTrade", "CancelLifecycleEvent", "SettleTrades", "ApplyLifecycleEvent"}
    asyncio.run(play(collected))
