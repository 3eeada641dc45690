"""Denials: little to the caller, who may be an attacker, and everything to the audit trail."""

from __future__ import annotations

from enum import Enum, unique

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.caller import Caller

_WHO = "expected a client certificate that this service knows and a token that holds now, made for that certificate"


# ruff: noqa: S105 - sentences about tokens, no passwords


@unique
class Cause(Enum):
    """Why a call is denied, as the audit trail says it; metrics count by the name."""

    NOT_LOCAL = "a call from elsewhere, or with a certificate, to a service in insecure mode"
    NO_CERTIFICATE = "no client certificate"
    BAD_CERTIFICATE = "the certificate cannot be read"
    CERTIFICATE_NAMES = "the certificate does not name exactly one workload"
    CERTIFICATE_USE = "the certificate is not for clients"
    CERTIFICATE_TIME = "the certificate is over, or does not hold yet"
    UNKNOWN_WORKLOAD = "the certificate's workload is not on the allow-list"
    NO_TOKEN = "no token"
    BAD_TOKEN = "the token cannot be read"
    TOKEN_SIGNATURE = "no key of the issuer made the token's signature"
    TOKEN_TIME = "the token is over, or does not hold yet"
    TOKEN_LIFETIME = "the token holds longer than tokens may"
    TOKEN_ISSUER = "another issuer's token"
    TOKEN_AUDIENCE = "a token for another service"
    TOKEN_CLAIMS = "a claim of the token is missing, or says what it cannot"
    TOKEN_BINDING = "the token was made for another certificate"
    REVOKED = "the principal or the token was revoked"
    ROLE = "no role of the caller opens the call"
    HOUSE = "it concerns the whole house, and the caller is let in to some clients"
    FOREIGN_CLIENT = "a client outside those that the caller is let in to"
    SOURCE = "a source of market data that the caller does not publish for"
    CHANGED = "what the caller may do has changed since the stream began"


class DenialError(DomainError):
    """A call is refused for who makes it.

    Attributes:
        cause: For the audit trail; never told to the caller.
        caller: As far as he could be proved.
    """

    def __init__(self, reason: Reason, message: str, *, cause: Cause, caller: Caller, **facts: object) -> None:
        super().__init__(reason, message, **facts)
        self.cause = cause
        self.caller = caller


def unauthenticated(cause: Cause, *, principal: str = "", workload: str = "", token: str = "") -> DenialError:
    """Return the one answer to everybody who cannot be told from nobody."""
    caller = Caller(principal, workload=workload, token=token)
    return DenialError(Reason.UNAUTHENTICATED, _WHO, cause=cause, caller=caller)


def permission_denied(method: str, caller: Caller, cause: Cause) -> DenialError:
    """Return the answer to a caller who is known and may not make this call, or not for the whole house."""
    message = f"this caller may not call {method}; ask whoever grants roles and clients"
    return DenialError(Reason.PERMISSION_DENIED, message, cause=cause, caller=caller, method=method)
