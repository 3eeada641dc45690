"""MarketService: snapshots and history."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.history_blocks import HistoryBlocks
from crossmargin.adapters.grpc_server.wire.market import (
    breaker_kind_from_message,
    breaker_to_message,
    breakers_to_message,
    found_snapshot_to_message,
    history_from_block,
    quotes_from_message,
    receipt_to_message,
    snapshot_from_message,
)
from crossmargin.adapters.grpc_server.wire.values import printable
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.api.v1.market_service_pb2_grpc import MarketServiceServicer
from crossmargin.domain.identifiers import SnapshotId
from crossmargin.usecases.use_cases import UseCases


class MarketService(MarketServiceServicer):
    """What the market says."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def PublishSnapshot(self, request: pb.PublishSnapshotRequest, context: Context) -> pb.PublishSnapshotResponse:
        """Publish a market snapshot."""
        snapshot = snapshot_from_message(request.snapshot)
        return pb.PublishSnapshotResponse(
            snapshot_id=await self._use_cases.publish_snapshot(snapshot, principal=caller_of(context).principal)
        )

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: Context) -> pb.GetSnapshotResponse:
        """Return a market snapshot, or the latest."""
        market = self._use_cases.market
        if request.snapshot_id:
            found = await market.get_snapshot(SnapshotId(request.snapshot_id))
        else:
            found = await market.latest_snapshot()
        return found_snapshot_to_message(found)

    async def PublishQuotes(
        self, request_iterator: AsyncIterator[pb.PublishQuotesRequest], context: Context
    ) -> AsyncIterator[pb.PublishQuotesResponse]:
        """Take quotes, and answer each message once they are durable."""
        async for request in request_iterator:
            source, batch = quotes_from_message(request)
            yield receipt_to_message(await self._use_cases.publish_quotes(source, batch))

    async def GetBreakers(self, request: pb.GetBreakersRequest, context: Context) -> pb.GetBreakersResponse:
        """Return where the breakers stand."""
        return breakers_to_message(await self._use_cases.breakers.list_breakers())

    async def ResetBreaker(self, request: pb.ResetBreakerRequest, context: Context) -> pb.ResetBreakerResponse:
        """Reset a breaker."""
        breaker = await self._use_cases.reset_breaker(
            breaker_kind_from_message(request.kind), principal=caller_of(context).principal, note=printable(request.note, what="note")
        )
        return pb.ResetBreakerResponse(breaker=breaker_to_message(breaker))

    async def ImportHistory(self, request_iterator: AsyncIterator[pb.ImportHistoryRequest], context: Context) -> pb.ImportHistoryResponse:
        """Import history; the whole stream or nothing."""
        blocks = HistoryBlocks()
        async for request in request_iterator:
            # Millions of levels are read in another thread, so that other calls are served meanwhile.
            await asyncio.to_thread(lambda block: blocks.add(history_from_block(block)), request)
        history = await asyncio.to_thread(blocks.history)
        level_count = await self._use_cases.import_history(history)
        return pb.ImportHistoryResponse(level_count=level_count, factor_count=len(history.levels))
