"""Trades, positions and the ledger behind them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from datetime import date

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, watch, whole
from crossmargin_client.conversations import converse
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id
from crossmargin_client.streamed_trades import StreamedTrades, recorded_again, streamed_trades
from crossmargin_client.values import date_of


class BookMethods:
    """Trades, positions and the ledger behind them."""

    @answers
    def record_trades(
        self, account: str, trades: Iterable[book_service_pb2.Trade], *, request_id: str | None = None
    ) -> One[book_service_pb2.RecordTradesResponse]:
        """Record 1 to 256 executed trades and return what became of each, in their order."""
        request = book_service_pb2.RecordTradesRequest(request_id=request_id or new_request_id(), account=account, trades=trades)
        return ask(lambda to: to.books.RecordTrades, request, whole)

    @yields
    def stream_trades(
        self,
        messages: Iterable[book_service_pb2.StreamTradesRequest] | AsyncIterable[book_service_pb2.StreamTradesRequest],
        *,
        patience_s: float = 60.0,
    ) -> Many[StreamedTrades]:
        """Record trades of many accounts, message after message (`trades_of`), and yield what became of each, in their order.

        Faster than calls of `record_trades`, and as safe: a broken stream is opened again, and what was not answered is sent again under
        its request id. A message that is refused is an answer as well; one that was `Busy` or `Unavailable` is sent again as it
        is by `record_trades`, while the answers after it wait, and has its error when that was in vain within the deadline of a call.
        Messages that wait together may be booked in any order. After `patience_s` seconds without an answer the error is raised.
        """
        return converse(lambda to: to.books.StreamTrades, messages, streamed_trades, patience_s=patience_s, again=recorded_again)

    @answers
    def list_positions(self, account: str, *, min_seq: int = 0) -> One[book_service_pb2.ListPositionsResponse]:
        """Return what an account holds, with the ledger entry it is as of."""
        request = book_service_pb2.ListPositionsRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.books.ListPositions, request, whole)

    @yields
    def list_entries(self, account: str, *, after_seq: int = 0) -> Many[book_service_pb2.Entry]:
        """Yield the entries of an account's ledger in sequence order, all or those after a sequence."""
        request = book_service_pb2.ListEntriesRequest(account=account, page_size=PAGE_SIZE, after_seq=after_seq)
        return pages(lambda to: to.books.ListEntries, request, lambda page: page.entries)

    @answers
    def cancel_trade(
        self, account: str, sequence: int, *, reason: str, request_id: str | None = None
    ) -> One[book_service_pb2.CancelTradeResponse]:
        """Take a trade back, once, and return where its reverse is."""
        request = book_service_pb2.CancelTradeRequest(
            request_id=request_id or new_request_id(), account=account, sequence=sequence, reason=reason
        )
        return ask(lambda to: to.books.CancelTrade, request, whole)

    @yields
    def list_trades(self, account: str, *, book: str = "", instrument_id: str = "") -> Many[book_service_pb2.BookedTrade]:
        """Yield every trade of an account in sequence order, cancelled ones too; of one book or instrument where given."""
        request = book_service_pb2.ListTradesRequest(account=account, book_id=book, instrument_id=instrument_id, page_size=PAGE_SIZE)
        return pages(lambda to: to.books.ListTrades, request, lambda page: page.trades)

    @yields
    def settle_trades(
        self, settle_date: date, *, account: str = "", request_id: str | None = None, patience_s: float = 60.0
    ) -> Many[book_service_pb2.SettleTradesResponse]:
        """Settle the trades that are due by a day, and yield what was settled, in parts of 100 trades of an account. Read to the end.

        A run that breaks is run again: what it settled and did not tell is settled.
        """
        request = book_service_pb2.SettleTradesRequest(
            request_id=request_id or new_request_id(), settle_date=date_of(settle_date, field="settle_date"), account=account
        )
        return watch(lambda to: to.books.SettleTrades, request, whole, ends=lambda last: last is None, patience_s=patience_s)

    @yields
    def watch_positions(
        self, account: str, *, after_seq: int | None = None, patience_s: float = 60.0
    ) -> Many[book_service_pb2.WatchPositionsResponse]:
        """Yield what an account holds, entry by entry: the present state first, or what comes after a sequence when one is given.

        Never ends by itself. A broken stream, also one that was cut because it was not read, is opened again after the last message, so
        that no entry is missed or yielded twice; after `patience_s` seconds without one the error is raised.
        """
        request = book_service_pb2.WatchPositionsRequest(account=account, after_seq=after_seq)

        def update(response: book_service_pb2.WatchPositionsResponse) -> book_service_pb2.WatchPositionsResponse:
            request.after_seq = response.seq
            return response

        return watch(lambda to: to.books.WatchPositions, request, update, patience_s=patience_s)

    @answers
    def get_statement(self, account: str, day: date) -> One[book_service_pb2.GetStatementResponse]:
        """Return an account at the beginning and end of a day, UTC; `add_up` proves it with the entries between."""
        request = book_service_pb2.GetStatementRequest(account=account, date=date_of(day, field="day"))
        return ask(lambda to: to.books.GetStatement, request, whole)
