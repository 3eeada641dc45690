"""Every failure a caller can meet, with its reason and its facts."""

from __future__ import annotations

from enum import Enum, unique


@unique
class ErrorKind(Enum):
    """What a caller can do about a failure; adapters translate it into their own status."""

    INVALID = "the request can never succeed as it is"
    NOT_FOUND = "the thing named does not exist, or is not yours to see"
    ALREADY_EXISTS = "the name is taken by something else"
    PRECONDITION = "the request is well formed but the state does not allow it"
    CONFLICT = "somebody else changed it first; read again and retry"
    UNAUTHENTICATED = "nobody knows who asks; nothing happened"
    DENIED = "whoever asks may not; nothing happened"
    EXHAUSTED = "nothing happened; retry later is safe"
    UNAVAILABLE = "the outcome may be unknown; retry with the same key"


@unique
class Reason(Enum):
    """Machine-readable reason of a failure. The wire documents each one with an example (error_reason.proto)."""

    INVALID_ARGUMENT = ("INVALID_ARGUMENT", ErrorKind.INVALID)
    INVALID_DECIMAL = ("INVALID_DECIMAL", ErrorKind.INVALID)
    INVALID_IDENTIFIER = ("INVALID_IDENTIFIER", ErrorKind.INVALID)
    INVALID_TIMESTAMP = ("INVALID_TIMESTAMP", ErrorKind.INVALID)
    INVALID_INSTRUMENT = ("INVALID_INSTRUMENT", ErrorKind.INVALID)
    INVALID_PRICE = ("INVALID_PRICE", ErrorKind.INVALID)
    INVALID_QUANTITY = ("INVALID_QUANTITY", ErrorKind.INVALID)
    INVALID_SNAPSHOT = ("INVALID_SNAPSHOT", ErrorKind.INVALID)
    INVALID_HISTORY = ("INVALID_HISTORY", ErrorKind.INVALID)
    INVALID_RISK_PARAMETERS = ("INVALID_RISK_PARAMETERS", ErrorKind.INVALID)
    INVALID_EVENT = ("INVALID_EVENT", ErrorKind.INVALID)
    INVALID_TRANSFER = ("INVALID_TRANSFER", ErrorKind.INVALID)
    INVALID_STATEMENT = ("INVALID_STATEMENT", ErrorKind.INVALID)
    INVALID_PAGE_TOKEN = ("INVALID_PAGE_TOKEN", ErrorKind.INVALID)
    UNKNOWN_CLIENT = ("UNKNOWN_CLIENT", ErrorKind.NOT_FOUND)
    UNKNOWN_ACCOUNT = ("UNKNOWN_ACCOUNT", ErrorKind.NOT_FOUND)
    UNKNOWN_INSTRUMENT = ("UNKNOWN_INSTRUMENT", ErrorKind.NOT_FOUND)
    UNKNOWN_SNAPSHOT = ("UNKNOWN_SNAPSHOT", ErrorKind.NOT_FOUND)
    UNKNOWN_RISK_PARAMETERS = ("UNKNOWN_RISK_PARAMETERS", ErrorKind.NOT_FOUND)
    UNKNOWN_SCENARIO_SET = ("UNKNOWN_SCENARIO_SET", ErrorKind.NOT_FOUND)
    UNKNOWN_HOUSE_VIEW = ("UNKNOWN_HOUSE_VIEW", ErrorKind.NOT_FOUND)
    UNKNOWN_ENTRY = ("UNKNOWN_ENTRY", ErrorKind.NOT_FOUND)
    UNKNOWN_RESERVATION = ("UNKNOWN_RESERVATION", ErrorKind.NOT_FOUND)
    UNKNOWN_BREAK = ("UNKNOWN_BREAK", ErrorKind.NOT_FOUND)
    UNKNOWN_CALL = ("UNKNOWN_CALL", ErrorKind.NOT_FOUND)
    UNKNOWN_LIQUIDATION = ("UNKNOWN_LIQUIDATION", ErrorKind.NOT_FOUND)
    UNKNOWN_PENDING_REQUEST = ("UNKNOWN_PENDING_REQUEST", ErrorKind.NOT_FOUND)
    UNKNOWN_STRESS_SCENARIO = ("UNKNOWN_STRESS_SCENARIO", ErrorKind.NOT_FOUND)
    ALREADY_EXISTS = ("ALREADY_EXISTS", ErrorKind.ALREADY_EXISTS)
    REQUEST_ID_REUSED = ("REQUEST_ID_REUSED", ErrorKind.PRECONDITION)
    ACCOUNT_CLOSED = ("ACCOUNT_CLOSED", ErrorKind.PRECONDITION)
    BREAK_CLOSED = ("BREAK_CLOSED", ErrorKind.PRECONDITION)
    WRONG_CALL_STATE = ("WRONG_CALL_STATE", ErrorKind.PRECONDITION)
    HALTED = ("HALTED", ErrorKind.PRECONDITION)
    INSUFFICIENT_MARGIN = ("INSUFFICIENT_MARGIN", ErrorKind.PRECONDITION)
    INSUFFICIENT_HOLDING = ("INSUFFICIENT_HOLDING", ErrorKind.PRECONDITION)
    LIMIT_EXCEEDED = ("LIMIT_EXCEEDED", ErrorKind.PRECONDITION)
    TOO_MANY_RESERVATIONS = ("TOO_MANY_RESERVATIONS", ErrorKind.PRECONDITION)
    RESERVATION_ENDED = ("RESERVATION_ENDED", ErrorKind.PRECONDITION)
    NOT_IN_LIQUIDATION = ("NOT_IN_LIQUIDATION", ErrorKind.PRECONDITION)
    LIQUIDATION_PAUSED = ("LIQUIDATION_PAUSED", ErrorKind.PRECONDITION)
    LIQUIDATION_ENDED = ("LIQUIDATION_ENDED", ErrorKind.PRECONDITION)
    PLAN_OUTDATED = ("PLAN_OUTDATED", ErrorKind.PRECONDITION)
    NO_MARKET_SNAPSHOT = ("NO_MARKET_SNAPSHOT", ErrorKind.PRECONDITION)
    NO_RISK_PARAMETERS = ("NO_RISK_PARAMETERS", ErrorKind.PRECONDITION)
    MISSING_RISK_FACTOR = ("MISSING_RISK_FACTOR", ErrorKind.PRECONDITION)
    UNMAPPED_RISK_FACTOR = ("UNMAPPED_RISK_FACTOR", ErrorKind.PRECONDITION)
    INSUFFICIENT_HISTORY = ("INSUFFICIENT_HISTORY", ErrorKind.PRECONDITION)
    INSTRUMENT_EXPIRED = ("INSTRUMENT_EXPIRED", ErrorKind.PRECONDITION)
    FOUR_EYES_REQUIRED = ("FOUR_EYES_REQUIRED", ErrorKind.PRECONDITION)
    PENDING_REQUEST_DIFFERS = ("PENDING_REQUEST_DIFFERS", ErrorKind.PRECONDITION)
    PENDING_REQUEST_ENDED = ("PENDING_REQUEST_ENDED", ErrorKind.PRECONDITION)
    WRONG_PARAMETER_STATE = ("WRONG_PARAMETER_STATE", ErrorKind.PRECONDITION)
    ACTIVATION_IN_PAST = ("ACTIVATION_IN_PAST", ErrorKind.PRECONDITION)
    RAMP_UNDER_WAY = ("RAMP_UNDER_WAY", ErrorKind.PRECONDITION)
    SUSPECT_MARKET_DATA = ("SUSPECT_MARKET_DATA", ErrorKind.PRECONDITION)
    STALE_MARKET_DATA = ("STALE_MARKET_DATA", ErrorKind.PRECONDITION)
    MISSING_MARKET_DATA = ("MISSING_MARKET_DATA", ErrorKind.PRECONDITION)
    METHODOLOGY_UNAVAILABLE = ("METHODOLOGY_UNAVAILABLE", ErrorKind.PRECONDITION)
    ENGINE_VERSION_DIFFERS = ("ENGINE_VERSION_DIFFERS", ErrorKind.PRECONDITION)
    EVENT_NOT_DUE = ("EVENT_NOT_DUE", ErrorKind.PRECONDITION)
    ALREADY_CANCELLED = ("ALREADY_CANCELLED", ErrorKind.PRECONDITION)
    NOT_CANCELLABLE = ("NOT_CANCELLABLE", ErrorKind.PRECONDITION)
    PARAMETERS_CHANGED = ("PARAMETERS_CHANGED", ErrorKind.CONFLICT)
    SEQUENCE_NOT_REACHED = ("SEQUENCE_NOT_REACHED", ErrorKind.CONFLICT)
    UNAUTHENTICATED = ("UNAUTHENTICATED", ErrorKind.UNAUTHENTICATED)
    PERMISSION_DENIED = ("PERMISSION_DENIED", ErrorKind.DENIED)
    RATE_LIMITED = ("RATE_LIMITED", ErrorKind.EXHAUSTED)
    SERVICE_BUSY = ("SERVICE_BUSY", ErrorKind.EXHAUSTED)
    STORAGE_UNAVAILABLE = ("STORAGE_UNAVAILABLE", ErrorKind.UNAVAILABLE)
    SERVICE_STOPPING = ("SERVICE_STOPPING", ErrorKind.UNAVAILABLE)

    def __init__(self, code: str, kind: ErrorKind) -> None:
        self.code = code
        self.kind = kind


class DomainError(Exception):
    """A caller's mistake, or a state that refuses the request.

    The message names the thing, what it was, what was expected and what to do next. Everything variable in the message is
    also in `facts`, so that a machine need not read prose.
    """

    def __init__(self, reason: Reason, message: str, **facts: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.facts = {name: str(value) for name, value in facts.items()}

    def __reduce__(self) -> tuple[object, ...]:
        # A market says of what it could not value why not, and goes to other processes with it.
        return _again, (type(self), self.reason, self.message, self.facts)

    def __repr__(self) -> str:
        return f"DomainError({self.reason.code}: {self.message})"


def _again(kind: type[DomainError], reason: Reason, message: str, facts: dict[str, str]) -> DomainError:
    return kind(reason, message, **facts)
