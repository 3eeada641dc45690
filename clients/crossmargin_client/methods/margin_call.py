"""Margin calls."""

from __future__ import annotations

from crossmargin.api.v1 import margin_call_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, watch, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id


class MarginCallMethods:
    """Margin calls."""

    @yields
    def list_calls(self, scope: str = "", *, only_open: bool = False) -> Many[margin_call_service_pb2.MarginCall]:
        """Yield margin calls by account and number: of clients/{client}, of an account, or of all."""
        request = margin_call_service_pb2.ListCallsRequest(scope=scope, only_open=only_open, page_size=PAGE_SIZE)
        return pages(lambda to: to.margin_calls.ListCalls, request, lambda page: page.calls)

    @answers
    def get_call(self, account: str, number: int) -> One[margin_call_service_pb2.GetCallResponse]:
        """Return a margin call with everything that happened to it."""
        request = margin_call_service_pb2.GetCallRequest(account=account, number=number)
        return ask(lambda to: to.margin_calls.GetCall, request, whole)

    @answers
    def acknowledge_call(
        self, account: str, number: int, text: str = "", *, request_id: str | None = None
    ) -> One[margin_call_service_pb2.MarginCall]:
        """Say that the client has a call, and return it."""
        request = margin_call_service_pb2.AcknowledgeCallRequest(
            request_id=request_id or new_request_id(), account=account, number=number, text=text
        )
        return ask(lambda to: to.margin_calls.AcknowledgeCall, request, lambda answer: answer.call)

    @answers
    def dispute_call(
        self,
        account: str,
        number: int,
        reason: margin_call_service_pb2.DisputeReason.ValueType,
        text: str,
        *,
        request_id: str | None = None,
    ) -> One[margin_call_service_pb2.MarginCall]:
        """Say that the client does not agree with a call, and return it; it is due as before."""
        request = margin_call_service_pb2.DisputeCallRequest(
            request_id=request_id or new_request_id(), account=account, number=number, reason=reason, text=text
        )
        return ask(lambda to: to.margin_calls.DisputeCall, request, lambda answer: answer.call)

    @answers
    def settle_call(self, account: str, number: int, *, request_id: str | None = None) -> One[margin_call_service_pb2.MarginCall]:
        """Recognise at once what is in the ledger, and return the call; unchanged when nothing came in."""
        request = margin_call_service_pb2.SettleCallRequest(request_id=request_id or new_request_id(), account=account, number=number)
        return ask(lambda to: to.margin_calls.SettleCall, request, lambda answer: answer.call)

    @answers
    def waive_call(
        self, account: str, number: int, text: str, *, confirms: str = "", request_id: str | None = None
    ) -> One[margin_call_service_pb2.WaiveCallResponse]:
        """Let a call go unmet, once two persons have asked for it: the second one sends the same and the first's `pending_id`."""
        request = margin_call_service_pb2.WaiveCallRequest(
            request_id=request_id or new_request_id(), account=account, number=number, text=text, confirms=confirms
        )
        return ask(lambda to: to.margin_calls.WaiveCall, request, whole)

    @answers
    def escalate_call(
        self, account: str, number: int, text: str, *, confirms: str = "", request_id: str | None = None
    ) -> One[margin_call_service_pb2.EscalateCallResponse]:
        """Hand a call to the liquidation authority, once two persons have asked for it."""
        request = margin_call_service_pb2.EscalateCallRequest(
            request_id=request_id or new_request_id(), account=account, number=number, text=text, confirms=confirms
        )
        return ask(lambda to: to.margin_calls.EscalateCall, request, whole)

    @answers
    def set_call_terms(
        self, terms: margin_call_service_pb2.CallTerms, *, confirms: str = "", request_id: str | None = None
    ) -> One[margin_call_service_pb2.SetCallTermsResponse]:
        """Set what is agreed about margin calls, once two persons have asked for it."""
        request = margin_call_service_pb2.SetCallTermsRequest(request_id=request_id or new_request_id(), terms=terms, confirms=confirms)
        return ask(lambda to: to.margin_calls.SetCallTerms, request, whole)

    @answers
    def get_call_terms(self, account: str) -> One[margin_call_service_pb2.CallTerms]:
        """Return the terms that calls on an account follow."""
        request = margin_call_service_pb2.GetCallTermsRequest(account=account)
        return ask(lambda to: to.margin_calls.GetCallTerms, request, lambda answer: answer.terms)

    @yields
    def watch_call_notices(self, account: str, *, after_seq: int = 0, patience_s: float = 60.0) -> Many[margin_call_service_pb2.CallNotice]:
        """Yield what happens to the margin calls of an account, after the number of a notice, in order and each once.

        Never ends by itself. A broken stream is opened again where it ended; after `patience_s` seconds without one the error is raised.
        """
        request = margin_call_service_pb2.WatchCallNoticesRequest(account=account, after_seq=after_seq)

        def notice(response: margin_call_service_pb2.WatchCallNoticesResponse) -> margin_call_service_pb2.CallNotice:
            request.after_seq = response.notice.sequence
            return response.notice

        return watch(lambda to: to.margin_calls.WatchCallNotices, request, notice, patience_s=patience_s)
