"""Errors as gRPC statuses: the one place that decides what a caller is told."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Sequence
from typing import Any, Final

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from protovalidate import ValidationError

from crossmargin.adapters.grpc_server.field_rules import BrokenRule, BrokenRulesError, broken_rule
from crossmargin.domain.errors import DomainError, ErrorKind, Reason

ERROR_DOMAIN: Final = "crossmargin"
INTERNAL_REASON: Final = "INTERNAL"
RETRY_DELAY_S: Final = 1
# A status travels in trailers, of which clients accept 8 KB: the message with three bytes for each that is not ASCII, and once more in
# the details, which grow by a third. Whatever a message quotes, these keep it below.
MOST_VIOLATIONS: Final = 8
MOST_FACTS: Final = 10
MESSAGE_BYTES: Final = 600
VIOLATION_BYTES: Final = 240
FACT_BYTES: Final = 160

_CODES: Final = {
    ErrorKind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    ErrorKind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.CONFLICT: grpc.StatusCode.ABORTED,
    ErrorKind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorKind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
_RETRYABLE: Final = frozenset({ErrorKind.EXHAUSTED, ErrorKind.UNAVAILABLE})
_CODE_OF_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}
_log = structlog.get_logger(__name__)


class DeadlineExceededError(Exception):
    """A call took longer than it may. It carries no ErrorInfo, as the same status made by a client's own clock carries none."""

    def __init__(self, allowed_s: float) -> None:
        super().__init__(
            f"the call took longer than the {allowed_s:.3g} s it may; a write may still happen: retry with the same request id"
        )


def status_of(error: Exception, *, method: str) -> Status:
    """Return the status a caller gets for an error.

    A fault of ours becomes INTERNAL with an incident number and nothing else; the exception is logged under that number. The log says
    nothing of the request either: no message, no local variables.
    """
    match error:
        case BrokenRulesError():
            return _violation_status(error.rules)
        case DomainError():
            return _domain_status(error)
        case ValidationError():
            return _violation_status([broken_rule(violation) for violation in error.violations])
        case DeadlineExceededError():
            return _status(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        case _:
            return _incident_status(error, method)


def code_of(status: Status) -> grpc.StatusCode:
    """Return the code of a status."""
    return _CODE_OF_NUMBER[status.code]


def info_of(status: Status) -> ErrorInfo:
    """Return the reason of a status, and what is variable in its message; empty when it says none."""
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    return info


def _domain_status(error: DomainError) -> Status:
    details: list[Message] = [_error_info(error.reason.code, error.facts)]
    if error.reason.kind in _RETRYABLE:
        delay_s = float(error.facts.get("retry_after_s", RETRY_DELAY_S))
        details.append(RetryInfo(retry_delay=Duration(seconds=int(delay_s), nanos=round(delay_s % 1 * 1e9))))
    return _status(_CODES[error.reason.kind], error.message, *details)


def _violation_status(broken: Sequence[BrokenRule]) -> Status:
    first, more = broken[0], len(broken) - 1
    message = first.sentence + (f"; and {more} more" if more else "")
    facts = {"field": first.path, "value": first.value, "expected": first.expected}
    shown = [
        BadRequest.FieldViolation(field=_cut(rule.path, FACT_BYTES), description=_cut(rule.sentence, VIOLATION_BYTES))
        for rule in broken[:MOST_VIOLATIONS]
    ]
    info = _error_info(Reason.INVALID_ARGUMENT.code, facts)
    return _status(grpc.StatusCode.INVALID_ARGUMENT, message, info, BadRequest(field_violations=shown))


def _incident_status(error: Exception, method: str) -> Status:
    incident = str(uuid.uuid4())
    _log.error("rpc failed", method=method, incident=incident, error=type(error).__qualname__, stack=_stack(error))
    info = _error_info(INTERNAL_REASON, {"incident": incident})
    return _status(grpc.StatusCode.INTERNAL, f"internal error; incident {incident}", info)


def _stack(error: BaseException | None) -> str:
    # Types and lines of code only: the text of an exception may quote the request, and so would local variables.
    parts = []
    while error is not None:
        parts.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhile handling\n".join(parts)


def _error_info(reason: str, facts: dict[str, str]) -> Message:
    kept = {name: _cut(value, FACT_BYTES) for name, value in list(facts.items())[:MOST_FACTS]}
    info: Message = ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=kept)
    return info


def _status(code: grpc.StatusCode, message: str, *details: Message) -> Status:
    number: Any = code.value[0]
    status = Status(code=number, message=_cut(message, MESSAGE_BYTES))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most_bytes else encoded[:most_bytes].decode(errors="ignore")
