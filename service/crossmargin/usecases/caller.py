"""Who asks, what he may see, and under which key."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from crossmargin.domain.client_scope import NO_CLIENT, WHOLE_HOUSE, ClientScope
from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.domain.role import Role
from crossmargin.domain.source_scope import NO_SOURCE, SourceScope
from crossmargin.usecases.ports.writing import WriteRequest


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated principal and the request id of one write.

    Attributes:
        request_id: Empty for a read.
        confirms: The pending request that this one is the second person's agreement to; None when it is none's.
        roles: Those that the call may be made under. Nothing, unless it was proved.
        scope: Whose books he may see and move. Nobody's, unless it was proved.
        sources: Those that he may publish for. None, unless it was proved.
        workload: The SPIFFE id of the certificate he came with; empty on this machine, where none is asked for.
        token: Names the token in the audit trail; see `AuditEvent`.
    """

    principal: str
    request_id: str = ""
    confirms: PendingRequestId | None = None
    roles: frozenset[Role] = frozenset()
    scope: ClientScope = NO_CLIENT
    sources: SourceScope = NO_SOURCE
    workload: str = ""
    token: str = ""

    def write_request(
        self, method: str, content: Iterable[str], accounts: tuple[AccountRef, ...] = (), *, is_fact: bool = True
    ) -> WriteRequest:
        """Return the write request of `method` whose hash covers the request's content, field by field."""
        digest = sha256()
        for field in content if self.confirms is None else (*content, f"confirms {self.confirms}"):
            encoded = field.encode()
            # Lengths keep ("ab", "c") and ("a", "bc") apart.
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return WriteRequest(self.principal, method, self.request_id, digest.digest(), accounts, is_fact)


ADMITTED: Final[ContextVar[Caller]] = ContextVar("admitted")
"""Whoever the call at hand was let in for. Each call has a context of its own, and so has what it waits for."""


def admitted_scope() -> ClientScope:
    """Return whose books the work at hand may see: the caller's own, and the whole house's where nobody called, as in the monitor."""
    caller = ADMITTED.get(None)
    return WHOLE_HOUSE if caller is None else caller.scope
