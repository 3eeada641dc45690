"""The margin of an account: now, before and after trades, in the past and ahead."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from datetime import datetime, timedelta

from crossmargin.api.v1 import book_service_pb2, margin_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, watch, whole
from crossmargin_client.conversations import converse
from crossmargin_client.declaration import answers, yields
from crossmargin_client.previews import StreamedPreview, streamed_preview
from crossmargin_client.requests import PAGE_SIZE
from crossmargin_client.values import Exact, optional_text, optional_timestamp


class MarginMethods:
    """The margin of an account: now, before and after trades, in the past and ahead."""

    @answers
    def get_margin(self, account: str, *, min_seq: int = 0) -> One[margin_service_pb2.Margin]:
        """Return the margin of an account at the latest snapshot."""
        request = margin_service_pb2.GetMarginRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.margin.GetMargin, request, lambda answer: answer.margin)

    @answers
    def get_standing(self, account: str, *, min_seq: int = 0, report_in: str = "") -> One[margin_service_pb2.GetMarginResponse]:
        """Return the margin of an account with its open orders at worst, what is used of its limits, and in the money `report_in`."""
        request = margin_service_pb2.GetMarginRequest(account=account, min_seq=min_seq, report_in=report_in)
        return ask(lambda to: to.margin.GetMargin, request, whole)

    @answers
    def explain_margin(self, account: str, *, min_seq: int = 0) -> One[margin_service_pb2.ExplainMarginResponse]:
        """Return the margin of an account with its contributions, offset groups, worst scenarios and collateral."""
        request = margin_service_pb2.ExplainMarginRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.margin.ExplainMargin, request, whole)

    @answers
    def compare_methodologies(self, account: str, *, min_seq: int = 0) -> One[margin_service_pb2.CompareMethodologiesResponse]:
        """Return the margin of an account by every methodology, side by side."""
        request = margin_service_pb2.CompareMethodologiesRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.margin.CompareMethodologies, request, whole)

    @answers
    def preview_trades(
        self, account: str, trades: Iterable[book_service_pb2.Trade], *, min_seq: int = 0
    ) -> One[margin_service_pb2.PreviewTradesResponse]:
        """Return the margin before and after 1 to 256 trades that have not been done; nothing is stored."""
        request = margin_service_pb2.PreviewTradesRequest(account=account, trades=trades, min_seq=min_seq)
        return ask(lambda to: to.margin.PreviewTrades, request, whole)

    @yields
    def stream_previews(
        self,
        previews: Iterable[margin_service_pb2.StreamPreviewsRequest] | AsyncIterable[margin_service_pb2.StreamPreviewsRequest],
        *,
        patience_s: float = 60.0,
    ) -> Many[StreamedPreview]:
        """Send previews (`preview_request`) one after another and yield the answer to each, in their order; nothing is stored.

        Faster than `preview_trades` for whoever checks every order before it is sent. `previews` may wait for an answer before it comes
        with the next one. A preview that fails is an answer as well. A broken stream is opened again and what was not answered is sent
        again; after `patience_s` seconds without an answer the error is raised.
        """
        return converse(lambda to: to.margin.StreamPreviews, previews, streamed_preview, patience_s=patience_s)

    @answers
    def reproduce_margin(
        self, stamp: margin_service_pb2.MarginStamp, *, margin: margin_service_pb2.Margin | None = None
    ) -> One[margin_service_pb2.ReproduceMarginResponse]:
        """Compute a past margin again from what is stored, and say whether it is the same; with `margin`, figure by figure."""
        request = margin_service_pb2.ReproduceMarginRequest(stamp=stamp, margin=margin)
        return ask(lambda to: to.margin.ReproduceMargin, request, whole)

    @yields
    def list_margin_history(
        self, account: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Many[margin_service_pb2.MarginPoint]:
        """Yield what house runs found of an account, oldest first, stored from `start` on and before `end` where given."""
        request = margin_service_pb2.ListMarginHistoryRequest(
            account=account,
            start_time=optional_timestamp(start, field="start"),
            end_time=optional_timestamp(end, field="end"),
            page_size=PAGE_SIZE,
        )
        return pages(lambda to: to.margin.ListMarginHistory, request, lambda page: page.points)

    @answers
    def project_utilization(
        self, account: str, *, horizon: timedelta | None = None, min_seq: int = 0
    ) -> One[margin_service_pb2.ProjectUtilizationResponse]:
        """Return where the utilization of an account goes by a horizon, 24 hours ahead without one. Nothing is called on it."""
        request = margin_service_pb2.ProjectUtilizationRequest(account=account, min_seq=min_seq)
        if horizon is not None:
            request.horizon.FromTimedelta(horizon)
        return ask(lambda to: to.margin.ProjectUtilization, request, whole)

    @yields
    def watch_margin(
        self, account: str, *, utilization_step: Exact | None = None, patience_s: float = 60.0
    ) -> Many[margin_service_pb2.Margin]:
        """Yield the margin of an account: at once, then whenever its band changes or its utilization moves by a step.

        Never ends by itself. A broken stream is opened again, and its first message is the present state; after `patience_s` seconds
        without one the error is raised.
        """
        step = optional_text(utilization_step, field="utilization_step")
        request = margin_service_pb2.WatchMarginRequest(account=account, utilization_step=step)
        return watch(lambda to: to.margin.WatchMargin, request, lambda response: response.margin, patience_s=patience_s)
