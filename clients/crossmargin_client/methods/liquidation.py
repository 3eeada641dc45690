"""Liquidations, from the plan to the last fill."""

from __future__ import annotations

from collections.abc import Iterable

from crossmargin.api.v1 import book_service_pb2, risk_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id
from crossmargin_client.values import Exact, optional_text


class LiquidationMethods:
    """Liquidations, from the plan to the last fill."""

    @answers
    def plan_liquidation(
        self,
        account: str,
        *,
        target_utilization: Exact | None = None,
        impact_coefficient: Exact | None = None,
        order_books: Iterable[risk_service_pb2.OrderBook] = (),
    ) -> One[risk_service_pb2.PlanLiquidationResponse]:
        """Return which parts of an account to close, and whether it may be liquidated at all. Nothing is stored."""
        request = risk_service_pb2.PlanLiquidationRequest(
            account=account,
            target_utilization=optional_text(target_utilization, field="target_utilization"),
            impact_coefficient=optional_text(impact_coefficient, field="impact_coefficient"),
            order_books=order_books,
        )
        return ask(lambda to: to.risk.PlanLiquidation, request, whole)

    @answers
    def reproduce_liquidation(self, plan: risk_service_pb2.LiquidationPlan) -> One[risk_service_pb2.ReproduceLiquidationResponse]:
        """Make a past plan again from what is stored, and compare every figure. Nothing is stored."""
        return ask(lambda to: to.risk.ReproduceLiquidation, risk_service_pb2.ReproduceLiquidationRequest(plan=plan), whole)

    @answers
    def approve_liquidation(
        self, plan: risk_service_pb2.LiquidationPlan, *, confirms: str = "", request_id: str | None = None
    ) -> One[risk_service_pb2.ApproveLiquidationResponse]:
        """Propose a plan; or, as another person and on a newer snapshot, approve of it.

        The first one's answer has a `pending_request`; the second one sends the same plan and its `pending_id` as `confirms`.
        """
        request = risk_service_pb2.ApproveLiquidationRequest(
            request_id=request_id or new_request_id(),
            account=plan.account,
            as_of_seq=plan.as_of_seq,
            snapshot_id=plan.snapshot_id,
            trades=[trade for piece in plan.pieces for trade in piece.trades],
            target_utilization=plan.target_utilization,
            confirms=confirms,
        )
        return ask(lambda to: to.risk.ApproveLiquidation, request, whole)

    @answers
    def report_liquidation(
        self, account: str, liquidation_id: str, fills: Iterable[book_service_pb2.Trade], *, request_id: str | None = None
    ) -> One[risk_service_pb2.ReportLiquidationResponse]:
        """Book 1 to 256 fills of a liquidation, all or none, and return it as it then stands: it may have ended with them."""
        request = risk_service_pb2.ReportLiquidationRequest(
            request_id=request_id or new_request_id(), account=account, liquidation_id=liquidation_id, fills=fills
        )
        return ask(lambda to: to.risk.ReportLiquidation, request, whole)

    @answers
    def abandon_liquidation(
        self, account: str, liquidation_id: str, text: str, *, request_id: str | None = None
    ) -> One[risk_service_pb2.Liquidation]:
        """End a liquidation, saying why, and return it."""
        request = risk_service_pb2.AbandonLiquidationRequest(
            request_id=request_id or new_request_id(), account=account, liquidation_id=liquidation_id, text=text
        )
        return ask(lambda to: to.risk.AbandonLiquidation, request, lambda answer: answer.liquidation)

    @answers
    def get_liquidation(self, account: str, liquidation_id: str) -> One[risk_service_pb2.GetLiquidationResponse]:
        """Return a liquidation with its steps, and whether what is left may be traded now: ask before every piece."""
        request = risk_service_pb2.GetLiquidationRequest(account=account, liquidation_id=liquidation_id)
        return ask(lambda to: to.risk.GetLiquidation, request, whole)

    @yields
    def list_liquidations(self, scope: str = "", *, only_open: bool = False) -> Many[risk_service_pb2.Liquidation]:
        """Yield liquidations by account and time of approval: of clients/{client}, of an account, or of all."""
        request = risk_service_pb2.ListLiquidationsRequest(scope=scope, only_open=only_open, page_size=PAGE_SIZE)
        return pages(lambda to: to.risk.ListLiquidations, request, lambda page: page.liquidations)
