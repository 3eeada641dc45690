"""MarginService: margin now, explained, with trades on top, as it moves, and as it was."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.conversation import Asked, Stopping, in_order
from crossmargin.adapters.grpc_server.paging import cut_page, page_request, sequence_after
from crossmargin.adapters.grpc_server.wire.book import trades_from_messages
from crossmargin.adapters.grpc_server.wire.explanation import full_explanation_to_message
from crossmargin.adapters.grpc_server.wire.margin import (
    StandingMargins,
    band_to_message,
    comparison_to_message,
    margin_to_message,
    reported_to_message,
    reproduction_to_message,
    stamp_from_message,
)
from crossmargin.adapters.grpc_server.wire.margin_history import history_filter_from_message, point_to_message
from crossmargin.adapters.grpc_server.wire.outlook import horizon_from_message, outlook_to_message
from crossmargin.adapters.grpc_server.wire.preview_stream import preview_refusal, seconds_to_answer
from crossmargin.adapters.grpc_server.wire.reservation import (
    limit_usage_to_message,
    need_to_message,
    open_orders_to_message,
    order_from_message,
    reservation_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceServicer
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import parse_decimal
from crossmargin.usecases.use_cases import UseCases

DEFAULT_UTILIZATION_STEP: Final = Decimal("0.01")


class MarginService(MarginServiceServicer):
    """What an account is worth, what it needs, and how close it is to the line."""

    def __init__(self, use_cases: UseCases, stopping: Stopping) -> None:
        self._use_cases = use_cases
        self._stopping = stopping
        self._standing = StandingMargins()

    async def GetMargin(self, request: pb.GetMarginRequest, context: Context) -> pb.GetMarginResponse:
        """Return the margin of an account."""
        account = account_ref_from_name(request.account, what="account")
        report_in = InstrumentId(request.report_in) if request.report_in else None
        standing = await self._use_cases.read_standing(account, min_sequence=request.min_seq, report_in=report_in)
        return pb.GetMarginResponse(
            margin=margin_to_message(standing.margin),
            reported=None if standing.reported is None else reported_to_message(standing.reported),
            open_orders=open_orders_to_message(standing),
            limits=map(limit_usage_to_message, standing.limits),
        )

    async def ExplainMargin(self, request: pb.ExplainMarginRequest, context: Context) -> pb.ExplainMarginResponse:
        """Return the margin of an account with what makes it up and what it says beyond the number."""
        account = account_ref_from_name(request.account, what="account")
        return full_explanation_to_message(await self._use_cases.explain_margin(account, min_sequence=request.min_seq))

    async def CompareMethodologies(self, request: pb.CompareMethodologiesRequest, context: Context) -> pb.CompareMethodologiesResponse:
        """Return the margin of an account by every methodology."""
        account = account_ref_from_name(request.account, what="account")
        return comparison_to_message(await self._use_cases.compare_methodologies(account, min_sequence=request.min_seq))

    async def PreviewTrades(self, request: pb.PreviewTradesRequest, context: Context) -> pb.PreviewTradesResponse:
        """Return margin before and after trades that have not been done."""
        return await self._preview(request)

    async def StreamPreviews(  # type: ignore[override]  # what is read comes with what stands in its way
        self, request_iterator: AsyncIterator[Asked[pb.StreamPreviewsRequest]], context: Context
    ) -> AsyncIterator[pb.StreamPreviewsResponse]:
        """Answer previews one after another, each by itself."""
        async with aclosing(in_order(request_iterator, self._answer_preview, self._stopping)) as answers:
            async for answer in answers:
                yield answer

    async def _answer_preview(self, asked: Asked[pb.StreamPreviewsRequest]) -> pb.StreamPreviewsResponse:
        message = asked.message
        outcome = await asked.outcome(lambda: self._preview(message.preview), longest_s=seconds_to_answer(message))
        if isinstance(outcome, pb.PreviewTradesResponse):
            return pb.StreamPreviewsResponse(correlation_id=message.correlation_id, preview=outcome)
        return pb.StreamPreviewsResponse(correlation_id=message.correlation_id, refusal=preview_refusal(outcome))

    async def _preview(self, request: pb.PreviewTradesRequest) -> pb.PreviewTradesResponse:
        account = account_ref_from_name(request.account, what="account")
        trades = trades_from_messages(request.trades, account)
        preview = await self._use_cases.preview_trades(account, trades, min_sequence=request.min_seq)
        return pb.PreviewTradesResponse(
            before=self._standing.message_of(preview.before),
            after=margin_to_message(preview.after),
            acceptable=preview.acceptable,
            market_refusal="" if preview.market_refusal is None else preview.market_refusal.reason.code,
            market_refusal_message="" if preview.market_refusal is None else preview.market_refusal.message,
            need_before=need_to_message(preview.need_before),
            need_after=need_to_message(preview.need_after),
        )

    async def ReserveMargin(self, request: pb.ReserveMarginRequest, context: Context) -> pb.ReserveMarginResponse:
        """Approve an order and hold its margin."""
        order = order_from_message(request.order, account_ref_from_name(request.account, what="account"))
        reserved = await self._use_cases.reserve_margin(order, caller=caller_of(context, request.request_id))
        return pb.ReserveMarginResponse(
            reservation=reservation_to_message(reserved.reservation),
            need_before=need_to_message(reserved.before),
            need_after=need_to_message(reserved.after),
            replayed=reserved.replayed,
        )

    async def ReleaseReservation(self, request: pb.ReleaseReservationRequest, context: Context) -> pb.ReleaseReservationResponse:
        """End a reservation."""
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id)
        released = await self._use_cases.release_reservation(account, request.reservation, caller=caller)
        return pb.ReleaseReservationResponse(sequence=released.sequence, replayed=released.replayed)

    async def ListReservations(self, request: pb.ListReservationsRequest, context: Context) -> pb.ListReservationsResponse:
        """List the reservations of an account."""
        account = account_ref_from_name(request.account, what="account")
        asked = page_request(f"reservations of {account}", page_size=request.page_size, page_token=request.page_token)
        after = sequence_after(asked.after, request.page_token)
        found = await self._use_cases.books.list_reservations(account, after_sequence=after, limit=asked.page.size)
        items, token = cut_page(asked, found, lambda one: str(one.sequence))
        return pb.ListReservationsResponse(reservations=map(reservation_to_message, items), next_page_token=token)

    async def WatchMargin(self, request: pb.WatchMarginRequest, context: Context) -> AsyncIterator[pb.WatchMarginResponse]:
        """Stream the margin of an account as it moves."""
        account = account_ref_from_name(request.account, what="account")
        step = parse_decimal(request.utilization_step, what="utilization_step") if request.utilization_step else DEFAULT_UTILIZATION_STEP
        async for watched in self._use_cases.watch_margin(account, utilization_step=step):
            yield pb.WatchMarginResponse(
                margin=margin_to_message(watched.margin),
                remembered_band=band_to_message(watched.state.band),
                liquidation_immediate=watched.state.is_immediate,
            )

    async def ReproduceMargin(self, request: pb.ReproduceMarginRequest, context: Context) -> pb.ReproduceMarginResponse:
        """Compute a past margin again."""
        reproduction = await self._use_cases.reproduce_margin(stamp_from_message(request.stamp))
        return reproduction_to_message(reproduction, request.margin if request.HasField("margin") else None)

    async def ProjectUtilization(self, request: pb.ProjectUtilizationRequest, context: Context) -> pb.ProjectUtilizationResponse:
        """Project the utilization of an account."""
        account = account_ref_from_name(request.account, what="account")
        horizon = horizon_from_message(request)
        return outlook_to_message(await self._use_cases.project_utilization(account, horizon=horizon, min_sequence=request.min_seq))

    async def ListMarginHistory(self, request: pb.ListMarginHistoryRequest, context: Context) -> pb.ListMarginHistoryResponse:
        """List what house runs found of an account."""
        account = account_ref_from_name(request.account, what="account")
        chosen = history_filter_from_message(request)
        name = f"margin history of {account} from {chosen.start} to {chosen.end}"
        asked = page_request(name, page_size=request.page_size, page_token=request.page_token)
        after = sequence_after(asked.after, request.page_token)
        found = await self._use_cases.history.list_points(account, chosen, after_run=after, limit=asked.page.size)
        items, token = cut_page(asked, found, lambda stored: str(stored.run))
        return pb.ListMarginHistoryResponse(points=map(point_to_message, items), next_page_token=token)
