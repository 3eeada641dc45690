"""Who asks, and under which key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.usecases.ports import WriteRequest


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated principal and the request id of one write.

    Attributes:
        confirms: The pending request that this one is the second person's agreement to; None when it is none's.
    """

    principal: str
    request_id: str
    confirms: PendingRequestId | None = None

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
