"""Denials: little to the caller, who may be an attacker, and everything to the audit trail."""

from __future__ import annotations

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.caller import Caller

_WHO = "expected a client certificate that this service knows and a token that holds now, made for that certificate"


class DenialError(DomainError):
    """A call is refused for who makes it.

    Attributes:
        why: What was wrong, for the audit trail; never told to the caller.
        caller: As far as he could be proved; None when he could not.
        workload: The SPIFFE id of his certificate, if that much was proved.
    """

    def __init__(
        self, reason: Reason, message: str, *, why: str, caller: Caller | None = None, workload: str = "", **facts: object
    ) -> None:
        super().__init__(reason, message, **facts)
        self.why = why
        self.caller = caller
        self.workload = caller.workload if caller is not None else workload


def unauthenticated(why: str, *, workload: str = "") -> DenialError:
    """Return the one answer to everybody who cannot be told from nobody."""
    return DenialError(Reason.UNAUTHENTICATED, _WHO, why=why, workload=workload)


def permission_denied(method: str, caller: Caller, *, why: str) -> DenialError:
    """Return the answer to a caller who is known and may not make this call, or not for the whole house."""
    message = f"this caller may not call {method}; ask whoever grants roles and clients"
    return DenialError(Reason.PERMISSION_DENIED, message, why=why, caller=caller, method=method)
