"""Cancellations, lifecycle events, settlements and pages of positions, over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
import pytest_asyncio

from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin_client import lifecycle
from tests.integration.grpc_rig import (
    ALPHA,
    EXECUTED,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    day_message,
    memory_use_cases,
    refusal_of,
    served,
)

BETA = "clients/beta/accounts/core"
PERPETUAL = "BTC-USD-PERP"


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


def cancel(sequence=1, *, request_id="c1", reason="bust") -> books_pb.CancelTradeRequest:
    return books_pb.CancelTradeRequest(request_id=request_id, account=ALPHA, sequence=sequence, reason=reason)


async def apply(rig: Rig, event: books_pb.LifecycleEvent, *, account="", request_id="e1"):
    request = books_pb.ApplyLifecycleEventRequest(request_id=request_id, event=event, account=account)
    parts = [part async for part in rig.books.ApplyLifecycleEvent(request)]
    return [part.outcome for part in parts[:-1]], parts[-1].summary


async def test_a_trade_is_cancelled_and_listed_as_such(rig):
    await rig.books.RecordTrades(a_batch(a_trade(reference="T-1"), a_trade(PERPETUAL, "-2", "50000.5")))
    done = await rig.books.CancelTrade(cancel())
    assert (done.sequence, done.as_of_seq, done.replayed) == (3, 3, False)
    assert (await rig.books.CancelTrade(cancel())).replayed
    assert (await refusal_of(rig.books.CancelTrade(cancel(request_id="c2")))).reason == "ALREADY_CANCELLED"
    answer = await rig.books.ListTrades(books_pb.ListTradesRequest(account=ALPHA))
    first, second = answer.trades
    assert (first.sequence, first.amount, first.cancelled_by_seq) == (1, "75000", 3)
    assert first.trade == a_trade(reference="T-1", book_id="main")
    assert (second.trade.price, second.trade.settlement, second.amount, second.cancelled_by_seq) == ("50000.5", "USD", "-100001", 0)
    entry = (await rig.entries())[2]
    assert (entry.kind, entry.reverses_seq, entry.reference) == (books_pb.ENTRY_KIND_TRADE_CANCELLATION, 1, "bust")
    assert await rig.positions() == {PERPETUAL: "-2"}


async def test_trades_come_in_pages_of_one_book_and_instrument(rig):
    await rig.books.RecordTrades(a_batch(*(a_trade(book_id=book) for book in ("a", "b", "a", "a")), a_trade(PERPETUAL, book_id="a")))
    request = books_pb.ListTradesRequest(account=ALPHA, book_id="a", instrument_id="BTC", page_size=2)
    page = await rig.books.ListTrades(request)
    assert [booked.sequence for booked in page.trades] == [1, 3]
    request.page_token = page.next_page_token
    page = await rig.books.ListTrades(request)
    assert ([booked.sequence for booked in page.trades], page.next_page_token) == ([4], "")
    request.book_id = "b"
    assert (await refusal_of(rig.books.ListTrades(request))).reason == "INVALID_PAGE_TOKEN"


async def test_an_event_streams_each_account_and_a_summary(rig):
    await rig.books.RecordTrades(a_batch(a_trade(PERPETUAL, "3", "50000")))
    await rig.books.RecordTrades(a_batch(a_trade(PERPETUAL, "-2", "50000"), account=BETA, request_id="b"))
    event = lifecycle.funding(PERPETUAL, "0.0001", 50_000, at=EXECUTED, reference="F-1")
    outcomes, summary = await apply(rig, event)
    assert [(one.account, one.application, one.sequence) for one in outcomes] == [
        (ALPHA, books_pb.EVENT_APPLICATION_BOOKED, 2),
        (BETA, books_pb.EVENT_APPLICATION_BOOKED, 2),
    ]
    assert [[(amount.instrument_id, amount.quantity) for amount in one.amounts] for one in outcomes] == [[("USD", "-15")], [("USD", "10")]]
    assert (summary.booked, summary.already_booked, summary.amounts[0].quantity) == (2, 0, "-5")
    _, summary = await apply(rig, event, request_id="e2")
    assert (summary.booked, summary.already_booked) == (0, 2)
    entry = (await rig.entries())[1]
    assert (entry.kind, entry.reference, dict(entry.event_terms)) == (
        books_pb.ENTRY_KIND_FUNDING, "F-1", {"price": "50000", "rate": "0.0001"}
    )  # fmt: skip
    assert entry.event.startswith(f"funding {PERPETUAL} ")
    done = await rig.books.CancelLifecycleEvent(
        books_pb.CancelLifecycleEventRequest(request_id="x", account=ALPHA, sequence=2, reason="rate")
    )
    assert done.sequence == 3
    outcomes, _ = await apply(rig, lifecycle.funding(PERPETUAL, "0.0002", 50_000, at=EXECUTED), account=ALPHA, request_id="e3")
    assert [(one.sequence, one.amounts[0].quantity) for one in outcomes] == [(4, "-30")]


async def test_an_event_that_does_not_fit_fails_the_call(rig):
    await rig.books.RecordTrades(a_batch(a_trade(PERPETUAL, "3", "50000")))
    request = books_pb.ApplyLifecycleEventRequest(request_id="e", event=lifecycle.coupon(PERPETUAL, date(2026, 5, 15), at=EXECUTED))

    async def read():
        return [part async for part in rig.books.ApplyLifecycleEvent(request)]

    refusal = await refusal_of(read())
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_EVENT")
    assert "expected a bond or note with coupons" in refusal.message


async def test_an_account_that_refuses_says_why(rig):
    await rig.books.RecordTrades(a_batch(a_trade(PERPETUAL, "3", "50000")))
    await apply(rig, lifecycle.funding(PERPETUAL, "0.0001", 50_000, at=EXECUTED))
    (outcome,), summary = await apply(rig, lifecycle.funding(PERPETUAL, "0.0002", 50_000, at=EXECUTED), request_id="e2")
    assert (outcome.application, outcome.refusal.reason) == (books_pb.EVENT_APPLICATION_REFUSED, "ALREADY_EXISTS")
    assert summary.refused == 1


async def test_trades_are_settled_on_their_day(rig):
    day = EXECUTED.date() + timedelta(days=2)
    await rig.books.RecordTrades(a_batch(a_trade(settle_date=day_message(day))))
    request = books_pb.SettleTradesRequest(request_id="s", settle_date=day_message(day))
    (settled,) = [part async for part in rig.books.SettleTrades(request)]
    assert (settled.account, list(settled.trade_seqs), settled.as_of_seq) == (ALPHA, [1], 2)
    trade, settlement = await rig.entries()
    assert (trade.settle_date, settlement.kind) == (day_message(day), books_pb.ENTRY_KIND_SETTLEMENT)


async def test_all_pages_of_positions_are_as_of_the_first(rig):
    await rig.books.RecordTrades(a_batch(*(a_trade(book_id=book) for book in ("a", "b", "c")), a_trade(PERPETUAL, book_id="b")))
    request = books_pb.ListPositionsRequest(account=ALPHA, page_size=3)
    whole = await rig.books.ListPositions(books_pb.ListPositionsRequest(account=ALPHA))
    assert (len(whole.positions), whole.next_page_token) == (7, "")
    seen, sequences = [], set()
    while True:
        page = await rig.books.ListPositions(request)
        seen += page.positions
        sequences.add(page.as_of_seq)
        await rig.books.RecordTrades(a_batch(a_trade(book_id="a"), request_id=f"between {len(seen)}".replace(" ", "-")))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert (seen, sequences) == (list(whole.positions), {4})


@pytest.mark.parametrize("token", ["WyJwb3NpdGlvbnMgb2YgeCIsICIxL2EvQiJd", "nonsense"])
async def test_a_token_of_another_list_of_positions_is_refused(rig, token):
    request = books_pb.ListPositionsRequest(account=ALPHA, page_size=3, page_token=token)
    assert (await refusal_of(rig.books.ListPositions(request))).reason == "INVALID_PAGE_TOKEN"


async def test_entries_begin_after_a_sequence(rig):
    for number in range(3):
        await rig.collateral.Deposit(a_deposit(request_id=f"d{number}"))
    answer = await rig.books.ListEntries(books_pb.ListEntriesRequest(account=ALPHA, after_seq=1, page_size=1))
    assert [entry.sequence for entry in answer.entries] == [2]
    answer = await rig.books.ListEntries(books_pb.ListEntriesRequest(account=ALPHA, after_seq=1, page_token=answer.next_page_token))
    assert [entry.sequence for entry in answer.entries] == [3]
