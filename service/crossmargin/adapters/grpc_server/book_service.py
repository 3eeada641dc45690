"""BookService: trades, lifecycle events, positions and entries."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from protovalidate import Validator

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.conversation import Asked, Stopping, in_order
from crossmargin.adapters.grpc_server.paging import cut_page, page_request, sequence_after
from crossmargin.adapters.grpc_server.position_pages import position_page
from crossmargin.adapters.grpc_server.wire.book import (
    booked_trade_to_message,
    entry_to_message,
    outcome_to_message,
    positions_to_messages,
    record_refusal,
    trades_or_errors,
    update_to_message,
)
from crossmargin.adapters.grpc_server.wire.lifecycle import (
    MOST_DUE_EVENTS,
    EventTally,
    due_event_to_message,
    event_from_message,
    event_outcome_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, date_from_message, date_to_message
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.api.v1.book_service_pb2_grpc import BookServiceServicer
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.use_cases import UseCases

LONGEST_RECORD_S: Final = 10.0
"""As of any unary call."""
MOST_RECORDS_IN_FLIGHT: Final = 256
"""Messages of one stream of trades at a time: as many as are written in one transaction."""


class BookService(BookServiceServicer):
    """The books: trades and events recorded as facts, and what an account holds because of them.

    The validator checks each trade of a batch by itself.
    """

    def __init__(self, use_cases: UseCases, validator: Validator, stopping: Stopping) -> None:
        self._use_cases = use_cases
        self._validator = validator
        self._stopping = stopping

    async def RecordTrades(self, request: pb.RecordTradesRequest, context: Context) -> pb.RecordTradesResponse:
        """Record executed trades, each with its own outcome."""
        return await self._record(request, context)

    async def StreamTrades(  # type: ignore[override]  # what is read comes with what stands in its way
        self, request_iterator: AsyncIterator[Asked[pb.StreamTradesRequest]], context: Context
    ) -> AsyncIterator[pb.StreamTradesResponse]:
        """Record the trades of one message after another, each by itself."""

        async def answer(asked: Asked[pb.StreamTradesRequest]) -> pb.StreamTradesResponse:
            record = asked.message.record
            outcome = await asked.outcome(lambda: self._record(record, context), longest_s=LONGEST_RECORD_S)
            if isinstance(outcome, pb.RecordTradesResponse):
                return pb.StreamTradesResponse(request_id=record.request_id, recorded=outcome)
            return pb.StreamTradesResponse(request_id=record.request_id, refusal=record_refusal(outcome))

        async with aclosing(in_order(request_iterator, answer, self._stopping, most_in_flight=MOST_RECORDS_IN_FLIGHT)) as answers:
            async for one in answers:
                yield one

    async def _record(self, request: pb.RecordTradesRequest, context: Context) -> pb.RecordTradesResponse:
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id)
        trades = trades_or_errors(request.trades, account, self._validator)
        recorded = await self._use_cases.record_trades(account, trades, caller=caller)
        return pb.RecordTradesResponse(
            outcomes=map(outcome_to_message, recorded.outcomes), as_of_seq=recorded.as_of_sequence, replayed=recorded.replayed
        )

    async def CancelTrade(self, request: pb.CancelTradeRequest, context: Context) -> pb.CancelTradeResponse:
        """Take a trade back."""
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id)
        done = await self._use_cases.cancel_trade(account, request.sequence, reason=request.reason, caller=caller)
        return pb.CancelTradeResponse(sequence=done.sequence, as_of_seq=done.sequence, replayed=done.replayed)

    async def ListTrades(self, request: pb.ListTradesRequest, context: Context) -> pb.ListTradesResponse:
        """List the trades of an account."""
        account = account_ref_from_name(request.account, what="account")
        name = f"trades of {account} in book {request.book_id} and {request.instrument_id}"
        asked = page_request(name, page_size=request.page_size, page_token=request.page_token)
        found = await self._use_cases.books.list_trades(
            account,
            book_id=BookId(request.book_id) if request.book_id else None,
            instrument_id=InstrumentId(request.instrument_id) if request.instrument_id else None,
            after_sequence=sequence_after(asked.after, request.page_token),
            limit=asked.page.size,
        )
        items, token = cut_page(asked, found, lambda booked: str(booked.entry.sequence))
        traded = [booked.entry.entry.postings[0].instrument_id for booked in items]
        known = await known_instruments(self._use_cases.instruments, traded)
        messages = [booked_trade_to_message(booked, known[name]) for booked, name in zip(items, traded, strict=True)]
        return pb.ListTradesResponse(trades=messages, next_page_token=token)

    async def ApplyLifecycleEvent(
        self, request: pb.ApplyLifecycleEventRequest, context: Context
    ) -> AsyncIterator[pb.ApplyLifecycleEventResponse]:
        """Apply an event to the accounts that hold its instrument, and sum up."""
        event = event_from_message(request.event)
        caller = caller_of(context, request.request_id)
        tally = EventTally()
        async for outcome in self._use_cases.apply_lifecycle_event(event, _account_or_none(request.account), caller=caller):
            tally.add(outcome)
            yield pb.ApplyLifecycleEventResponse(outcome=event_outcome_to_message(outcome))
        yield pb.ApplyLifecycleEventResponse(summary=tally.summary())

    async def CancelLifecycleEvent(self, request: pb.CancelLifecycleEventRequest, context: Context) -> pb.CancelLifecycleEventResponse:
        """Take back what an event did to one account."""
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id)
        done = await self._use_cases.cancel_lifecycle_event(account, request.sequence, reason=request.reason, caller=caller)
        return pb.CancelLifecycleEventResponse(sequence=done.sequence, as_of_seq=done.sequence, replayed=done.replayed)

    async def SettleTrades(self, request: pb.SettleTradesRequest, context: Context) -> AsyncIterator[pb.SettleTradesResponse]:
        """Settle the trades that are due."""
        day = date_from_message(request.settle_date, what="settle_date")
        caller = caller_of(context, request.request_id)
        async for settled in self._use_cases.settle_trades(day, _account_or_none(request.account), caller=caller):
            yield pb.SettleTradesResponse(
                account=str(settled.account), trade_seqs=settled.trades, as_of_seq=settled.as_of_sequence, replayed=settled.replayed
            )

    async def ListDueEvents(self, request: pb.ListDueEventsRequest, context: Context) -> pb.ListDueEventsResponse:
        """List the lifecycle events that nobody has booked."""
        found = await self._use_cases.list_due_events(_account_or_none(request.account))
        return pb.ListDueEventsResponse(events=map(due_event_to_message, found[:MOST_DUE_EVENTS]), total=len(found))

    async def ListPositions(self, request: pb.ListPositionsRequest, context: Context) -> pb.ListPositionsResponse:
        """List what an account holds."""
        account = account_ref_from_name(request.account, what="account")
        page = await position_page(
            self._use_cases, account, min_seq=request.min_seq, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListPositionsResponse(
            positions=positions_to_messages(page.positions), as_of_seq=page.sequence, next_page_token=page.next_token
        )

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> pb.ListEntriesResponse:
        """List the entries of an account."""
        account = account_ref_from_name(request.account, what="account")
        asked = page_request(f"entries of {account}", page_size=request.page_size, page_token=request.page_token)
        after = sequence_after(asked.after, request.page_token) if asked.after is not None else request.after_seq
        found = await self._use_cases.books.list_entries(account, after_sequence=after, limit=asked.page.size)
        items, token = cut_page(asked, found, lambda entry: str(entry.sequence))
        return pb.ListEntriesResponse(entries=map(entry_to_message, items), next_page_token=token)

    async def WatchPositions(self, request: pb.WatchPositionsRequest, context: Context) -> AsyncIterator[pb.WatchPositionsResponse]:
        """Stream what an account holds, entry by entry."""
        account = account_ref_from_name(request.account, what="account")
        after = request.after_seq if request.HasField("after_seq") else None
        async for update in self._use_cases.watch_positions(account, after_sequence=after):
            yield update_to_message(update)

    async def GetStatement(self, request: pb.GetStatementRequest, context: Context) -> pb.GetStatementResponse:
        """Return an account at both ends of a day."""
        account = account_ref_from_name(request.account, what="account")
        day = date_from_message(request.date, what="date")
        found = await self._use_cases.read_statement(account, day)
        return pb.GetStatementResponse(
            account=str(account),
            date=date_to_message(day),
            opening_seq=found.opening.head.sequence,
            closing_seq=found.closing.head.sequence,
            opening_positions=positions_to_messages(found.opening.positions),
            closing_positions=positions_to_messages(found.closing.positions),
            final=found.is_final,
        )


def _account_or_none(name: str) -> AccountRef | None:
    return account_ref_from_name(name, what="account") if name else None
