"""RiskService: what takes minutes and not milliseconds."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from crossmargin.adapters.grpc_server.context import Context
from crossmargin.adapters.grpc_server.wire.backtest import backtest_request_from_message, backtest_to_message
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.api.v1.risk_service_pb2_grpc import RiskServiceServicer
from crossmargin.usecases.use_cases import UseCases


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
