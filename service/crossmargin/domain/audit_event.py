"""What is kept of who was turned away, and of who looked at what is not his own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique

from crossmargin.domain.role import Role


@unique
class AuditKind(Enum):
    """Why something is kept."""

    DENIED = "denied"
    PRIVILEGED_CALL = "privileged_call"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One call that was refused for who made it, or that was let through and is told afterwards.

    Attributes:
        at: When, by the clock of the process that took the call.
        principal: Who, as far as it could be proved; empty when it could not.
        roles: Those he has.
        method: What was called, such as MarginService/GetMargin.
        clients: Those that the request names, in the order of their ids; empty when it names none, or was not read.
        reason: The reason of a refusal, in words for the broker and not for the caller; empty for a call that was let through.
        workload: The certificate's SPIFFE id; empty when there is none.
        token: The first half of the SHA-256 of the token's id, in hexadecimal: enough to find it again, not to forge one.
    """

    at: datetime
    kind: AuditKind
    principal: str
    roles: frozenset[Role]
    method: str
    clients: tuple[str, ...] = ()
    reason: str = ""
    workload: str = ""
    token: str = ""
