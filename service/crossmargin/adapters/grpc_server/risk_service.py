"""RiskService: what takes minutes and not milliseconds."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import bad_page_token, cut_page, page_request
from crossmargin.adapters.grpc_server.wire.backtest import backtest_request_from_message, backtest_to_message
from crossmargin.adapters.grpc_server.wire.book import trades_from_messages
from crossmargin.adapters.grpc_server.wire.cascade import cascade_request_from_message, cascade_to_message
from crossmargin.adapters.grpc_server.wire.liquidation import (
    approval_from_message,
    approval_to_message,
    gated_plan_to_message,
    past_plan_from_message,
    plan_wish_from_message,
    reproduction_to_message,
)
from crossmargin.adapters.grpc_server.wire.liquidation_life import (
    gated_liquidation_to_message,
    liquidation_filter_from_message,
    liquidation_to_message,
    reported_to_message,
)
from crossmargin.adapters.grpc_server.wire.margin_mode import advice_to_message
from crossmargin.adapters.grpc_server.wire.pending_request import confirmed_name
from crossmargin.adapters.grpc_server.wire.stress import (
    break_line_from_message,
    reverse_stress_to_message,
    scenario_to_message,
    stress_request_from_message,
    stress_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.api.v1.risk_service_pb2_grpc import RiskServiceServicer
from crossmargin.domain.identifiers import PendingRequestId
from crossmargin.usecases.ports.liquidation import liquidation_key
from crossmargin.usecases.use_cases import UseCases

_KEY: Final = re.compile(r"[a-z0-9-]+ [a-z0-9-]+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00 [0-9a-f]{16}", re.ASCII)


class RiskService(RiskServiceServicer):
    """Risk of whole books."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def RunBacktest(self, request: pb.RunBacktestRequest, context: Context) -> AsyncIterator[pb.RunBacktestResponse]:
        """Stream the plan of a backtest, its progress, and what it says of each book."""
        # Closed with the call, so that a test whose caller has gone ends with the days it is at.
        async with aclosing(self._use_cases.run_backtest(backtest_request_from_message(request))) as results:
            async for result in results:
                yield backtest_to_message(result)

    async def ListStressScenarios(self, request: pb.ListStressScenariosRequest, context: Context) -> pb.ListStressScenariosResponse:
        """List the library of the parameters in force."""
        set_id, scenarios = await self._use_cases.run_stress.library()
        return pb.ListStressScenariosResponse(scenarios=map(scenario_to_message, scenarios), parameter_set_id=set_id)

    async def RunStress(self, request: pb.RunStressRequest, context: Context) -> AsyncIterator[pb.RunStressResponse]:
        """Stream the plan of a stress, its progress, and the outcome of each scenario."""
        async with aclosing(self._use_cases.run_stress(stress_request_from_message(request))) as results:
            async for result in results:
                yield stress_to_message(result)

    async def ReverseStress(self, request: pb.ReverseStressRequest, context: Context) -> AsyncIterator[pb.ReverseStressResponse]:
        """Stream the plan of a reverse stress, its progress, and what was found for each account."""
        account = account_ref_from_name(request.account, what="account") if request.account else None
        async with aclosing(self._use_cases.run_stress.reverse(account, break_line_from_message(request.line))) as results:
            async for result in results:
                yield reverse_stress_to_message(result)

    async def PlanLiquidation(self, request: pb.PlanLiquidationRequest, context: Context) -> pb.PlanLiquidationResponse:
        """Plan how to close out a part of an account."""
        account = account_ref_from_name(request.account, what="account")
        return gated_plan_to_message(await self._use_cases.plan_liquidation(account, plan_wish_from_message(request)))

    async def ReproduceLiquidation(self, request: pb.ReproduceLiquidationRequest, context: Context) -> pb.ReproduceLiquidationResponse:
        """Make a past plan again."""
        plan = await self._use_cases.reproduce_liquidation(past_plan_from_message(request.plan))
        return reproduction_to_message(request.plan, plan)

    async def ApproveLiquidation(self, request: pb.ApproveLiquidationRequest, context: Context) -> pb.ApproveLiquidationResponse:
        """Propose a plan, or approve of one that somebody else proposed."""
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        return approval_to_message(await self._use_cases.approve_liquidation(approval_from_message(request), caller=caller))

    async def ReportLiquidation(self, request: pb.ReportLiquidationRequest, context: Context) -> pb.ReportLiquidationResponse:
        """Book what was traded of a liquidation."""
        account, caller = account_ref_from_name(request.account, what="account"), caller_of(context, request.request_id)
        fills = trades_from_messages(request.fills, account)
        reported = await self._use_cases.report_liquidation(account, PendingRequestId(request.liquidation_id), fills, caller=caller)
        return reported_to_message(reported)

    async def AbandonLiquidation(self, request: pb.AbandonLiquidationRequest, context: Context) -> pb.AbandonLiquidationResponse:
        """End a liquidation."""
        account, caller = account_ref_from_name(request.account, what="account"), caller_of(context, request.request_id)
        name = PendingRequestId(request.liquidation_id)
        ended = await self._use_cases.abandon_liquidation(account, name, text=request.text, caller=caller)
        return pb.AbandonLiquidationResponse(liquidation=liquidation_to_message(ended))

    async def GetLiquidation(self, request: pb.GetLiquidationRequest, context: Context) -> pb.GetLiquidationResponse:
        """Return a liquidation, and whether what is left of it may be traded now."""
        account = account_ref_from_name(request.account, what="account")
        return gated_liquidation_to_message(await self._use_cases.read_liquidation(account, PendingRequestId(request.liquidation_id)))

    async def ListLiquidations(self, request: pb.ListLiquidationsRequest, context: Context) -> pb.ListLiquidationsResponse:
        """List liquidations."""
        read = self._use_cases.read_liquidation
        listing = f"liquidations of {request.scope or 'all'}, {'open' if request.only_open else 'all'}"
        asked = page_request(listing, page_size=request.page_size, page_token=request.page_token)
        if asked.after is not None and not _KEY.fullmatch(asked.after):
            raise bad_page_token(request.page_token)
        found = await read.list(liquidation_filter_from_message(request, read.clock.now()), asked.page)
        items, token = cut_page(asked, found, liquidation_key)
        return pb.ListLiquidationsResponse(liquidations=map(liquidation_to_message, items), next_page_token=token)

    async def SimulateCascade(self, request: pb.SimulateCascadeRequest, context: Context) -> AsyncIterator[pb.SimulateCascadeResponse]:
        """Stream the plan of a cascade, its rounds, and what it came to."""
        async with aclosing(self._use_cases.simulate_cascade(cascade_request_from_message(request))) as results:
            async for result in results:
                yield cascade_to_message(result)

    async def AdviseMarginMode(self, request: pb.AdviseMarginModeRequest, context: Context) -> pb.AdviseMarginModeResponse:
        """Advise which positions to wall off."""
        account = account_ref_from_name(request.account, what="account")
        return advice_to_message(await self._use_cases.advise_margin_mode(account, min_sequence=request.min_seq))
