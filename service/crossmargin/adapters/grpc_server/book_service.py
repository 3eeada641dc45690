"""BookService: trades, positions and entries."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from crossmargin.adapters.grpc_server.context import Context, principal_of
from crossmargin.adapters.grpc_server.paging import bad_page_token, cut_page, page_request
from crossmargin.adapters.grpc_server.wire.book import entry_to_message, outcome_to_message, positions_to_messages, trades_or_errors
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.api.v1.book_service_pb2_grpc import BookServiceServicer
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.use_cases import UseCases


class BookService(BookServiceServicer):
    """The books: trades recorded as facts, and what an account holds because of them."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def RecordTrades(self, request: pb.RecordTradesRequest, context: Context) -> pb.RecordTradesResponse:
        """Record executed trades, each with its own outcome."""
        account = account_ref_from_name(request.account, what="account")
        caller = Caller(principal_of(context), request.request_id)
        recorded = await self._use_cases.record_trades(account, trades_or_errors(request.trades, account), caller=caller)
        return pb.RecordTradesResponse(
            outcomes=map(outcome_to_message, recorded.outcomes), as_of_seq=recorded.as_of_sequence, replayed=recorded.replayed
        )

    async def ListPositions(self, request: pb.ListPositionsRequest, context: Context) -> pb.ListPositionsResponse:
        """List what an account holds."""
        account = account_ref_from_name(request.account, what="account")
        state = await self._use_cases.read_account(account, min_sequence=request.min_seq)
        return pb.ListPositionsResponse(positions=positions_to_messages(state.positions), as_of_seq=state.head.sequence)

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> pb.ListEntriesResponse:
        """List the entries of an account."""
        account = account_ref_from_name(request.account, what="account")
        asked = page_request(f"entries of {account}", page_size=request.page_size, page_token=request.page_token)
        after = _sequence(asked.after, request.page_token)
        found = await self._use_cases.books.list_entries(account, after_sequence=after, limit=asked.page.size)
        items, token = cut_page(asked, found, lambda entry: str(entry.sequence))
        return pb.ListEntriesResponse(entries=map(entry_to_message, items), next_page_token=token)


def _sequence(key: str | None, token: str) -> int:
    if key is None:
        return 0
    # Eighteen digits stay within the database's 64 bits.
    if not (key.isdecimal() and len(key) <= 18):
        raise bad_page_token(token)
    return int(key)
