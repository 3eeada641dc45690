"""MarginCallService: what clients are asked to deliver, and what becomes of it."""
# ruff: noqa: N802 - names are those of the API

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import bad_page_token, cut_page, page_request
from crossmargin.adapters.grpc_server.wire.margin_call import (
    DISPUTE_REASONS,
    agreement_from_message,
    agreement_to_message,
    call_to_message,
    filter_from_request,
    notice_to_message,
)
from crossmargin.adapters.grpc_server.wire.pending_request import confirmed_name, pending_to_message
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.api.v1.margin_call_service_pb2_grpc import MarginCallServiceServicer
from crossmargin.domain.call_agreement import agreement_of
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.ports.margin_call import call_key
from crossmargin.usecases.use_cases import UseCases

_KEY: Final = re.compile(r"[a-z0-9-]+ [a-z0-9-]+ \d{12}", re.ASCII)
_MOST_NOTICES: Final = 1000


class MarginCallService(MarginCallServiceServicer):
    """Margin calls, for those who issue, answer and end them."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def ListCalls(self, request: pb.ListCallsRequest, context: Context) -> pb.ListCallsResponse:  # noqa: ARG002 - of the API
        """List margin calls."""
        chosen = filter_from_request(request)
        asked = page_request(f"calls of {chosen}", page_size=request.page_size, page_token=request.page_token)
        if asked.after is not None and not _KEY.fullmatch(asked.after):
            raise bad_page_token(request.page_token)
        found = await self._use_cases.calls.list_calls(chosen, asked.page)
        items, token = cut_page(asked, found, call_key)
        return pb.ListCallsResponse(calls=map(call_to_message, items), next_page_token=token)

    async def GetCall(self, request: pb.GetCallRequest, context: Context) -> pb.GetCallResponse:  # noqa: ARG002 - of the API
        """Return a call with everything that happened to it."""
        account = account_ref_from_name(request.account, what="account")
        call = await self._use_cases.calls.get_call(account, request.number)
        notices = await self._use_cases.calls.list_notices(account, call_number=call.number, after_sequence=0, limit=_MOST_NOTICES)
        return pb.GetCallResponse(call=call_to_message(call), notices=map(notice_to_message, notices))

    async def AcknowledgeCall(self, request: pb.AcknowledgeCallRequest, context: Context) -> pb.AcknowledgeCallResponse:
        """Say that the client has the call."""
        account, caller = account_ref_from_name(request.account, what="account"), caller_of(context, request.request_id)
        call = await self._use_cases.acknowledge_call(account, request.number, text=request.text, caller=caller)
        return pb.AcknowledgeCallResponse(call=call_to_message(call))

    async def DisputeCall(self, request: pb.DisputeCallRequest, context: Context) -> pb.DisputeCallResponse:
        """Say that the client does not agree."""
        account, caller = account_ref_from_name(request.account, what="account"), caller_of(context, request.request_id)
        reason = DISPUTE_REASONS[request.reason]
        call = await self._use_cases.dispute_call(account, request.number, reason, text=request.text, caller=caller)
        return pb.DisputeCallResponse(call=call_to_message(call))

    async def SettleCall(self, request: pb.SettleCallRequest, context: Context) -> pb.SettleCallResponse:
        """Recognise what is in the ledger."""
        account, caller = account_ref_from_name(request.account, what="account"), caller_of(context, request.request_id)
        return pb.SettleCallResponse(call=call_to_message(await self._use_cases.settle_call(account, request.number, caller=caller)))

    async def WaiveCall(self, request: pb.WaiveCallRequest, context: Context) -> pb.WaiveCallResponse:
        """Let a call go unmet, or keep that somebody asked for it."""
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        done = await self._use_cases.waive_call(account, request.number, text=request.text, caller=caller)
        if isinstance(done, PendingRequest):
            return pb.WaiveCallResponse(pending_request=pending_to_message(done))
        return pb.WaiveCallResponse(call=call_to_message(done))

    async def EscalateCall(self, request: pb.EscalateCallRequest, context: Context) -> pb.EscalateCallResponse:
        """Hand a call to the liquidation authority, or keep that somebody asked for it."""
        account = account_ref_from_name(request.account, what="account")
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        done = await self._use_cases.escalate_call(account, request.number, text=request.text, caller=caller)
        if isinstance(done, PendingRequest):
            return pb.EscalateCallResponse(pending_request=pending_to_message(done))
        return pb.EscalateCallResponse(call=call_to_message(done))

    async def SetCallTerms(self, request: pb.SetCallTermsRequest, context: Context) -> pb.SetCallTermsResponse:
        """Set the terms of a client or account, or keep that somebody asked for it."""
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        done = await self._use_cases.set_call_terms(agreement_from_message(request.terms), caller=caller)
        if isinstance(done, PendingRequest):
            return pb.SetCallTermsResponse(pending_request=pending_to_message(done))
        return pb.SetCallTermsResponse(terms=agreement_to_message(done))

    async def GetCallTerms(self, request: pb.GetCallTermsRequest, context: Context) -> pb.GetCallTermsResponse:  # noqa: ARG002 - of the API
        """Return the terms that calls on an account follow."""
        account = account_ref_from_name(request.account, what="account")
        await self._use_cases.books.get_account(account)
        return pb.GetCallTermsResponse(terms=agreement_to_message(agreement_of(account, await self._use_cases.calls.agreements())))

    async def WatchCallNotices(
        self,
        request: pb.WatchCallNoticesRequest,
        context: Context,  # noqa: ARG002 - of the API
    ) -> AsyncIterator[pb.WatchCallNoticesResponse]:
        """Stream what happens to the calls of an account."""
        account = account_ref_from_name(request.account, what="account")
        async for notice in self._use_cases.watch_call_notices(account, after_sequence=request.after_seq):
            yield pb.WatchCallNoticesResponse(notice=notice_to_message(notice))
