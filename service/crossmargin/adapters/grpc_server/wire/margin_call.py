"""Margin calls on the wire."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.exposure_limits import scope_from_name
from crossmargin.adapters.grpc_server.wire.holidays import CALENDARS
from crossmargin.adapters.grpc_server.wire.margin import utilization_text
from crossmargin.adapters.grpc_server.wire.values import inverse, moment_to_message
from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, CallState, CallTrigger, DisputeReason, MarginCall, NoticeKind
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin_call import CallTerms
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.usecases.ports.margin_call import CallFilter

_STATES: Final = {
    pb.CALL_STATE_ISSUED: CallState.ISSUED,
    pb.CALL_STATE_ACKNOWLEDGED: CallState.ACKNOWLEDGED,
    pb.CALL_STATE_DISPUTED: CallState.DISPUTED,
    pb.CALL_STATE_PARTIALLY_MET: CallState.PARTIALLY_MET,
    pb.CALL_STATE_ESCALATED: CallState.ESCALATED,
    pb.CALL_STATE_MET: CallState.MET,
    pb.CALL_STATE_WAIVED: CallState.WAIVED,
    pb.CALL_STATE_RESCINDED: CallState.RESCINDED,
}
_TRIGGERS: Final = {pb.CALL_TRIGGER_BAND: CallTrigger.BAND, pb.CALL_TRIGGER_SCHEDULE: CallTrigger.SCHEDULE}
_KINDS: Final = {
    pb.CALL_NOTICE_KIND_ISSUED: NoticeKind.ISSUED,
    pb.CALL_NOTICE_KIND_CONFIRMED: NoticeKind.CONFIRMED,
    pb.CALL_NOTICE_KIND_INCREASED: NoticeKind.INCREASED,
    pb.CALL_NOTICE_KIND_ACKNOWLEDGED: NoticeKind.ACKNOWLEDGED,
    pb.CALL_NOTICE_KIND_DISPUTED: NoticeKind.DISPUTED,
    pb.CALL_NOTICE_KIND_PARTIALLY_MET: NoticeKind.PARTIALLY_MET,
    pb.CALL_NOTICE_KIND_ESCALATED: NoticeKind.ESCALATED,
    pb.CALL_NOTICE_KIND_MET: NoticeKind.MET,
    pb.CALL_NOTICE_KIND_WAIVED: NoticeKind.WAIVED,
    pb.CALL_NOTICE_KIND_RESCINDED: NoticeKind.RESCINDED,
}
DISPUTE_REASONS: Final = {
    pb.DISPUTE_REASON_AMOUNT: DisputeReason.AMOUNT,
    pb.DISPUTE_REASON_VALUATION: DisputeReason.VALUATION,
    pb.DISPUTE_REASON_POSITION: DisputeReason.POSITION,
    pb.DISPUTE_REASON_ALREADY_DELIVERED: DisputeReason.ALREADY_DELIVERED,
    pb.DISPUTE_REASON_OTHER: DisputeReason.OTHER,
}
_CALENDAR_MESSAGES: Final = inverse(CALENDARS)
_STATE_VALUES: Final = inverse(_STATES)
_TRIGGER_VALUES: Final = inverse(_TRIGGERS)
_KIND_VALUES: Final = inverse(_KINDS)


def call_to_message(call: MarginCall) -> pb.MarginCall:
    """Return the message of a call."""
    return pb.MarginCall(
        account=str(call.account),
        number=call.number,
        state=_STATE_VALUES[call.state],
        trigger=_TRIGGER_VALUES[call.trigger],
        amount=format_decimal(call.amount),
        met=format_decimal(call.met),
        outstanding=format_decimal(call.outstanding),
        provisional=call.is_provisional,
        issue_time=moment_to_message(call.issued_at),
        due_time=moment_to_message(call.due_at),
        close_time=None if call.closed_at is None else moment_to_message(call.closed_at),
        as_of_seq=call.sequence,
        snapshot_id=call.snapshot_id,
        utilization=utilization_text(call.utilization),
    )


def notice_to_message(notice: CallNotice) -> pb.CallNotice:
    """Return the message of a notice."""
    return pb.CallNotice(
        account=str(notice.account),
        sequence=notice.sequence,
        call_number=notice.call_number,
        kind=_KIND_VALUES[notice.kind],
        notice_time=moment_to_message(notice.at),
        by=notice.by,
        state=_STATE_VALUES[notice.state],
        amount=format_decimal(notice.amount),
        met=format_decimal(notice.met),
        due_time=moment_to_message(notice.due_at),
        reason=notice.reason,
        text=notice.text,
    )


def filter_from_request(request: pb.ListCallsRequest) -> CallFilter:
    """Return which calls are asked for."""
    if not request.scope:
        return CallFilter(only_open=request.only_open)
    client_id, account_id = scope_from_name(request.scope, what="scope")
    account = None if account_id is None else AccountRef(client_id, account_id)
    return CallFilter(client_id, account, request.only_open)


def agreement_from_message(message: pb.CallTerms) -> CallAgreement:
    """Return the terms that a message asks for; INVALID_ARGUMENT for terms that cannot be."""
    client_id, account_id = scope_from_name(message.scope, what="terms.scope")
    terms = CallTerms(
        threshold=_amount(message.threshold, "threshold"),
        minimum_transfer_amount=_amount(message.minimum_transfer_amount, "minimum_transfer_amount"),
        rounding_unit=_amount(message.rounding_unit, "rounding_unit"),
    )
    return CallAgreement(
        client_id,
        account_id,
        terms,
        cut_off=time.fromisoformat(message.cut_off),
        due_days=message.due_days,
        due_time=time.fromisoformat(message.due_time),
        on_business_days=message.business_days,
        calendar=CALENDARS[message.calendar],
    )


def agreement_to_message(agreed: CallAgreement) -> pb.CallTerms:
    """Return the message of terms."""
    return pb.CallTerms(
        scope=agreed.scope,
        threshold=format_decimal(agreed.terms.threshold),
        minimum_transfer_amount=format_decimal(agreed.terms.minimum_transfer_amount),
        rounding_unit=format_decimal(agreed.terms.rounding_unit),
        cut_off=f"{agreed.cut_off:%H:%M}",
        due_days=agreed.due_days,
        due_time=f"{agreed.due_time:%H:%M}",
        business_days=agreed.on_business_days,
        calendar=_CALENDAR_MESSAGES[agreed.calendar],
        set_by=agreed.set_by,
        set_time=None if agreed.set_at is None else moment_to_message(agreed.set_at),
    )


def _amount(text: str, name: str) -> Decimal:
    return parse_decimal(text, what=f"terms.{name}") if text else Decimal(0)
