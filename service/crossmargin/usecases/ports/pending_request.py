"""What one person has asked for and a second one has to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crossmargin.domain.identifiers import ClientId, PendingRequestId
from crossmargin.domain.pending_request import PendingRequest, PendingState
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class PendingFilter:
    """Which pending requests to list; what is None chooses all."""

    client_id: ClientId | None = None
    state: PendingState | None = None


class PendingRequests(Protocol):
    """What one person has asked for and a second one has to, and what has become of it.

    Of clients outside the scope of the work at hand, and of the house where that scope is not the whole of it, there are none.
    """

    async def get_pending(self, pending_id: PendingRequestId) -> PendingRequest:
        """Return a pending request as it stands now; UNKNOWN_PENDING_REQUEST if there is none."""
        ...

    async def list_pending(self, chosen: PendingFilter, page: Page) -> Sequence[PendingRequest]:
        """Return pending requests, oldest first; `page.after` is a `pending_key`."""
        ...


def pending_key(pending: PendingRequest) -> str:
    """Return the key of a stored pending request in lists: the time to the microsecond, and its name."""
    asked_at = "" if pending.asked_at is None else pending.asked_at.isoformat(timespec="microseconds")
    return f"{asked_at} {pending.pending_id}"
