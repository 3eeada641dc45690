# ruff: noqa: N818 - an exception here is named for the outcome, as in `except NotFound`
"""Every way a call can fail, as exceptions.

CrossmarginError
├── InvalidRequest       the request can never succeed as it is
├── NotFound             the thing named does not exist, or is not yours to see
├── AlreadyExists        the name is taken by something with other content
├── PreconditionFailed   well formed, but the state does not allow it
├── Conflict             not yet, or somebody else was first: read again and retry
├── Unauthenticated      the service does not know who calls: certificate or token
├── PermissionDenied     known, and not allowed to make this call
├── Busy                 nothing happened; retry later
├── Unavailable          the outcome may be unknown: retry with the same request id
├── DeadlineExceeded     the outcome may be unknown: retry with the same request id
└── InternalError        a fault of the service, known to its log by an incident id
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

Detail = TypeVar("Detail", bound=Message)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A rule of the API that one field breaks. `field` is a path such as `trades[2].quantity`."""

    field: str
    description: str


class CrossmarginError(Exception):
    """A call failed.

    Attributes:
        reason: Name of the documented reason, such as UNKNOWN_INSTRUMENT; the name of the status when the failure carries none.
        message: What was wrong and what to do, for people.
        metadata: What is variable in the message, by the names that the reason documents.
        code: Status of the call.
        request_id: Id of the write that failed; empty for a read.
        field_violations: Each field that breaks a rule; empty unless the request is invalid.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: grpc.StatusCode,
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        field_violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.code = code
        self.request_id = request_id
        self.field_violations = field_violations

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InvalidRequest(CrossmarginError):
    """The request can never succeed as it is; `field_violations` names the fields that break a rule of the API."""


class NotFound(CrossmarginError):
    """The thing named does not exist, or is not yours to see."""


class AlreadyExists(CrossmarginError):
    """The name is taken by something with other content."""


class PreconditionFailed(CrossmarginError):
    """The request is well formed but the state does not allow it."""


class Conflict(CrossmarginError):
    """The ledger is not where the request wants it; read again and retry."""


class Unauthenticated(CrossmarginError):
    """The service does not know who calls: the certificate or the token is missing, over, or not for one another."""


class PermissionDenied(CrossmarginError):
    """The caller is known, and none of his roles opens this call; or it concerns the whole house, and he is let in to some clients."""


class Busy(CrossmarginError):
    """The service is at its limit and did nothing; a retry later is safe."""


class Unavailable(CrossmarginError):
    """The service could not be reached or could not finish; a write may or may not have happened. Retry with the same request id."""


class DeadlineExceeded(CrossmarginError):
    """No answer came in time; a write may or may not have happened. Retry with the same request id."""


class InternalError(CrossmarginError):
    """A fault of the service."""

    @property
    def incident(self) -> str:
        """Id under which the service's log has the details; empty when the answer carries none."""
        return self.metadata.get("incident", "")


_KINDS: Final[Mapping[grpc.StatusCode, type[CrossmarginError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Busy,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNKNOWN: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}
_CODES: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
_OUTCOME_UNKNOWN: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED})


def error_from_call(failure: grpc.RpcError, *, request_id: str = "") -> CrossmarginError:
    """Return the exception for a failed call, with the reason, facts and fields that the service sent.

    `request_id` is that of the write; when its outcome is unknown the message says to retry with it.
    """
    code: grpc.StatusCode = failure.code()
    details = _details(failure)
    info = _first(details, error_details_pb2.ErrorInfo)
    message = failure.details() or code.name.lower().replace("_", " ")
    if request_id and code in _OUTCOME_UNKNOWN:
        message = f"{message} (the outcome of request {request_id!r} may be unknown: retry with the same request id)"
    return _KINDS.get(code, CrossmarginError)(
        message,
        reason=info.reason if info is not None else code.name,
        code=code,
        metadata=dict(info.metadata) if info is not None else {},
        request_id=request_id,
        field_violations=_violations(_first(details, error_details_pb2.BadRequest)),
    )


def error_from_status(number: int, message: str, *, reason: str, metadata: Mapping[str, str]) -> CrossmarginError:
    """Return the exception for something that failed inside a call, by the number of the status that a call of its own would have had."""
    code = _CODES.get(number, grpc.StatusCode.UNKNOWN)
    return _KINDS.get(code, CrossmarginError)(message, reason=reason or code.name, code=code, metadata=metadata)


def _details(failure: grpc.RpcError) -> Iterable[any_pb2.Any]:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(failure)
    except ValueError:  # a proxy rewrote the status and left the details: they explain something else
        return ()
    return () if status is None else status.details


def _first(details: Iterable[any_pb2.Any], kind: Callable[[], Detail]) -> Detail | None:
    for detail in details:
        unpacked = kind()
        if detail.Unpack(unpacked):
            return unpacked
    return None


def _violations(bad_request: error_details_pb2.BadRequest | None) -> tuple[FieldViolation, ...]:
    if bad_request is None:
        return ()
    return tuple(FieldViolation(violation.field, violation.description) for violation in bad_request.field_violations)
