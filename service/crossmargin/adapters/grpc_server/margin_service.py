"""MarginService: margin now, explained, with trades on top, as it moves, and as it was."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.context import Context
from crossmargin.adapters.grpc_server.wire.book import trades_from_messages
from crossmargin.adapters.grpc_server.wire.explanation import full_explanation_to_message
from crossmargin.adapters.grpc_server.wire.margin import margin_to_message, reproduction_to_message, stamp_from_message
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceServicer
from crossmargin.domain.money import parse_decimal
from crossmargin.usecases.use_cases import UseCases

DEFAULT_UTILIZATION_STEP: Final = Decimal("0.01")


class MarginService(MarginServiceServicer):
    """What an account is worth, what it needs, and how close it is to the line."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def GetMargin(self, request: pb.GetMarginRequest, context: Context) -> pb.GetMarginResponse:
        """Return the margin of an account."""
        account = account_ref_from_name(request.account, what="account")
        result = await self._use_cases.evaluate_margin(account, min_sequence=request.min_seq)
        return pb.GetMarginResponse(margin=margin_to_message(result))

    async def ExplainMargin(self, request: pb.ExplainMarginRequest, context: Context) -> pb.ExplainMarginResponse:
        """Return the margin of an account with what makes it up and what it says beyond the number."""
        account = account_ref_from_name(request.account, what="account")
        return full_explanation_to_message(await self._use_cases.explain_margin(account, min_sequence=request.min_seq))

    async def PreviewTrades(self, request: pb.PreviewTradesRequest, context: Context) -> pb.PreviewTradesResponse:
        """Return margin before and after trades that have not been done."""
        account = account_ref_from_name(request.account, what="account")
        trades = trades_from_messages(request.trades, account)
        preview = await self._use_cases.preview_trades(account, trades, min_sequence=request.min_seq)
        return pb.PreviewTradesResponse(
            before=margin_to_message(preview.before),
            after=margin_to_message(preview.after),
            acceptable=preview.acceptable,
            market_refusal="" if preview.market_refusal is None else preview.market_refusal.reason.code,
            market_refusal_message="" if preview.market_refusal is None else preview.market_refusal.message,
        )

    async def WatchMargin(self, request: pb.WatchMarginRequest, context: Context) -> AsyncIterator[pb.WatchMarginResponse]:
        """Stream the margin of an account as it moves."""
        account = account_ref_from_name(request.account, what="account")
        step = parse_decimal(request.utilization_step, what="utilization_step") if request.utilization_step else DEFAULT_UTILIZATION_STEP
        async for result in self._use_cases.watch_margin(account, utilization_step=step):
            yield pb.WatchMarginResponse(margin=margin_to_message(result))

    async def ReproduceMargin(self, request: pb.ReproduceMarginRequest, context: Context) -> pb.ReproduceMarginResponse:
        """Compute a past margin again."""
        reproduction = await self._use_cases.reproduce_margin(stamp_from_message(request.stamp))
        return reproduction_to_message(reproduction, request.margin if request.HasField("margin") else None)
