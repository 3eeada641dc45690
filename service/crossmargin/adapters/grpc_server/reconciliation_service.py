"""ReconciliationService: statements of custodians and venues beside the books."""
# ruff: noqa: N802 - names and arguments are those of the API

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import PageRequest, bad_page_token, cut_page, page_request
from crossmargin.adapters.grpc_server.wire.reconciliation import (
    break_to_message,
    filter_from_request,
    reconciled_to_response,
    statement_from_request,
)
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import reconciliation_service_pb2 as pb
from crossmargin.api.v1.reconciliation_service_pb2_grpc import ReconciliationServiceServicer
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.reconciliation import Break, BreakState
from crossmargin.usecases.use_cases import UseCases

_KEY: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00( [A-Za-z0-9._-]+){4}", re.ASCII)


class ReconciliationService(ReconciliationServiceServicer):
    """What others say that accounts hold, and where the books do not say the same."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def ReconcileStatement(self, request: pb.ReconcileStatementRequest, context: Context) -> pb.ReconcileStatementResponse:
        """Compare a statement with the books."""
        caller = caller_of(context, request.request_id)
        return reconciled_to_response(await self._use_cases.reconcile_statement(statement_from_request(request), caller=caller))

    async def ListBreaks(self, request: pb.ListBreaksRequest, context: Context) -> pb.ListBreaksResponse:
        """List breaks."""
        chosen = filter_from_request(request)
        asked = page_request(f"breaks of {chosen}", page_size=request.page_size, page_token=request.page_token)
        _check_key(asked, request.page_token)
        found = await self._use_cases.reconciliation.list_breaks(replace(chosen, scope=caller_of(context).scope), asked.page)
        items, token = cut_page(asked, found, lambda each: each.key)
        return pb.ListBreaksResponse(breaks=map(break_to_message, items), next_page_token=token)

    async def ExplainBreak(self, request: pb.ExplainBreakRequest, context: Context) -> pb.ExplainBreakResponse:
        """Say what is behind a break."""
        return pb.ExplainBreakResponse(noted_break=break_to_message(await self._note(request, context, BreakState.EXPLAINED)))

    async def CloseBreak(self, request: pb.CloseBreakRequest, context: Context) -> pb.CloseBreakResponse:
        """Say that a break is settled."""
        return pb.CloseBreakResponse(noted_break=break_to_message(await self._note(request, context, BreakState.CLOSED)))

    async def _note(self, request: pb.ExplainBreakRequest | pb.CloseBreakRequest, context: Context, state: BreakState) -> Break:
        return await self._use_cases.note_break(
            request.statement_id,
            account_ref_from_name(request.account, what="account"),
            InstrumentId(request.instrument_id),
            state,
            request.note,
            caller=caller_of(context, request.request_id),
        )


def _check_key(asked: PageRequest, token: str) -> None:
    if asked.after is not None and not _KEY.fullmatch(asked.after):
        raise bad_page_token(token)
