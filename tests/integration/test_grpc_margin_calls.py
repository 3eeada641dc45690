"""A call through the API: listed, answered, watched, met in parts by what is booked, ended by two persons."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.adapters.memory.metrics import MemoryCallReports
from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin.domain.band_memory import next_band_state
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.review_calls import AccountSeen, ReviewCalls
from crossmargin_cli.calls import app
from crossmargin_client import AsyncClient, InvalidRequest, NotFound, PreconditionFailed
from tests.integration.grpc_rig import (
    ALPHA,
    PATIENCE_S,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    served,
)

ACCOUNT = account_ref_from_name(ALPHA, what="account")
TERMS = pb.CallTerms(
    scope="clients/alpha",
    minimum_transfer_amount="500",
    rounding_unit="100",
    cut_off="14:00",
    due_days=2,
    due_time="12:00",
    business_days=True,
)


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        await running.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "10")))
        margin = (await use_cases.evaluate_margin(ACCOUNT)).requirement.maintenance_margin
        await running.collateral.Deposit(a_deposit(f"{margin / Decimal('0.9'):.2f}"))
        yield running


async def review(rig):
    """Do what the monitor does about the calls of the account."""
    use_cases = rig.use_cases
    view = await use_cases.evaluate_margin.current_market()
    portfolio = portfolio_of(await use_cases.books.account_state(ACCOUNT))
    result = view.margin(portfolio)
    seen = AccountSeen(result, next_band_state(None, result, view.parameters), portfolio.mode)
    change = use_cases.acknowledge_call.change
    monitor = ReviewCalls(change.writer, use_cases.calls, use_cases.breakers, MemoryCallReports(), change.clock)
    await monitor({ACCOUNT: seen}, view.parameters, epoch=0)


async def test_a_call_is_answered_watched_and_met_in_parts(rig):
    await review(rig)
    async with AsyncClient(rig.address) as client:
        (call,) = [call async for call in client.list_calls("clients/alpha", only_open=True)]
        assert (call.number, call.state, call.trigger, call.outstanding) == (1, pb.CALL_STATE_ISSUED, pb.CALL_TRIGGER_BAND, call.amount)
        assert call.due_time.ToDatetime(UTC) > datetime.now(UTC)
        said = await client.acknowledge_call(ALPHA, 1, "the wire is on its way")
        assert said.state == pb.CALL_STATE_ACKNOWLEDGED
        await rig.collateral.Deposit(a_deposit("1000", request_id="part"))
        part = await client.settle_call(ALPHA, 1)
        assert (part.state, part.met) == (pb.CALL_STATE_PARTIALLY_MET, "1000")
        await rig.collateral.Deposit(a_deposit(part.outstanding, request_id="rest"))
        await review(rig)
        found = await client.get_call(ALPHA, 1)
        assert (found.call.state, found.call.outstanding) == (pb.CALL_STATE_MET, "0")
        told = []
        async with asyncio.timeout(PATIENCE_S):
            async for notice in client.watch_call_notices(ALPHA, after_seq=1):
                told.append(notice)
                if notice.kind == pb.CALL_NOTICE_KIND_MET:
                    break
        assert told == list(found.notices)[1:]
        assert [notice.sequence for notice in told] == [2, 3, 4]
        assert [call async for call in client.list_calls(only_open=True)] == []


async def test_two_persons_waive_and_whoever_disputes_says_why(rig):
    await review(rig)
    async with AsyncClient(rig.address, principal="alice") as alice, AsyncClient(rig.address, principal="bob") as bob:
        disputed = await alice.dispute_call(ALPHA, 1, pb.DISPUTE_REASON_VALUATION, "the mark is off")
        assert disputed.state == pb.CALL_STATE_DISPUTED
        first = await alice.waive_call(ALPHA, 1, "moved out today")
        assert (first.HasField("call"), first.pending_request.asked_by) == (False, "alice")
        with pytest.raises(PreconditionFailed, match="cannot confirm"):
            await alice.waive_call(ALPHA, 1, "moved out today", confirms=first.pending_request.pending_id)
        second = await bob.waive_call(ALPHA, 1, "moved out today", confirms=first.pending_request.pending_id)
        assert second.call.state == pb.CALL_STATE_WAIVED
        with pytest.raises(PreconditionFailed, match="is waived"):
            await bob.escalate_call(ALPHA, 1, "too late")
        with pytest.raises(InvalidRequest):
            await bob.dispute_call(ALPHA, 1, pb.DISPUTE_REASON_UNSPECIFIED, "no reason")


async def test_terms_are_set_by_two_and_followed_by_the_next_call(rig):
    async with AsyncClient(rig.address, principal="alice") as alice, AsyncClient(rig.address, principal="bob") as bob:
        house = await alice.get_call_terms(ALPHA)
        assert (house.set_by, house.rounding_unit) == ("", "1000")
        first = await alice.set_call_terms(TERMS)
        assert (await bob.get_call_terms(ALPHA)).set_by == ""
        done = await bob.set_call_terms(TERMS, confirms=first.pending_request.pending_id)
        assert (done.terms.set_by, done.terms.due_time) == ("alice and bob", "12:00")
        await review(rig)
        call = (await bob.get_call(ALPHA, 1)).call
        assert Decimal(call.amount) % 100 == 0
        assert (call.due_time.ToDatetime(UTC).hour, call.due_time.ToDatetime(UTC).weekday() < 5) == (12, True)
        wrong = pb.CallTerms()
        wrong.CopyFrom(TERMS)
        wrong.due_days = 0
        with pytest.raises(InvalidRequest, match="due_time"):
            await alice.set_call_terms(wrong)
        every_day = pb.CallTerms()
        every_day.CopyFrom(TERMS)
        every_day.business_days, every_day.calendar = False, reference_pb.HOLIDAY_CALENDAR_LONDON
        with pytest.raises(InvalidRequest, match="calendar was London; expected none where every day counts"):
            await alice.set_call_terms(every_day)


async def test_a_calendar_is_set_by_the_command_line_and_told_by_it_and_terms_without_one_name_none(rig):
    def told(*arguments):
        return CliRunner().invoke(app, [*arguments, "--target", rig.address])

    asked = (
        "set-terms",
        "alpha/core",
        "--cut-off",
        "14:00",
        "--due-days",
        "1",
        "--due-time",
        "12:00",
        "--business-days",
        "--calendar",
        "target",
    )
    first = await asyncio.to_thread(told, *asked, "--as", "alice", "--json")
    assert first.exit_code == 0, first.output
    pending = json.loads(first.output)["pending_request"]["pending_id"]
    done = await asyncio.to_thread(told, *asked, "--as", "bob", "--confirm", pending)
    assert "due 1 business days of TARGET later at 12:00 UTC" in done.output.replace("\n", " "), done.output
    async with AsyncClient(rig.address) as client:
        assert (await client.get_call_terms(ALPHA)).calendar == reference_pb.HOLIDAY_CALENDAR_TARGET
        assert (await client.get_call_terms("clients/beta/accounts/core")).calendar == reference_pb.HOLIDAY_CALENDAR_UNSPECIFIED


async def test_a_page_of_calls_and_what_is_unknown(rig):
    await review(rig)
    page = await rig.calls.ListCalls(pb.ListCallsRequest(page_size=1))
    assert (len(page.calls), page.next_page_token) == (1, "")
    async with AsyncClient(rig.address) as client:
        with pytest.raises(NotFound):
            await client.get_call(ALPHA, 2)
        with pytest.raises(NotFound):
            await client.acknowledge_call(ALPHA, 2)
        with pytest.raises(NotFound):
            await anext(client.watch_call_notices("clients/nobody/accounts/core"))
